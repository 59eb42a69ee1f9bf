"""The LLM prompted, a saved student or a dataset, measured on gold.

For evaluate.py: `prompting`, `answers`, `dataset`, `score`, `console`.
"""
