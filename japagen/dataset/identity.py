"""What names a synthetic dataset: its fingerprint, its folder, and the command that makes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from japagen.config.schema import LLM, Config

# Raise it when prompt.py, clean.py, duplicate.py or generate.py change which text comes out of the same options:
# the fingerprint then differs, and old replies are never mixed with new ones.
FORMAT = 2

# Engine options that choose other weights, another tokenizer or another template; the rest change speed alone.
TEXTUAL = {
    "quantization",
    "dtype",
    "revision",
    "tokenizer",
    "tokenizer_revision",
    "hf_overrides",
    "chat_template",
    "lora_adapters",
}


def identity(config: Config) -> dict[str, Any]:
    """All that changes the text of a synthetic dataset; num_per_label only says how far to go."""
    task = dataclasses.asdict(config.task)
    keys = ["name", "kind", "inputs", "labels", "wording", "clean"]
    if config.prompt.knowledge:
        keys.append("knowledge")
    return {
        "format": FORMAT,
        "task": {key: task[key] for key in keys},
        "prompt": {
            key: getattr(config.prompt, key) for key in ("name", "knowledge", "premise", "joint")
        },
        "llm": llm_identity(config.llm),
        "filter": filtering(config),
        "shots": config.shots,
        "shots_scope": config.shots_scope,
        "seed": config.seed,
    }


def llm_identity(llm: LLM) -> dict[str, Any]:
    """All of an LLM that changes what it says."""
    kept = {key: getattr(llm, key) for key in ("_target_", "model", "chat", "sampling")}
    if engine := {key: value for key, value in llm.engine.items() if key in TEXTUAL}:
        kept["engine"] = engine
    return kept


def filtering(config: Config) -> dict[str, Any]:
    """The filter in the identity: a student by the name of its folder, which says what made it, wherever it lies."""
    options = dataclasses.asdict(config.filter)
    student = options.pop("student")
    return {**options, "student": Path(student).name} if student else options


def fingerprint(config: Config) -> str:
    """Ten hexadecimal digits that differ where anything in identity(config) differs."""
    return digest(identity(config))


def digest(named: Mapping[str, Any]) -> str:
    """Ten hexadecimal digits that differ where anything in `named` differs."""
    text = json.dumps(named, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def folder(config: Config) -> Path:
    """Where the dataset that `config` names lies."""
    choices = [
        config.llm.name,
        config.prompt.name,
        f"{config.shots}shot",
        config.filter.name,
        f"seed{config.seed}",
    ]
    return Path(config.synthetic_dir) / config.task.name / "-".join([*choices, fingerprint(config)])


def generate_command(config: Config) -> str:
    """The generate.py command with the overrides of this job that generate.py knows."""
    groups = {
        "task": config.task.name,
        "llm": config.llm.name,
        "prompt": config.prompt.name,
        "filter": config.filter.name,
    }
    words = [f"{key}={value}" for key, value in groups.items() if value != "none"]
    words += [
        f"shots={config.shots}",
        f"seed={config.seed}",
        f"num_per_label={config.num_per_label}",
    ]
    known = {item.name for item in dataclasses.fields(Config)}
    for override in task_overrides():
        key = override.partition("=")[0].lstrip("+")
        if (
            "=" in override
            and key.split(".")[0] in known
            and not any(word.startswith(f"{key}=") for word in words)
        ):
            words.append(f"'{override}'" if any(c in override for c in " {}[]()'\"$") else override)
    return " ".join(["python generate.py", *config_dir_flag(), *words])


def task_overrides() -> list[str]:
    """What was typed behind the command; nothing outside a Hydra job."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def config_dir_flag() -> list[str]:
    """--config-dir as it was typed, so that the command finds a task from outside."""
    if not HydraConfig.initialized():
        return []
    sources = HydraConfig.get().runtime.config_sources
    return [
        f"--config-dir {source.path}" for source in sources if source.provider == "command-line"
    ]
