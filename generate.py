"""Write a synthetic dataset with an LLM."""

from japagen import cli

if __name__ == "__main__":
    cli.run("generate", "python generate.py")
