"""`japagen` and `python -m japagen`."""

from japagen import stop


def main() -> None:
    """Run the command that sys.argv names; a signal during its imports ends it in one line."""
    stop.at_once()
    from japagen import cli

    cli.main()


if __name__ == "__main__":
    main()
