"""Train a student on a synthetic or gold dataset and score it on gold."""

from japagen import stop

if __name__ == "__main__":
    stop.at_once()
    from japagen import cli

    cli.run("train", "python train.py")
