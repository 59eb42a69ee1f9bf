"""The documents and their generated parts, which `python -m tests.documents` updates."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

from japagen.config.schema import CONF

ROOT = CONF.parent
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DOCUMENTS = [
    README,
    ROOT / "README.ja.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "multirun" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TREE = re.compile(r"(?<=\njapagen/\n).*?(?=tests/)", re.DOTALL)
LAYERS = re.compile(r"(?<=## Layers\n\n```\n).*?(?=```)", re.DOTALL)


def text(path: Path) -> str:
    """The content of a document."""
    return path.read_text(encoding="utf-8")


def tree() -> str:
    """Name and first docstring line of each module and package directly below japagen/."""
    folder = ROOT / "japagen"
    named = {path.name: path for path in sorted(folder.glob("*.py")) if path.stem[0] != "_"}
    named |= {f"{path.parent.name}/": path for path in sorted(folder.glob("*/__init__.py"))}
    sentences = {name: ast.get_docstring(ast.parse(text(path))) for name, path in named.items()}
    return "".join(
        f"  {name:<15}{(sentence or 'NO DOCSTRING').splitlines()[0]}\n"
        for name, sentence in sentences.items()
    )


def layers() -> str:
    """The import layers of setup.cfg, from the top to the bottom."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["importlinter:contract:layers"]["layers"].strip() + "\n"


def main() -> None:
    """Update the list in the README and the layers in docs/architecture.md."""
    for path, place, content in ((README, TREE, tree()), (ARCHITECTURE, LAYERS, layers())):
        path.write_text(place.sub(lambda _, new=content: new, text(path), count=1), "utf-8")


if __name__ == "__main__":
    main()
