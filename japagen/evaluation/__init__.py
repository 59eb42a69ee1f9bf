"""The LLM prompted or a saved student, measured on gold.

For evaluate.py: `prompting`, `answers`, `score`, `console`.
"""
