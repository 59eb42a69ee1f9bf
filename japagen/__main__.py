"""`python -m japagen`: the same commands as `japagen`."""

from japagen.cli import main

if __name__ == "__main__":
    main()
