"""SQLite stores that a process was creating when it ended."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from japagen.tracking import connect
from tests.commands import ROOT

# Kills itself when the first half of the tables is in the file.
KILLED = """
import os, signal, threading, time
from pathlib import Path

def watch():
    while max((one.stat().st_size for one in Path().rglob("*.db")), default=0) < 250_000:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=watch, daemon=True).start()
"""
CONNECT = """
from japagen.tracking.connect import connect
print("experiment", connect("sqlite:///mlflow.db", "jcola")[1])
"""


def begun(path: Path) -> None:
    """Write one of MLflow's tables, as in a store that is being created."""
    with closing(sqlite3.connect(path)) as store:
        store.execute("create table runs (run_uuid text)")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_a_store_that_is_not_complete_does_not_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def stopped(uri: str) -> None:
        begun(Path(uri.removeprefix("sqlite:///")))
        raise error

    monkeypatch.setattr(connect, "open_client", stopped)
    with pytest.raises(error):
        connect.connect(f"sqlite:///{tmp_path}/runs.db", "jcola")
    assert not (tmp_path / "runs.db").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL requires POSIX")
def test_after_a_kill_while_the_tables_are_created_the_next_job_has_a_store(tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}

    def run(code: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    assert run(KILLED + CONNECT).returncode == -signal.SIGKILL
    begun(tmp_path / "mlflow.db.part")  # a kill during the last step
    assert "experiment 1" in run(CONNECT).stdout
    assert not list(tmp_path.glob("*.part*"))
