"""Write a synthetic dataset with an LLM."""

from japagen import stop

if __name__ == "__main__":
    stop.at_once()
    from japagen import cli

    cli.run("generate", "python generate.py")
