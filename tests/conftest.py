"""Shared by all tests: configs composed as the commands compose them, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before torch is imported: small models on two threads mostly wait for each other, and beside other tests they wait long.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from japagen import config

Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compose]:
    """composed("generate", "task=jcola", ...) -> the config of that command, writing into tmp_path, without MLflow or gold."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAPAGEN_DATA", raising=False)
    # No test asks a data host.
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    schemas = {name.removesuffix("_schema"): schema for schema, name in config.NAMES.items()}

    def make(command: str, *overrides: str) -> DictConfig:
        GlobalHydra.instance().clear()
        for name in config.NAMES.values():  # Hydra copies all that is registered, many times
            ConfigStore.instance().repo.pop(f"{name}.yaml", None)
        config.register(schemas[command])
        with initialize_config_dir(str(config.CONF), version_base="1.3"):
            return compose(command, overrides=["logger=none", "llm=fake", *overrides])

    yield make
    GlobalHydra.instance().clear()


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an MLflow store whose tables are made, which takes seconds."""
    folder = tmp_path_factory.mktemp("ready")
    code = f"from japagen.tracking.connect import connect_to\nconnect_to('sqlite:///{folder}/mlflow.db', 'Default')"
    subprocess.run([sys.executable, "-c", code], cwd=config.CONF.parent, check=True, capture_output=True, timeout=120)
    return folder
