"""Japanese text as characters and n-grams: scripts, duplicates."""
