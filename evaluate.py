"""Score on gold: the LLM prompted for the answer, a saved student, or a synthetic dataset."""

from japagen import stop

if __name__ == "__main__":
    stop.at_once()
    from japagen import cli

    cli.run("evaluate", "python evaluate.py")
