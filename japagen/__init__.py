"""Labelled Japanese training data written by an LLM, a compact student trained on it, its score on gold."""

__version__ = "0.1.0"
