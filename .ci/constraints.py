"""Print the installed version of every package that JapaGen's tests need, as constraints for pip.

    python .ci/constraints.py > .ci/constraints.txt

Run it in an environment in which all checks pass. Local versions, as in 2.13.0+cpu, are left out,
so that the file holds for every build of a package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("embedded", "dev", "openai", "mecab")


def needed(name: str, extras: tuple[str, ...], seen: set[tuple[str, str]]) -> Iterator[str]:
    """The names of the installed requirements of a package with `extras`, and theirs."""
    try:
        requirements = map(Requirement, distribution(name).requires or ())
    except PackageNotFoundError:
        return
    for one in requirements:
        wanted = (one.marker is None) or any(
            one.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        key = (canonicalize_name(one.name), ",".join(sorted(one.extras)))
        if wanted and key not in seen:
            seen.add(key)
            yield key[0]
            yield from needed(one.name, tuple(one.extras), seen)


def main() -> int:
    """Print one line for each package, sorted by name."""
    names = set(needed("japagen", EXTRAS, set())) - {"japagen"}
    for name in sorted(names):
        try:
            print(f"{name}=={distribution(name).version.partition('+')[0]}")
        except PackageNotFoundError:
            print(f"{name} is not installed", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
