"""What names a synthetic dataset: its fingerprint, its folder, and the command that makes it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig

from japagen.config.pattern import SECRET
from japagen.config.question import FORMAT as QUESTION_FORMAT
from japagen.config.schema import (
    INSTALLED,
    LLM,
    Config,
    Filter,
    Prompt,
    QuestionOptions,
    Select,
    Values,
)
from japagen.config.task import Task
from japagen.job.typed import config_dir_flag, task_overrides

# Raise it when a change to the code gives other text, or other labels, for the same options. The
# fingerprint then differs, so that old replies are never mixed with new ones.
FORMAT = 3

# Engine options that select other weights, another tokenizer or another template. All others
# change only the speed.
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


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A synthetic dataset as one job names it: made once from the config, then handed on instead.

    `identity`: everything that changes the text; `fingerprint`: ten hexadecimal digits of it.
    `command`: the generate.py command that makes the dataset, `next_command` the train.py command
    that trains on it.
    """

    task: Task
    prompt: Prompt
    values: Values
    llm: LLM
    filter: Filter
    select: Select
    shots: int
    shots_scope: str
    seed: int
    num_per_label: int
    calibrate: bool
    folder: Path
    fingerprint: str
    identity: Mapping[str, Any]
    command: str
    next_command: str

    @property
    def size(self) -> int:
        """Number of examples asked for."""
        return len(self.task.labels) * self.num_per_label


def of(config: Config) -> Dataset:
    """Return the dataset that the options of a job name."""
    named = text_identity(config)
    groups = [config.llm.name, config.prompt.name, f"{config.shots}shot", config.filter.name]
    groups += [config.select.name] if config.select.name != "none" else []
    name = "-".join([*groups, f"seed{config.seed}"])
    numbers = {key: getattr(config, key) for key in ("shots", "seed", "num_per_label")}
    names = chosen_names(config)
    return Dataset(
        task=config.task,
        prompt=config.prompt,
        values=config.knowledge,
        llm=config.llm,
        filter=config.filter,
        select=config.select,
        shots=config.shots,
        shots_scope=config.shots_scope,
        seed=config.seed,
        num_per_label=config.num_per_label,
        calibrate=config.question.calibrate,
        folder=Path(config.synthetic_dir) / config.task.name / f"{name}-{digest(named)}",
        fingerprint=digest(named),
        identity=named,
        command=typed_command("generate", names, numbers),
        next_command=typed_command("train", names, numbers),
    )


def text_identity(config: Config) -> dict[str, Any]:
    """Return everything that changes the rows of a dataset; an option that is off is left out."""
    named = {
        "format": FORMAT,
        "task": task_identity(config.task, config.prompt.knowledge),
        "prompt": prompt_identity(config.prompt),
        "llm": llm_identity(config.llm),
        "filter": filter_identity(config.filter, config.task, config.question),
        "shots": config.shots,
        "shots_scope": config.shots_scope,
        "seed": config.seed,
    }
    values = config.knowledge
    if values.name != "hand":
        named["knowledge"] = {key: getattr(values, key) for key in ("name", "values", "requests")}
    if config.select.name != "none":
        named["select"] = dataclasses.asdict(config.select)
    return named


def chosen_names(config: Config) -> dict[str, str]:
    """Return the names of the groups that identify a dataset, as they are typed."""
    keys = ("task", "llm", "prompt", "filter", "select")
    names = {key: getattr(config, key).name for key in keys}
    if config.llm.writers:
        names["llm"] = "mixed"
    if config.knowledge.name != "hand":
        names["knowledge"] = config.knowledge.name
    return names


def task_identity(task: Task, knowledge: bool) -> dict[str, Any]:
    """Return the part of a task that changes what is written, and what is kept of it."""
    keys = ["name", "kind", "inputs", "labels", "wording", "clean"]
    whole = dataclasses.asdict(task)
    for key in ("label_values", "turns"):
        if task.knowledge is not None and not getattr(task.knowledge, key):
            del whole["knowledge"][key]
    return {key: whole[key] for key in [*keys, *(["knowledge"] if knowledge else [])]}


def prompt_identity(prompt: Prompt) -> dict[str, Any]:
    """Return the options of a prompt that change what is asked."""
    keys = ["name", "knowledge", "premise"]
    chosen = [key for key in ("taboo", "feedback") if getattr(prompt, key)]
    keys += [*chosen, "round"] if chosen else []
    kept = {key: getattr(prompt, key) for key in keys}
    # Folder names stay those of the time when `joint` was true or false.
    return {**kept, "joint": {"none": False, "inputs": True}.get(prompt.joint, prompt.joint)}


def llm_identity(llm: LLM) -> dict[str, Any]:
    """Return the options of an LLM that change what it answers."""
    if llm.writers:
        return {"writers": [llm_identity(writer) for writer in llm.each]}
    kept = {key: getattr(llm, key) for key in ("_target_", "model", "chat")}
    # A key in the request's body, given as ${oc.env:NAME}, changes no text when it is replaced.
    fields = {key: value for key, value in llm.sampling.items() if not re.search(SECRET, key)}
    kept["sampling"] = fields
    if not llm.system_role:
        kept["system_role"] = False
    if engine := {key: value for key, value in llm.engine.items() if key in TEXTUAL}:
        kept["engine"] = engine
    return kept


def filter_identity(rule: Filter, task: Task, question: QuestionOptions) -> dict[str, Any]:
    """Return what decides which replies are kept and under which label.

    A student counts by its folder's name, wherever the folder is; a question counts if asked.
    """
    if rule.method == "none":
        return {"name": rule.name, "method": "none"}
    options = dataclasses.asdict(rule)
    for key in ("min_confirmed", "check_after"):  # they stop a job and change no text
        del options[key]
    if student := options.pop("student"):
        return {**options, "student": Path(student).name}
    wording = dataclasses.asdict(task.question) if task.question else None
    asked = {"format": QUESTION_FORMAT, "calibrate": question.calibrate, "question": wording}
    return {**options, **asked}


def digest(named: Mapping[str, Any]) -> str:
    """Return ten hexadecimal digits that differ where anything in `named` differs."""
    text = json.dumps(named, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def typed_command(job: str, names: Mapping[str, str], numbers: Mapping[str, int]) -> str:
    """Return the command `job`, quoted for a shell, with the overrides that all commands know.

    `names`: of the groups that identify a dataset. `numbers`: shots, seed and num_per_label.
    """
    overrides = [*group_overrides(names), *(f"{key}={value}" for key, value in numbers.items())]
    known = {item.name for item in dataclasses.fields(Config)}
    for override in task_overrides():
        key = override.partition("=")[0].lstrip("+")
        is_given = any(other.startswith(f"{key}=") for other in overrides)
        if "=" in override and re.split("[.@]", key)[0] in known and not is_given:
            overrides.append(override)
    program = ["japagen", job] if INSTALLED else ["python", f"{job}.py"]
    return shlex.join([*program, *config_dir_flag(), *overrides])


def group_overrides(names: Mapping[str, str]) -> list[str]:
    """Return `group=choice` of each group that is not `none`."""
    choices = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
    found = []
    for group, name in names.items():
        # A name may be overridden, and differ from that of the YAML. zero_shot with shots is
        # called few_shot, which is the same prompt.
        choice = name if group == "prompt" else choices.get(group, name)
        if choice != "none":
            found.append(f"{group}={choice}")
    return found
