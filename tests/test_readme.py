"""The README and the documents match the code: commands, links, paths and generated lists."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from japagen.config.check import check
from japagen.config.schema import EvaluateConfig, GenerateConfig, TrainConfig
from tests.conftest import Compose
from tests.documents import ARCHITECTURE, DOCUMENTS, LAYERS, README, ROOT, TREE, layers, text, tree

COMMANDS = {"generate": GenerateConfig, "train": TrainConfig, "evaluate": EvaluateConfig}
NEEDED = {"llm=server": "llm.model=x", "llm=vllm": "llm.model=x"}
# The YAML that a page explains, and where the page tells the reader to put it.
OWN = {
    "add_a_task.md": "task/weather.yaml",
    "own_task.md": "task/messages.yaml",
    "add_an_llm.md": "llm/my_model.yaml",
    "add_a_student.md": "student/mine.yaml",
}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)]+)\)")

# Choices that the reader of a page adds: tests/test_examples.py does so.
EXAMPLES = ("loss=focal", "data=reviews")


def commands() -> list[tuple[str, str]]:
    """(document, command) of every different `python generate.py ...` in the documents."""
    found: dict[str, str] = {}
    for path in DOCUMENTS:
        for line in re.findall(
            r"python (?:generate|train|evaluate)\.py[^\n`&|]*", text(path).replace("\\\n", " ")
        ):
            command = re.sub(r"(\.py) {2,}", r"\1 ", line)
            found.setdefault(re.sub(r"\s#.*|\s{2,}.*", "", command).strip(), path.name)
    return sorted(
        (document, command)
        for command, document in found.items()
        if not any(made in command for made in EXAMPLES)
    )


def one_job(words: list[str]) -> list[str]:
    """The overrides of a sweep's first job, without Hydra's own, with a value for each `...`."""
    kept = [word for word in words if "=" in word and not word.startswith("hydra")]
    kept = [word.replace("=...", "=x") for word in kept if "interval(" not in word]
    return [
        word.split(",")[0] if "," in word and "[" not in word and "{" not in word else word
        for word in kept
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("document", "command"), commands())
def test_every_command_composes(
    composed: Compose, tmp_path: Path, document: str, command: str
) -> None:
    words = shlex.split(command)[1:]
    script, overrides = words[0].removesuffix(".py"), one_job(words)
    OverridesParser.create().parse_overrides(overrides)
    overrides += [
        NEEDED[word]
        for word in overrides
        if word in NEEDED and not any(other.startswith("llm.model=") for other in overrides)
    ]
    if "--config-dir" in words:
        for page, place in OWN.items():
            own = tmp_path / "mine" / place
            own.parent.mkdir(parents=True, exist_ok=True)
            blocks = re.findall(r"```yaml\n(.*?)```", text(ROOT / "docs" / page), re.DOTALL)
            own.write_text("".join(blocks), encoding="utf-8")
        overrides.append(f"hydra.searchpath=[file://{tmp_path}/mine]")
    config = check(composed(script, *overrides), COMMANDS[script])
    named = [word for word in overrides if word.startswith("task=")]
    assert named in ([], [f"task={config.task.name}"]), document


def test_the_readme_has_commands() -> None:
    assert len([command for document, command in commands() if document == "README.md"]) > 6


def test_every_module_script_and_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg", encoding="utf-8")
    for path in DOCUMENTS:
        page = text(path)
        for module in re.findall(r"python -m (japagen[\w.]*)", page):
            assert importlib.util.find_spec(module), f"{path.name}: {module}"
        for line in re.findall(r"`make ([a-z -]+)", page):
            assert set(line.split()) <= targets, f"{path.name}: make {line}"
        for names in re.findall(r"\.\[([\w,]+)\]", page):
            known = set(extras["options.extras_require"])
            assert set(names.split(",")) <= known, f"{path.name}: {names}"


def test_every_path_in_the_documents_exists() -> None:
    place = re.compile(r"\b(?:japagen|conf|tests|benchmarks|docs)/[\w./-]*\.(?:py|yaml|md|svg)\b")
    for path in DOCUMENTS:
        for name in place.findall(text(path)) if path.name != "CHANGELOG.md" else []:
            if Path(name).stem in ("focal", "reviews"):  # tests/test_examples.py writes them
                continue
            assert (ROOT / name).exists(), f"{path.name}: {name}"


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_and_anchor_resolves() -> None:
    for path in DOCUMENTS:
        for link in LINK.findall(text(path)):
            name, _, anchor = link.partition("#")
            if name.startswith("http"):
                continue
            target = path.parent / name if name else path
            assert target.exists(), f"{path.name}: {link}"
            assert not anchor or anchor in anchors(text(target)), f"{path.name}: {link}"


def test_every_page_is_in_the_navigation() -> None:
    nav = yaml.safe_load(text(ROOT / "mkdocs.yml"))["nav"]
    listed = {page for entry in nav for page in entry.values()}
    assert {path.name for path in (ROOT / "docs").glob("*.md")} <= listed


def test_the_readme_is_short() -> None:
    assert len(text(README).splitlines()) <= 150


def test_the_tree_has_every_module_and_package_with_its_docstring() -> None:
    found = TREE.search(text(README))
    assert found, "README.md has no tree"
    assert found.group() == tree(), f"README's tree differs. Run `make tree`. It must be:\n{tree()}"


def test_the_architecture_page_has_the_import_layers() -> None:
    found = LAYERS.search(text(ARCHITECTURE))
    assert found, "docs/architecture.md has no layers"
    assert found.group() == layers(), "The layers differ from setup.cfg. Run `make tree`."


def blocks() -> list[str]:
    """The README's blocks of commands that make a virtual environment."""
    return [
        block
        for block in re.findall(r"```\n(.*?)```", text(README), re.DOTALL)
        if block.startswith("python3 -m venv")
    ]


def test_the_two_set_up_commands() -> None:
    first, second = blocks()
    # Each line but the last ends with `&&`: pasted as one block, it stops at the first failure.
    *lines, last = first.splitlines()
    assert all(line.endswith("&&") for line in lines)
    options = "task=hotel_reviews prompt=knowledge filter=verified num_per_label=32"
    assert last == f"python train.py {options}"
    assert f"python generate.py {options} &&" in lines
    assert "python generate.py task=jnli shots=0" in text(README)
    # .ci/run takes the one line below "Install and run the tests".
    assert second.count("\n") == 1
    assert "pytest" in second


@pytest.mark.parametrize("block", blocks())
def test_a_shell_reads_the_set_up_commands(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="pip install -e '.[docs]'")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "architecture" / "index.html").exists()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_first_job_from_the_embedded_llm_to_the_score(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for script, shown in (
        ("generate.py", "dataset: synthetic/hotel_reviews/"),
        ("train.py", "student: students/"),
    ):
        words = [sys.executable, str(ROOT / script), "task=hotel_reviews", "prompt=knowledge"]
        words += ["filter=verified", "num_per_label=4"]
        words += ["trainer.max_steps=3", "trainer.min_steps=1"] if script == "train.py" else []
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert shown in done.stdout
        assert "mlflow ui" in done.stdout
    assert (tmp_path / "mlflow.db").exists()
    assert ("NOT on gold" in done.stdout) == (not os.environ.get("JAPAGEN_DATA"))
