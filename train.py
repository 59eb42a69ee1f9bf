"""Train a student on a synthetic or gold dataset and score it on gold."""

from japagen import cli

if __name__ == "__main__":
    cli.run("train", "python train.py")
