"""Fixtures for all tests: composed configs in a temporary folder, gold files, recorded metrics."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

# Set before torch is imported: with two threads, small models spend most of the time waiting, above
# all if other tests run in parallel.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from japagen import llm, tracking
from japagen.config import secret
from japagen.config.schema import CONF, NAMES, register
from japagen.llm import fake
from tests.toys import write_toys

# A shell starts background jobs with SIGINT ignored, and child processes inherit that. The tests
# stop child processes with SIGINT, so restore the handler.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Property tests try the same examples in every run, so that no change is stopped by chance. To try
# others: HYPOTHESIS_PROFILE=random. The environment of the vllm tests has no hypothesis.
with contextlib.suppress(ImportError):
    from hypothesis import settings

    settings.register_profile("same", derandomize=True)
    settings.register_profile("random")
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compose]:
    """composed("generate", "task=jcola", ...) returns the config of that command.

    It writes into tmp_path, without MLflow and gold data.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAPAGEN_DATA", raising=False)
    # No cached gold data, and no downloads into the user's cache.
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    schemas = {name.removesuffix("_schema"): schema for schema, name in NAMES.items()}

    def make(command: str, *overrides: str) -> DictConfig:
        GlobalHydra.instance().clear()
        for name in NAMES.values():  # Hydra copies all registered schemas many times
            ConfigStore.instance().repo.pop(f"{name}.yaml", None)
        register(schemas[command])
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(command, overrides=["logger=none", "llm=fake", *overrides])

    yield make
    GlobalHydra.instance().clear()


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Let a test begin with no known secret and leave none."""
    for kept in (secret._known, secret._found):
        kept.clear()
    yield
    for kept in (secret._known, secret._found):
        kept.clear()


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills once for all processes of this test run."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / name
    with FileLock(base / f"{name}.lock"):
        if not (folder / "made").exists():
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an MLflow store whose tables exist. Creating them takes seconds."""

    def make(folder: Path) -> None:
        code = "import sys; from japagen.tracking.connect import connect; connect(*sys.argv[1:])"
        store = [f"sqlite:///{folder}/mlflow.db", "Default"]
        subprocess.run(
            [sys.executable, "-c", code, *store],
            cwd=CONF.parent,
            check=True,
            capture_output=True,
            timeout=240,
        )

    return once(tmp_path_factory, "ready", make)


@pytest.fixture
def gold_dir(tmp_path: Path) -> Path:
    """Gold files of JCoLA and JSTS that a two-layer model learns in seconds."""
    return write_toys(tmp_path / "gold")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The last value of each metric that a job records, by name."""
    found: dict[str, float] = {}

    def metrics(_run: tracking.Run, values: Mapping[str, float], _step: int | None = None) -> None:
        found.update(values)

    monkeypatch.setattr(tracking.Run, "metrics", metrics)
    return found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[llm.Request]:
    """Every request that reaches the fake engine."""
    requests: list[llm.Request] = []

    class Recording(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            requests.append(request)
            return await super().complete(request)

    monkeypatch.setattr(fake, "Fake", Recording)
    return requests
