"""Loading an engine, and the list of ready models."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from japagen import llm
from japagen.config.error import UserError
from japagen.config.schema import CONF, LLM

ROOT = CONF.parent


def test_every_ready_model_is_in_the_documentation() -> None:
    table = (ROOT / "docs" / "add_an_llm.md").read_text(encoding="utf-8")
    ready = [OmegaConf.load(path) for path in (ROOT / "conf" / "llm").glob("*.yaml")]
    alone = [yaml for yaml in ready if "defaults" in yaml and yaml.name != "mixed"]
    shown = [f"| `{yaml.name}` | {yaml.model}" for yaml in alone]
    assert len(shown) > 10
    assert [line for line in shown if line not in table] == []


def test_what_is_not_installed_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r'llm=big runs in vLLM.*pip install -e "\.\[vllm\]"'):
        llm.load(LLM("japagen.llm.vllm.VLLM", "big", "some/model"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match=r'there is no vllm: pip install -e "\.\[vllm\]".*llm\.base_url='
    ):
        llm.load(LLM("japagen.llm.server.Server", "big", "some/model", serve=True))
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(UserError, match=r'llm=big needs aiohttp.*pip install -e "\.\[openai\]"'):
        llm.load(LLM("japagen.llm.server.Server", "big", "some/model"))
