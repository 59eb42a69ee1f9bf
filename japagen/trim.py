"""A multilingual student cut to the part of its vocabulary that Japanese text may need."""
