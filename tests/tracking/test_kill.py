"""`sync` that is killed at random moments sends every run once and whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from japagen.tracking.__main__ import sync
from tests.killed import killed
from tests.tracking.test_unsent import kept

KILLS = 9
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


def entries(folder: Path) -> list[dict[str, Any]]:
    """Calls of a run: a curve, tags and files."""
    made = list[dict[str, Any]]()
    for n in range(5):
        place = folder / "mlflow-unsent" / ("c" * 32) / str(n)
        place.mkdir(parents=True)
        (place / "samples.md").write_text(f"{n}\n" * 1000, encoding="utf-8")
        made.append({"do": "batch", "metrics": [["loss", float(n), 1, n]], "tags": [["n", str(n)]]})
        made.append({"do": "file", "path": f"{'c' * 32}/{n}/samples.md", "folder": str(n)})
    return made


def found(folder: Path) -> list[Any]:
    """The runs in the store, and the points of the curve."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as store:
        runs = store.execute("select status from runs where name = '名前'").fetchall()
        return [runs, store.execute("select step, value from metrics order by step").fetchall()]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_every_run_is_sent_once_and_whole(ready: Path, tmp_path: Path) -> None:
    import mlflow  # noqa: F401 - once, before the process is copied

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        shutil.copy(ready / "mlflow.db", tmp_path / name)
        kept(tmp_path / name, *entries(tmp_path / name))
    began = time.monotonic()
    assert not killed(lambda: sync(tmp_path / "whole" / "mlflow-unsent"), 0, 0)
    seconds = time.monotonic() - began
    folder, draw, stopped = tmp_path / "killed" / "mlflow-unsent", random.Random(0), 0
    for n in range(KILLS):
        stopped += killed(lambda: sync(folder), SIGNALS[n % 3], draw.uniform(0, seconds / 2))
    assert stopped
    assert not killed(lambda: sync(folder), 0, 0)
    assert found(tmp_path / "killed") == found(tmp_path / "whole")
    assert found(tmp_path / "killed")[0] == [("FINISHED",)]
    files = list((tmp_path / "killed" / "mlruns").rglob("samples.md"))
    assert sorted(path.read_text("utf-8") for path in files) == sorted(
        f"{n}\n" * 1000 for n in range(5)
    )
    assert not list(folder.glob("*.jsonl"))
