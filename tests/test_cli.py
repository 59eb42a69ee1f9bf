"""The command japagen, from the source tree and from a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT, start


@pytest.mark.slow
def test_without_a_command_the_commands_are_listed(tmp_path: Path) -> None:
    wrong, asked = (
        start(tmp_path, "-m", "japagen", "gnerate"),
        start(tmp_path, "-m", "japagen", "-h"),
    )
    assert (wrong.returncode, asked.returncode) == (2, 0)
    for name in ("generate", "train", "evaluate", "predict", "serve", "report", "sync"):
        assert f"\n  {name} " in asked.stdout
        assert f"\n  {name} " in wrong.stderr


@pytest.mark.slow
def test_report_and_sync_are_reached(tmp_path: Path) -> None:
    report = start(tmp_path, "-m", "japagen", "report", "--help")
    assert "--mlflow-uri" in report.stdout
    sync = start(tmp_path, "-m", "japagen", "sync", "nothing")
    assert sync.returncode == 0
    assert "nothing to send" in sync.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-q", "--no-deps", "-w", str(folder / "wheel"), str(ROOT)]
    subprocess.run(build, check=True, timeout=280)
    (wheel,) = (folder / "wheel").glob("japagen-*.whl")
    words = [*pip, "install", "-q", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(words, check=True, timeout=120)
    return folder / "site"


NOTEBOOK = """
import japagen
options = dict(task="jcola", llm="fake", num_per_label=6, logger="none")
dataset = japagen.generate(**options)
student = japagen.train("trainer.max_epochs=1", "trainer.min_steps=1", **options,
                        gold_dir="none", student="tiny", trainer="cpu")
assert set(student.predict(["犬が走る。"])) <= {"acceptable", "unacceptable"}
print(["rows", len(dataset)])
"""


@pytest.mark.slow
def test_an_installed_wheel_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        return python(str(installed / "bin" / "japagen"), *words)

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed), "JAPAGEN_CACHE": str(tmp_path / "c")},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    fake = ["task=jnli", "llm=fake", "num_per_label=12", "logger=none"]
    assert "no LLM was called" in run("generate", *fake, "dry_run=true")
    assert "usage: japagen train" in run("train", "--help")
    assert "dataset: synthetic/jnli/" in run("generate", *fake)
    student = [
        "gold_dir=none",
        "student=tiny",
        "trainer=cpu",
        "trainer.max_epochs=1",
        "trainer.min_steps=1",
    ]
    assert "student: students/" in run("train", *fake, *student)
    assert "['rows', 12]" in python("-c", NOTEBOOK)
    (card,) = tmp_path.glob("synthetic/jnli/*/README.md")
    assert "    japagen generate task=jnli " in card.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "line", "expected"),
    [
        (["-m", "japagen"], "japagen gen", {"generate", "predict"}),
        (["-m", "japagen"], "japagen generate task=jn", {"task=jnli"}),
        (["-m", "japagen"], "japagen  generate  task=jn", {"task=jnli"}),
        (["-m", "japagen"], "japagen generate ", {"task=", "llm="}),
        (["-m", "japagen"], "japagen generate --dr", set()),
        (["-m", "japagen"], "japagen predict stu", set()),
        (["generate.py"], "python generate.py task=jn", {"task=jnli"}),
        (["generate.py"], "python generate.py --dr", set()),
        (["generate.py"], "python generate.py x=[", set()),
    ],
)
def test_a_shell_completes_without_errors(
    program: list[str], line: str, expected: set[str], tmp_path: Path
) -> None:
    environment = {**os.environ, "COMP_LINE": line, "COMP_POINT": str(len(line))}
    words = [sys.executable, *program, "-sc", "query=bash"]
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    assert expected <= set(done.stdout.split())
    assert expected or not done.stdout.strip()
