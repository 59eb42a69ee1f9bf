"""Which classes a YAML may name in `_target_`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def target_problems(where: str, target: str, allowed: Sequence[str]) -> Iterator[str]:
    """Why `target` must not be imported: it is not of japagen or of the packages in `allowed`."""
    package = target.partition(".")[0]
    trusted = any(target.startswith(f"{name}.") for name in allowed)
    if not trusted and not is_ours(target):
        yield (
            f"{where} is '{target}', which would run code of that name; allowed: classes of "
            f"{', '.join(['japagen', *allowed])}. If you trust that code, add "
            f"allowed_targets=[{package or 'PACKAGE'}]"
        )


def is_ours(target: str) -> bool:
    """Whether `target` is MODULE.Class for a module file of this package.

    The prefix alone would not do: japagen.files.os.system is a function of another module.
    """
    found = re.fullmatch(r"japagen((?:\.\w+)*)\.([A-Z]\w*)", target)
    if found is None:
        return False
    path = PACKAGE.joinpath(*found[1].split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
