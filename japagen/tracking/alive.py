"""Which process a run is of, and the end of runs whose process is gone."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient


def here() -> dict[str, str]:
    """Tags that name this process for good: a number that is given again later comes with another start."""
    return {"host": socket.gethostname(), "process": f"{os.getpid()}:{born(os.getpid())}"}


def born(pid: int) -> str:
    """When the process `pid` was started, as the system says it; "" where there is none, or it is ended and only not fetched."""
    if Path("/proc/self/stat").exists():
        try:
            # The name, in brackets, may hold anything; the state comes right after it, the start 19 fields later.
            fields = (
                Path(f"/proc/{pid}/stat")
                .read_text(encoding="utf-8", errors="replace")
                .rpartition(")")[2]
                .split()
            )
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "_".join(told.stdout.split())


def gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that wrote `tags` was one of this machine and is no more."""
    pid, _, start = tags.get("process", "").partition(":")
    return tags.get("host") == socket.gethostname() and pid.isdigit() and born(int(pid)) != start


def bury(client: MlflowClient, experiment: str) -> None:
    """End as KILLED the runs of this machine that are RUNNING though their process is gone."""
    wanted = f"attributes.status = 'RUNNING' and tags.host = '{socket.gethostname()}'"
    for run in client.search_runs([experiment], wanted, max_results=1000):
        if gone(run.data.tags):
            client.set_terminated(run.info.run_id, status="KILLED")
