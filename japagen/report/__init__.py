"""MLflow runs -> one table and its plots, as a page and as Markdown."""
