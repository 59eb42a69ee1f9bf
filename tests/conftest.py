"""Shared by all tests: configs composed as the commands compose them, in a folder of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

# Before torch is imported: small models on two threads mostly wait for each other, and beside other tests they wait long.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from japagen import llm, tracking
from japagen.config.schema import CONF, NAMES, register
from japagen.llm import fake
from tests.toys import write_toys

# A shell starts what runs in its background with ctrl-C ignored, and so would be all that the tests start and stop by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compose]:
    """composed("generate", "task=jcola", ...) -> the config of that command, writing into tmp_path, without MLflow or gold."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAPAGEN_DATA", raising=False)
    # No test asks a data host.
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    schemas = {name.removesuffix("_schema"): schema for schema, name in NAMES.items()}

    def make(command: str, *overrides: str) -> DictConfig:
        GlobalHydra.instance().clear()
        for name in NAMES.values():  # Hydra copies all that is registered, many times
            ConfigStore.instance().repo.pop(f"{name}.yaml", None)
        register(schemas[command])
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose(command, overrides=["logger=none", "llm=fake", *overrides])

    yield make
    GlobalHydra.instance().clear()


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills for all processes of this run of the tests."""
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
    """A folder with an MLflow store whose tables are made, which takes seconds."""

    def make(folder: Path) -> None:
        code = f"from japagen.tracking.connect import connect_to\nconnect_to('sqlite:///{folder}/mlflow.db', 'Default')"
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=CONF.parent,
            check=True,
            capture_output=True,
            timeout=120,
        )

    return once(tmp_path_factory, "ready", make)


@pytest.fixture
def gold_dir(tmp_path: Path) -> Path:
    """Gold files of JCoLA and JSTS that two layers can learn in seconds."""
    return write_toys(tmp_path / "gold")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The last value of each metric that a job records."""
    found: dict[str, float] = {}

    def metrics(_run: tracking.Run, values: Mapping[str, float], _step: int | None = None) -> None:
        found.update(values)

    monkeypatch.setattr(tracking.Run, "metrics", metrics)
    return found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[llm.Request]:
    """Every request that reaches the fake engine."""
    requests: list[llm.Request] = []

    class Listening(fake.Fake):
        async def complete(self, request: llm.Request) -> llm.Completion:
            requests.append(request)
            return await super().complete(request)

    monkeypatch.setattr(fake, "Fake", Listening)
    return requests
