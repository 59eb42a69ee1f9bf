"""Measures of a synthetic dataset, verdicts in words, and the page that shows them.

For other rooms: `measure.cheap`, `measure.whole`, `show.record`.
"""
