"""A compact model: loaded, tokenized for, saved, opened again, exported.

Others use `pretrained.load` and `tokens.Tokens` to train, `saved` to evaluate, `labeller.Labeller`
to label texts, `export.onnx`, and `card` for japagen.json. Only `opening` calls transformers to
open files.
"""
