"""The examples of docs/add_a_loss.md and docs/add_a_data_source.md, followed to the letter."""

from __future__ import annotations

import importlib
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from japagen.command import train
from tests.conftest import Compose
from tests.documents import ROOT, text
from tests.toys import FAST, saved, sentences, write_toys

TRUST = "allowed_targets=[japagen]"  # the module is not in the source tree
# Page -> package and group of its class and YAML, and the module to copy imports from.
PAGES = {
    "add_a_loss.md": ("japagen.training.losses", "loss", "generalized_ce"),
    "add_a_data_source.md": ("japagen.training.sources", "data", "mixed"),
}


def blocks(page: str, language: str) -> str:
    """The code blocks of a page in one language."""
    found = re.findall(rf"```{language}\n(.*?)```", text(ROOT / "docs" / page), re.DOTALL)
    return "\n".join(textwrap.dedent(block) for block in found)


def add(page: str, folder: Path) -> str:
    """Write the class and the YAML of a page below `folder`; returns the name of the choice."""
    package, group, model = PAGES[page]
    name = re.search(r"^name: (\w+)", blocks(page, "yaml"), re.MULTILINE)
    assert name is not None
    source = text(ROOT / package.replace(".", "/") / f"{model}.py")
    imports = source[source.index("from __future__") : source.index("\n@dataclass")]
    more = "import json\nfrom pathlib import Path\nfrom japagen.gold.example import Example\n"
    module = imports.replace("annotations\n", f"annotations\n{more}", 1) + blocks(page, "python")
    (folder / f"{name[1]}.py").write_text(module, encoding="utf-8")
    (folder / "conf" / group).mkdir(parents=True)
    (folder / "conf" / group / f"{name[1]}.yaml").write_text(blocks(page, "yaml"), encoding="utf-8")
    return name[1]


@pytest.fixture(params=PAGES)
def added(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(group, name) of a page's choice, while its module can be imported."""
    package, group, _ = PAGES[request.param]
    name = add(request.param, tmp_path)
    place = importlib.import_module(package)
    place.__path__.append(str(tmp_path))
    yield group, name
    place.__path__.remove(str(tmp_path))
    sys.modules.pop(f"{package}.{name}", None)


@pytest.mark.slow
def test_the_example_of_the_page_trains(
    composed: Compose, tmp_path: Path, added: tuple[str, str]
) -> None:
    group, name = added
    toys = [
        {"id": str(n), "text": row, "label": ["unacceptable", "acceptable"][label]}
        for n, (row, label) in enumerate(sentences(40, 3))
    ]
    Path("reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in toys), "utf-8")
    words = ["task=jcola", f"gold_dir={write_toys(tmp_path / 'gold')}", *FAST, "trainer=debug"]
    words += ["data=gold"] if group == "loss" else []
    search = f"hydra.searchpath=[file://{tmp_path}/conf]"
    cfg = composed("train", *words, f"{group}={name}", search, TRUST)
    if group == "data":
        from japagen.command import generate

        generate.run(composed("generate", "task=jcola", "num_per_label=16"))
        cfg = composed("train", *words, f"{group}={name}", search, TRUST)
    train.run(cfg)
    assert name in text(saved() / "japagen.json")
