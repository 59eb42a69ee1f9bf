"""The LLM prompted, a saved student or a dataset, measured on gold."""
