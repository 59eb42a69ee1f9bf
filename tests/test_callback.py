"""The table of a sweep and its exit code, whatever its options and errors contain."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from japagen import callback
from japagen.callback import Sweep
from japagen.job import sweep
from japagen.tracking import parent

HARD = ["[/x]", "[bold]", "[link=http://a]x[/link]", "\x1b[31m", ":smile:", "a\u202eb", "★"]


def job(num: int, **values: Any) -> dict[str, Any]:
    return {"num": num, "overrides": ["task=jnli"], "status": "done", "began": 1.0, **values}


@pytest.mark.parametrize("text", HARD)
def test_text_from_outside_is_never_markup(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    jobs = [
        job(0, overrides=["task=jnli", f"name='{text}'"], status="failed", error=f"bad {text}"),
        job(1, score=0.5, ended=2.0),
    ]
    callback.show(jobs, {"failed": 1, "done": 1}, 2.0, tmp_path / text / ".sweep")
    printed = capsys.readouterr().out
    assert "2 jobs in 2 s" in printed
    if "\x1b" in text or "\u202e" in text:
        assert text not in printed.partition("2 jobs")[0]
    else:
        assert f"name='{text}'" in printed
        assert f"failed: bad {text}" in printed


def test_missing_gold_is_explained_once_below_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [job(number, status="no gold", error="no gold test data") for number in range(3)]
    callback.show(jobs, Counter({"no gold": 3}), 2.0, tmp_path)
    table, _, below = capsys.readouterr().out.rpartition("┘")
    assert table.count("no gold") == 3
    assert below.count("no gold test data") == 1


def test_the_table_of_jobs_leaves_out_what_all_jobs_have() -> None:
    jobs = [
        {**job(number), "overrides": ["task=jnli", f"note=a|b\n{number}"]} for number in range(2)
    ]
    lines = callback.jobs_table(jobs).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith(r"| 0 | note=a\|b 0 | done |")


@pytest.mark.parametrize("encoding", ["ascii", "cp932", "utf-8"])
def test_a_console_without_the_characters_gets_the_table(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding))
    callback.show([job(0, error="噓 ★ é", status="failed")], {"failed": 1}, 2.0, tmp_path)
    sys.stdout.flush()
    assert "1 jobs in 2 s" in buffer.getvalue().decode(encoding)


def test_the_exit_code_of_failed_jobs_survives_a_table_that_cannot_be_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no console")

    hooks = Sweep()
    hooks.folder, hooks.uri, hooks.began = tmp_path, "", time.time()
    sweep.write(tmp_path / "job-0.json", job(0, status="failed", error="x"))
    monkeypatch.setattr(callback, "show", fail)
    with pytest.raises(SystemExit) as end:
        hooks.on_multirun_end({})  # type: ignore[arg-type]
    assert end.value.code == 1
    assert "no console" in caplog.text


@pytest.mark.parametrize("option", ["run", "sweep"])
@pytest.mark.parametrize("name", ["file", "file/x", "x" * 300, "\x1b[31m/" + "x" * 300])
def test_a_folder_of_logs_that_cannot_be_is_one_message(
    option: str,
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    config = OmegaConf.create({"hydra": {option: {"dir": name}}})
    begin = Sweep().on_run_start if option == "run" else Sweep().on_multirun_start
    with pytest.raises(SystemExit) as end:
        begin(config)
    assert end.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"hydra.{option}.dir=")
    assert "cannot be created" in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("status", "complete", "expected"),
    [
        ("done", True, "FINISHED"),
        ("done", False, "KILLED"),  # stopped between two jobs: the same command continues it
        ("failed", True, "FAILED"),
        ("running", False, "FAILED"),
    ],
)
def test_only_a_complete_sweep_is_finished(
    status: str, complete: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(parent, "close", lambda *given: closed.append(given[2]))
    hooks = Sweep()
    hooks.folder, hooks.uri, hooks.began = tmp_path, "sqlite:///mlflow.db", time.time()
    sweep.write(tmp_path / "job-0.json", job(0, status=status))
    if complete:
        with contextlib.suppress(SystemExit):
            hooks.on_multirun_end({})  # type: ignore[arg-type]
    else:
        hooks.finish()  # as at the end of the process
    assert closed == [expected]
