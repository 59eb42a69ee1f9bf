"""The values that options of the config may have."""

from __future__ import annotations

FILTER_METHODS = ("none", "verified", "relabelled", "soft", "auto")
KNOWLEDGE = ("hand", "llm")
SELECTIONS = ("none", "confident", "diverse", "balanced")

SCHEDULES = ("linear", "cosine", "constant")
POOLINGS = ("cls", "mean")
PAIRS = ("cross_encoder", "bi_encoder")
ALSO = ("tensorboard", "wandb")  # loggers that may be used beside another one
LOGGERS = ("mlflow", *ALSO, "none")

# Backends of a student that train.py can write.
EXPORTS = ("bfloat16", "onnx", "onnx_int8", "openvino_int8")

OBJECTIVES = ("test", "valid")
