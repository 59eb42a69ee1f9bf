"""The README and the documents say what is true."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from japagen.config.check import check
from japagen.config.schema import CONF, EvaluateConfig, GenerateConfig, TrainConfig
from tests.conftest import Compose

ROOT = CONF.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = {"generate": GenerateConfig, "train": TrainConfig, "evaluate": EvaluateConfig}
NEEDED = {"llm=server": "llm.model=x", "llm=vllm": "llm.model=x"}


def commands() -> list[tuple[str, str]]:
    """(document, command) of every `python generate.py ...` in the documents."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"python (?:generate|train|evaluate)\.py[^\n`&|]*", text):
            found.append(
                (
                    path.name,
                    re.sub(r"\s#.*|\s{2,}.*", "", re.sub(r"(\.py) {2,}", r"\1 ", line)).strip(),
                )
            )
    return sorted(set(found))


@pytest.mark.parametrize(("document", "command"), commands())
def test_every_command_in_the_documents_composes(
    composed: Compose, document: str, command: str
) -> None:
    words = [word for word in shlex.split(command)[1:] if word != "-m"]
    if "--config-dir" in words or any(word.isupper() or "..." in word for word in words):
        pytest.skip(f"{document}: a command with a place for the reader's own words")
    script, overrides = words[0].removesuffix(".py"), [word for word in words[1:] if "=" in word]
    first = [
        word.split(",")[0] if "," in word and "[" not in word and "{" not in word else word
        for word in overrides
    ]
    OverridesParser.create().parse_overrides(first)
    needed = [
        NEEDED[word]
        for word in first
        if word in NEEDED and not any(other.startswith("llm.model=") for other in first)
    ]
    config = check(composed(script, *first, *needed), COMMANDS[script])
    assert f"task={config.task.name}" in first or not any(
        word.startswith("task=") for word in first
    ), document


def test_there_are_commands() -> None:
    assert len([command for document, command in commands() if document == "README.md"]) > 6


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_link_leads_somewhere() -> None:
    for path in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            assert link.startswith("http") or (path.parent / link).exists(), f"{path.name}: {link}"


def test_the_tree_has_every_module_and_package_with_its_own_sentence() -> None:
    folder = ROOT / "japagen"
    modules = {path.name: path for path in folder.glob("*.py") if path.name != "__init__.py"}
    modules |= {f"{path.parent.name}/": path for path in folder.glob("*/__init__.py")}
    for name, path in modules.items():
        sentence = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split(
            "\n"
        )[0]
        assert re.search(rf"^  {re.escape(name)} +{re.escape(sentence)}$", README, re.MULTILINE), (
            f"README's tree lacks: {name}  {sentence}"
        )
    tree = README[README.index("\njapagen/\n") : README.index("\ntests/ ")]
    assert set(re.findall(r"^  (\S+) ", tree, re.MULTILINE)) == set(modules)


def test_the_two_setup_commands_are_there() -> None:
    lines = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert "generate.py task=jnli shots=0 && python train.py task=jnli shots=0" in lines[0]
    assert "pytest" in lines[1]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_main_job_from_the_embedded_llm_to_the_score(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for script, shown in (
        ("generate.py", "dataset: synthetic/jnli/"),
        ("train.py", "student: students/"),
    ):
        words = [sys.executable, str(ROOT / script), "task=jnli", "shots=0", "num_per_label=4"]
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
