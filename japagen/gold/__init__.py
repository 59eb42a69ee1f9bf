"""Gold data: where the files are, how their rows are read, and the metrics of predictions."""
