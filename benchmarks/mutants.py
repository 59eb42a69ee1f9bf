"""Mutants and caught mutants per module, from the results of mutmut in mutants/ (make mutants).

    python benchmarks/mutants.py

Prints the names of the mutants that no test caught; `mutmut show NAME` prints one. Exit code 1 if
a module has less than 80 % caught. mutmut leaves out decorated functions and constants of a module.
A timeout counts as caught, a mutant that no test runs as not caught.
"""

from __future__ import annotations

import json
from pathlib import Path

LEAST = 0.8
# Exit codes of mutmut: the tests passed, interrupted, no tests, not covered, skipped, suspicious,
# and not tried.
MISSED = (0, 2, 5, 33, 34, 35, None)


def main() -> None:
    failed, tried = False, 0
    for path in sorted(Path("mutants").rglob("*.meta")):
        codes = json.loads(path.read_bytes())["exit_code_by_key"]
        missed = [name for name, code in codes.items() if code in MISSED]
        if codes:
            tried += 1
            share = 1 - len(missed) / len(codes)
            failed = failed or share < LEAST
            print(f"{path.stem}: {len(codes) - len(missed)} of {len(codes)} caught ({share:.1%})")
            print(*(f"    {name}" for name in missed), sep="\n")
    raise SystemExit(failed or not tried)


if __name__ == "__main__":
    main()
