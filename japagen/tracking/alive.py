"""The process of a run, and the end of runs whose process is gone."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.tracking.safe import encodable

if TYPE_CHECKING:
    from mlflow import MlflowClient


def own_tags() -> dict[str, str]:
    """Tags that identify this process; its start time tells it from a later one with its number."""
    return {"host": host(), "process": f"{os.getpid()}:{start_time(os.getpid())}"}


def host() -> str:
    """This machine's name, without characters that would end a quoted word in a search."""
    return encodable(socket.gethostname()).replace("'", "_").replace('"', "_")


def start_time(pid: int) -> str:
    """When the process `pid` was started, in the system's own form; "" if it has ended."""
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        # The name, in brackets, may hold anything. The state follows it, the start 19 fields later.
        fields = text.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    listed = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "_".join(listed.stdout.split())


def has_ended(tags: Mapping[str, str]) -> bool:
    """Whether the process that wrote `tags` ran on this machine and has ended."""
    pid, _, start = tags.get("process", "").partition(":")
    # No system has process numbers of more than 10 digits.
    known = pid.isascii() and pid.isdigit() and len(pid) <= 10
    return tags.get("host") == host() and known and start_time(int(pid)) != start


def close_ended(client: MlflowClient, experiment: str) -> None:
    """Mark runs of this machine that still are RUNNING without their process as KILLED."""
    wanted = f"attributes.status = 'RUNNING' and tags.host = '{host()}'"
    for run in client.search_runs([experiment], wanted, max_results=1000):
        if has_ended(run.data.tags):
            client.set_terminated(run.info.run_id, status="KILLED")
