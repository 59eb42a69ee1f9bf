"""A compact model: loaded, tokenized for, saved, opened again and exported."""
