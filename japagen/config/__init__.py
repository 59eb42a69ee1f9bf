"""What the options of a job are, and what may be wrong with them."""
