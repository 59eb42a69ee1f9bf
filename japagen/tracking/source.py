"""Who started a run, with which command and which version of the code."""

from __future__ import annotations

import functools
import getpass
import shlex
import subprocess
import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from japagen import __version__
from japagen.config.schema import CONF
from japagen.config.secret import hidden
from japagen.job.typed import config_dir_flag, task_overrides

NOTE = "mlflow.note.content"  # the description


def tags() -> dict[str, str]:
    """The tags that fill user, source, version and description of a run on MLflow's pages."""
    program = Path(sys.argv[0]).name
    command = typed_command(program)
    found = {
        "mlflow.user": user(),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": program,
        "mlflow.source.git.commit": commit(),
        NOTE: f"`{command}`\n\nJapaGen {__version__}" if command else "",
    }
    return {key: value for key, value in found.items() if value}


def typed_command(program: str) -> str:
    """The command of this job; "" if it was not started by Hydra."""
    if not HydraConfig.initialized():
        return ""
    hydra = HydraConfig.get()
    is_script = program.endswith(".py") and program != "__main__.py"
    start = ["python", program] if is_script else ["japagen", str(hydra.job.name)]
    return hidden(shlex.join([*start, *config_dir_flag(), *task_overrides()]))


def user() -> str:
    """The name of the account; "" if the system has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


@functools.lru_cache(maxsize=1)
def commit() -> str:
    """The commit of the checkout that this code runs from; "" if it runs from none."""
    if not (CONF.parent / ".git").exists():
        return ""
    words = ["git", "-C", str(CONF.parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
