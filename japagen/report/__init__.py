"""MLflow runs -> one table of results and its charts, as a page and as Markdown."""

from japagen.report.summary import Summary, summarise

__all__ = ["Summary", "summarise"]
