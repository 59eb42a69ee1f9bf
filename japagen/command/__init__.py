"""What the commands generate, train and evaluate do."""
