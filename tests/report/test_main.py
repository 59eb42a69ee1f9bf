"""From a store of MLflow to the report's files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from japagen import tracking
from japagen.config.error import UserError
from japagen.config.schema import CONF, Data, TrainConfig
from japagen.report import __main__ as report
from japagen.report import summary
from tests.report.stores import Store
from tests.tracking.test_run import made


def test_an_empty_store_says_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="the store has no run"):
        summary.summarise([])
    store = Store()
    store.add("jnli", {"stage": "train"}, status="FAILED")
    with pytest.raises(
        UserError,
        match=r"of 1 runs \(1 failed\) no finished one has a score.*\n  python generate.py",
    ):
        summary.summarise(store.runs)
    assert (
        report.main(
            ["--mlflow-uri", f"sqlite:///{tmp_path}/none.db", "--out", str(tmp_path / "out")]
        )
        == 1
    )
    printed = capsys.readouterr().err
    assert "none.db does not exist" in printed
    assert "python train.py task=jnli" in printed
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_a_store_to_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for data, right in (("synthetic", 1), ("gold", 3)):
        config = made(TrainConfig, data=Data(name=data))
        lines = [
            {"id": str(i), "gold": "a", "predicted": "a" if i < right else "b"} for i in range(4)
        ]
        with tracking.run(config, "train", {}) as run:
            run.metrics({"score": right / 4, "train/seconds": 2.0})
            run.text("".join(json.dumps(line) + "\n" for line in lines), "predictions.jsonl")
    with pytest.raises(RuntimeError), tracking.run(config, "train", {}):
        raise RuntimeError("x")
    every = tracking.recorded("sqlite:///mlflow.db")
    assert [run.status for run in every] == ["FINISHED", "FINISHED", "FAILED"]
    assert every[0].read("nothing.txt") is None
    assert report.main([]) == 0
    captured = capsys.readouterr()
    assert captured.out == "2 runs, 2 methods, 1 tasks\nreport: report/index.html\n"
    assert captured.err == ""
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    # No p for a single seed.
    assert re.search(r"\| zero-shot \| 0.250 \(n=1 ×\d+\) \|", text)
    assert "| gold | **0.750** (n=1) |" in text
    assert "<h1>" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert report.main(["--out", str(tmp_path / "mlflow.db")]) == 1
    assert "--out" in capsys.readouterr().err


@pytest.mark.slow
def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from japagen.report import __main__ as report; report.parser()\n"
        "print([n for n in ('mlflow', 'numpy', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"
