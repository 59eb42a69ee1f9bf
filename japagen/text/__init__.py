"""Japanese text as characters and n-grams: scripts, duplicates.

For other rooms: `normal.normalise`, `japanese.is_japanese`, `duplicate.Seen`, `ngram.grams`.
"""
