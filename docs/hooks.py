"""MkDocs hook: make pages of the site from the Markdown files in the project's root."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "README.md": "index.md",
    "README.ja.md": "ja.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, with their links changed to those of the site."""
    root = Path(config.docs_dir).parent
    for source, page in PAGES.items():
        content = (root / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for name, target in PAGES.items():
            content = re.sub(rf"\]\({re.escape(name)}(?=[)#])", f"]({target}", content)
        files.append(File.generated(config, page, content=content))
    return files
