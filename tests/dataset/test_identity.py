"""The command that makes a dataset."""

from __future__ import annotations

import shlex
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity
from japagen.job import sweep
from tests.conftest import Compose


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "folder"),
    [
        ("+llm.sampling.note='it\\'s $(touch x) here'", "/my tasks"),
        ("+llm.sampling.stop=[\"a b\",'c;d']", "/with'quote"),
        ("+llm.engine.headers={A: \"${oc.env:B}\"}", "/a;b&c"),
    ],
)  # fmt: skip
def test_the_printed_command_is_safe_in_a_shell(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, override: str, folder: str
) -> None:
    config = check(composed("generate", "task=jcola"), GenerateConfig)
    source = SimpleNamespace(provider="command-line", path=folder)
    choices = {"task": "my_jcola", "llm": "fake", "filter": "none"}
    state = SimpleNamespace(
        overrides=SimpleNamespace(task=[override, "task.name=jcola"]),
        runtime=SimpleNamespace(config_sources=[source], choices=choices),
    )
    monkeypatch.setattr(identity.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(identity.HydraConfig, "get", lambda: state)
    words = shlex.split(identity.of(config).command)
    assert words[:5] == ["python", "generate.py", "--config-dir", folder, "task=my_jcola"]
    assert override in words
    assert "task.name=jcola" in words


def test_a_key_in_the_body_of_requests_does_not_name_a_dataset(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["task=jcola", "+llm.sampling.api_key=${oc.env:GATEWAY_KEY}"]
    named = []
    for key in ("planted-first", "planted-second"):
        monkeypatch.setenv("GATEWAY_KEY", key)
        named.append(identity.of(check(composed("generate", *words), GenerateConfig)))
        assert key not in str(named[-1].identity)
    assert named[0].fingerprint == named[1].fingerprint
    hotter = check(composed("generate", *words, "+llm.sampling.max_tokens=7"), GenerateConfig)
    assert identity.of(hotter).fingerprint != named[0].fingerprint


def test_stored_options_keep_their_references_instead_of_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVER_ADDRESS", "https://host/v1?key=planted-value")
    words = ["llm.base_url=${oc.env:SERVER_ADDRESS}", "seed=1"]
    job = OmegaConf.create({"overrides": {"task": words}})
    monkeypatch.setattr(identity.HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(identity.HydraConfig, "get", lambda: job)
    assert identity.task_overrides() == sweep.typed(job.overrides.task) == words
