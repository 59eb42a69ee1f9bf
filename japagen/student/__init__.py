"""A compact model: loaded, tokenized for, saved, opened again, exported.

Others use `pretrained.load` and `tokens.Tokens` to train, `predictor.Predictor` to ask a saved
student through a `backend`, `saved` to find it, `labeller.Labeller` to label an LLM's texts,
`exports.write` for other forms, and `card` for japagen.json. Only `opening` calls transformers to
open files.
"""
