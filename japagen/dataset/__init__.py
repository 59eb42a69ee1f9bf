"""A synthetic dataset on disk: its identity and folder, journal, table, manifest and card."""
