"""What a command does before Hydra starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import ROOT, generate, start


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("task=jnil", "did you mean 'jnli'?"),
        ("mlflow_uri=https://me:planted-value@host", "contains a password"),
    ],
)
def test_a_wrong_argument_is_one_message_and_nothing_is_written(
    tmp_path: Path, argument: str, message: str
) -> None:
    done = generate(tmp_path, argument)
    assert done.returncode == 1
    assert message in done.stderr
    assert "planted-value" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("multirun", [[], ["-m"]])
def test_a_secret_in_a_yaml_is_refused_before_it_is_copied(
    tmp_path: Path, multirun: list[str]
) -> None:
    (tmp_path / "mine" / "llm").mkdir(parents=True)
    text = "defaults: [fake, _self_]\nname: mine\nengine: {headers: {X-Api-Key: planted-value}}\n"
    (tmp_path / "mine" / "llm" / "mine.yaml").write_text(text)
    words = [*multirun, "--config-dir", "mine", "llm=mine", "logger=none"]
    done = start(tmp_path, str(ROOT / "generate.py"), *words)
    assert done.returncode == 1
    assert "llm.engine.headers.X-Api-Key contains a password" in done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in written if b"planted-value" in path.read_bytes()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ([str(ROOT / "generate.py"), "--help"], "max_attempts"),
        (["-m", "japagen", "evaluate", "--help"], "student.path=FOLDER"),
    ],
)
def test_help_is_quick_and_imports_nothing_heavy(
    tmp_path: Path, words: list[str], option: str
) -> None:
    done = start(tmp_path, "-X", "importtime", *words)
    assert done.returncode == 0
    assert option in done.stdout
    imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "hydra" in imported
    assert not imported & {"torch", "transformers", "mlflow", "lightning", "numpy", "pandas"}
