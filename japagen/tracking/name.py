"""What a run is called: its name, its method and its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from japagen.config.schema import Config, Data, EvaluateConfig, TrainConfig


def run_name(config: Config, stage: str) -> str:
    """A name a person can read, e.g. `jnli · knowledge 0-shot · gemma3_270m -> e5_small_ja · seed 1`."""
    kept = "" if config.filter.name == "none" else f" {config.filter.name}"
    source = f"{config.prompt.name} {config.shots}-shot{kept} · {config.llm.name}"
    if isinstance(config, TrainConfig):
        source = f"{source_name(config.data, source)} -> {config.student.name}"
    subject = f" · {stage}" if stage in ("evaluate", "estimate") else ""
    if isinstance(config, EvaluateConfig):
        asked = {
            "prompting": f"{config.shots}-shot · {config.llm.name}",
            "student": Path(config.student.path or "").name,
        }
        subject, source = f"{subject} {config.subject}", asked.get(config.subject, source)
    return f"{config.task.name}{subject} · {source} · seed {getattr(config, 'training_seed', config.seed)}"


def source_name(data: Data, synthetic: str) -> str:
    """What a student is trained on, for people: e.g. `mixed 16 synthetic_first · zero_shot 0-shot · fake`."""
    words = [data.name, str(data.shots or ""), "" if data.order == "together" else data.order]
    words += [f"x{data.fraction:g}" if data.fraction != 1 else ""]
    told = " ".join(word for word in words if word)
    if data.name in ("gold", "few_gold"):
        return told
    return synthetic if told == "synthetic" else f"{told} · {synthetic}"


def method(config: Config, stage: str) -> str:
    """How the answers were come by, the same for every task, LLM, student and seed: the name of a row in a table of results.

    E.g. `zero-shot`, `5-shot knowledge`, `knowledge verified`, `gold · huber`, `few gold 10`, `mixed zero-shot`, `prompting 0-shot`.
    """
    if stage == "evaluate" and getattr(config, "subject", "prompting") == "prompting":
        return f"prompting {config.shots}-shot"
    data = getattr(config, "data", None)
    name = getattr(data, "name", "synthetic")
    shots = getattr(data, "shots", None) or ""
    if name == "gold":
        return f"gold{learned(config)}"
    if name == "few_gold":
        return f"few gold {shots}".rstrip() + learned(config)
    order = getattr(data, "order", "together")
    mixture = " ".join(
        str(word) for word in (name, shots, "" if order == "together" else order) if word
    )
    return ("" if name == "synthetic" else f"{mixture} ") + written(config) + learned(config)


def learned(config: Config) -> str:
    """How a student learns from the rows, where that is not the plain way."""
    loss = getattr(config, "loss", None)
    named = getattr(loss, "name", "auto")
    words = [] if named in ("auto", "cross_entropy", "mse") else [named]
    words += ["class weights"] if getattr(loss, "class_weights", False) else []
    return f" · {', '.join(words)}" if words else ""


def written(config: Config) -> str:
    """How the synthetic examples were made."""
    words = [f"{config.shots}-shot"] if config.shots else []
    if config.prompt.name not in ("zero_shot", "few_shot", "knowledge"):
        words.append(config.prompt.name)
    elif config.prompt.knowledge:
        words.append("knowledge")
    words = words or ["zero-shot"]
    words += ["shared premise"] if config.prompt.premise == "shared" else []
    words += ["joint"] if config.prompt.joint else []
    words += [] if config.filter.name == "none" else [config.filter.name]
    return " ".join(words)


def flat(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Scalars with dotted keys, without a task's texts; the name of a group's choice has the group's key: `llm`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if (path := f"{key}.{name}".lstrip(".")) not in (
                "task.wording",
                "task.knowledge",
                "task.question",
                "task.gold",
            ):
                yield from flat(inner, path)
    elif value is not None and not isinstance(value, list):
        yield re.sub(r"^(\w+)\.name$", r"\1", key), value
