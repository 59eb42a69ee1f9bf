"""From rows to a trained student: data, leakage, losses, trainer, checkpoints, score."""
