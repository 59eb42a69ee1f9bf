"""Inputs that cannot be right end in one message and an exit code that is not 0."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from japagen import cli
from tests.commands import ROOT, start

HALF = "\udce3"  # half of a surrogate pair, as the bytes of another encoding become
LONG = "x" * 5000
NOISE = bytes(range(256)) * 8


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files that are not what their names say."""
    monkeypatch.chdir(tmp_path)
    for name in ("noise.db", "noise.yaml", "noise.csv", "student/japagen.json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(NOISE)
    Path("directory").mkdir()
    Path("other").mkdir()
    Path("other/japagen.json").write_text('{"task": {"name": 5, "labels": "abc"}}')
    return tmp_path


def ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str]:
    """The exit code and the message of a command."""
    monkeypatch.setattr(sys, "argv", ["japagen", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capsys.readouterr()
    if isinstance(end.value.code, str):  # Python prints it and ends with 1
        return 1, end.value.code
    return int(end.value.code or 0), printed.out + printed.err


FILES = ["--input", "noise.csv", "--output", "out.csv"]
BAD = [
    *([*command, name] for command in (["sync"],) for name in ("noise.db", LONG, "", "a/" * 3000)),
    *(
        ["report", "--mlflow-uri", uri]
        for uri in ("", "sqlite:///directory", "sqlite:////", f"sqlite:///{LONG}")
    ),
    ["report", "--task"],
    ["report", "--mlflow-uri", "sqlite:///none.db", "--reference", "\x1b[31m"],
    ["report", "\x1b[31m"],
    *(["predict", name, *FILES] for name in ("student", "other", "noise.db", "", LONG, HALF)),
    ["predict", "student", *FILES, "--output", "/"],
    ["predict", "~no-such-user/x", *FILES],
    *(["predict", "student", *FILES, "--batch-size", one] for one in ("nan", "-1", "9" * 5000)),
    ["predict", "student", *FILES, "--columns", ""],
    *(["serve", name] for name in ("student", "other", "noise.db", "", LONG, HALF)),
    *(["serve", "student", "--port", one] for one in ("nan", "-1", "9" * 30, "")),
    ["serve", "student", "--host", "\x1b[31m"],
]


@pytest.mark.parametrize("words", BAD, ids=lambda words: ascii(" ".join(words)[:60]))
def test_one_message(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, message = ended(capsys, monkeypatch, *words)
    assert code in (1, 2)
    assert message.strip()
    assert "Traceback" not in message
    assert "\x1b" not in message


YAMLS = {
    "noise": NOISE,
    "itself": b"a: &a [*a]\n",
    "list": b"- a\n",
    "number": b"42\n",
    "tabs": b"name:\n\t- x\n",
    "latin": "name: été\n".encode("latin-1"),
    "deep": b"a: " + b"[" * 3000,
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_yamls_that_are_none(folder: Path) -> None:
    (folder / "conf" / "task").mkdir(parents=True)
    for name, content in YAMLS.items():
        (folder / "conf" / "task" / f"{name}.yaml").write_bytes(content)
        words = [str(ROOT / "generate.py"), "--config-dir", "conf", f"task={name}", "llm=fake"]
        done = start(folder, *words)
        assert done.returncode == 1, name
        assert "Traceback" not in done.stderr, name
        assert f"{name}.yaml" in done.stderr or f"task={name}" in done.stderr, done.stderr
