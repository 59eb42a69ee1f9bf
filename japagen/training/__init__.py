"""From rows to a trained student: sources, split, losses, trainer, checkpoints, score, saving.

Others use `identity` (what one training is), `split.read` (its rows), `sources` and `losses` (what
a YAML of conf/data or conf/loss names), and what japagen/command/train.py calls in order.
"""
