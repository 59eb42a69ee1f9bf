"""Score on gold: the LLM prompted for the answer, a saved student, or a synthetic dataset."""

from japagen import cli

if __name__ == "__main__":
    cli.run("evaluate", "python evaluate.py")
