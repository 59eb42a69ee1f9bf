"""Labelled Japanese training data written by an LLM, and compact students trained on it."""

__version__ = "0.1.0"
