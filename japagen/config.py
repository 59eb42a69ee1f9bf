"""Every knob as dataclasses in Hydra's ConfigStore; check(cfg) reports all problems at once."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import errno
import logging
import os
import re
import signal
import string
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf

log = logging.getLogger(__name__)

CONF = Path(__file__).resolve().parent.parent / "conf"


class UserError(CompactHydraException):
    """A problem the user can mend; Hydra prints its message without a traceback and exits with 1."""


@dataclass
class Wording:
    """What the LLM is told. `turns` has one instruction an input, in order; `{label}` stands for the label's text."""

    system: str = MISSING
    turns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Knowledge:
    """What `prompt=knowledge` adds: a slot value told with `sentence`, other label texts, or both."""

    slot: str = ""
    sentence: str = ""
    values: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass
class Clean:
    """Which replies are kept. Lengths in characters, ratios from 0 to 1."""

    min_chars: int = 5
    max_chars: int = 100
    min_japanese: float = 0.6
    near_duplicate: float = 0.9
    lines: int = 1
    same_allowed: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)


@dataclass
class Gold:
    """Where gold rows are. Of each list the first file that exists is read, relative to `gold_dir`."""

    format: str = "jsonl"
    train: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    how: str = ""


@dataclass
class Task:
    """A text task: `kind` classification or regression (labels are then numbers written as text)."""

    name: str = MISSING
    kind: str = "classification"
    inputs: list[str] = MISSING
    metric: str = "accuracy"
    labels: list[str] = MISSING
    wording: Wording = field(default_factory=Wording)
    knowledge: Knowledge | None = None
    clean: Clean = field(default_factory=Clean)
    gold: Gold | None = None


@dataclass
class Prompt:
    """How the wording is used. `shots` is the default of the option of the same name."""

    name: str = MISSING
    shots: int = 0
    knowledge: bool = False


@dataclass
class LLM:
    """An engine and a model. `sampling` and `engine` go to the engine as they are."""

    _target_: str = MISSING
    name: str = MISSING
    model: str = MISSING
    chat: bool = True
    licence: str = "unknown"
    concurrency: int = 1
    sampling: dict[str, Any] = field(default_factory=dict)
    engine: dict[str, Any] = field(default_factory=dict)
    # Of servers: where, the name of the environment variable with the key, and whether to start `vllm serve` for the job.
    base_url: str | None = None
    api_key_env: str | None = None
    serve: bool = False
    # US dollars per million tokens, and per dataset.
    price_prompt: float = 0.0
    price_completion: float = 0.0
    max_cost: float | None = None


@dataclass
class Filter:
    """Which accepted replies stay; `none` keeps all that cleaning keeps."""

    name: str = "none"


@dataclass
class Student:
    """A compact encoder. `pretrained`: a hub id, a folder, `embedded:NAME` or `random:NAME`."""

    name: str = MISSING
    pretrained: str = MISSING
    max_length: int = 128
    prefix: str = ""
    learning_rate: float = 5e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    dropout: float | None = None


@dataclass
class Data:
    """What the student is trained on. `valid` is the share of it kept for choosing the checkpoint.

    `num_per_label`: train on at most so many rows of a label, drawn by seed; null for all.
    """

    name: str = MISSING
    batch_size: int = 32
    valid: float = 0.1
    num_per_label: int | None = None


@dataclass
class Loss:
    """The training loss; `auto` is cross entropy for classification, mean squared error for regression.

    `class_weights`: a rare label's rows weigh more, so that every label counts the same.
    """

    name: str = "auto"
    class_weights: bool = False


@dataclass
class Trainer:
    """How long to train. `patience` in validations without a better score, 0 for no early stop.

    Few rows: more than max_epochs, until min_steps are done. Many: fewer, so as not to pass max_steps (0: no limit).
    `options` go to lightning.Trainer as they are; `precision: auto` is bfloat16 where the device is fast at it.
    """

    name: str = MISSING
    max_epochs: int = 10
    min_steps: int = 0
    max_steps: int = 0
    patience: int = 3
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Logger:
    """Where runs are recorded: mlflow or none."""

    name: str = "mlflow"


@dataclass
class Config:
    """What names a synthetic dataset and where things lie; the same for all three commands."""

    task: Task = field(default_factory=Task)
    prompt: Prompt = field(default_factory=Prompt)
    llm: LLM = field(default_factory=LLM)
    filter: Filter = field(default_factory=Filter)
    logger: Logger = field(default_factory=Logger)
    shots: int = 0
    seed: int = 0
    num_per_label: int = 16
    gold_dir: str | None = None
    synthetic_dir: str = "synthetic"
    student_dir: str = "students"
    mlflow_uri: str = "sqlite:///mlflow.db"
    experiment: str | None = None


@dataclass
class GenerateConfig(Config):
    """Options of generate.py. `max_attempts`: replies drawn for one example before it is given up."""

    dry_run: bool = False
    max_attempts: int = 10
    max_shortfall: float = 0.0


@dataclass
class TrainConfig(Config):
    """Options of train.py."""

    student: Student = field(default_factory=Student)
    data: Data = field(default_factory=Data)
    loss: Loss = field(default_factory=Loss)
    trainer: Trainer = field(default_factory=Trainer)


C = TypeVar("C", bound=Config)


def register() -> None:
    """Put the schemas of the commands into Hydra's ConfigStore."""
    store = ConfigStore.instance()
    store.store(name="generate_schema", node=GenerateConfig)
    store.store(name="train_schema", node=TrainConfig)


def check(cfg: DictConfig, schema: type[C]) -> C:
    """Return `cfg` as the dataclass `schema`, or raise one UserError that lists every problem in it."""
    missing = sorted(str(key) for key in OmegaConf.missing_keys(cfg))
    if missing:
        raise UserError(problems_text([f"{key} is missing: give it in the YAML of its group" for key in missing]))
    config = cast(C, OmegaConf.to_object(cfg))
    if not isinstance(config, schema):
        raise TypeError(f"expected {schema.__name__}, got {type(config).__name__}")
    problems = [*task_problems(config.task), *option_problems(config), *prompt_problems(config)]
    if problems:
        raise UserError(problems_text(problems))
    if config.prompt.name == "zero_shot" and config.shots > 0:
        # The same text either way, so it must be the same dataset under the same name.
        config.prompt.name = "few_shot"
    return config


def problems_text(problems: Iterable[str]) -> str:
    """One message for all problems, a line each."""
    lines = list(problems)
    head = "1 problem in the configuration:" if len(lines) == 1 else f"{len(lines)} problems in the configuration:"
    return "\n".join([head, *(f"  - {line}" for line in lines)])


def task_problems(task: Task) -> Iterator[str]:
    """What is wrong with a task's YAML."""
    where = f"task {task.name}"
    if task.kind not in ("classification", "regression"):
        yield f"{where}: kind is '{task.kind}'; allowed: classification, regression"
    if task.metric not in METRICS:
        yield f"{where}: metric is '{task.metric}'; allowed: {', '.join(METRICS)}{did_you_mean(task.metric, METRICS)}"
    elif task.kind in ("classification", "regression") and METRICS[task.metric] != task.kind:
        allowed = ", ".join(name for name, kind in METRICS.items() if kind == task.kind)
        yield f"{where}: metric {task.metric} is not for {task.kind}; allowed: {allowed}"
    if not 1 <= len(task.inputs) <= 2:
        yield f"{where}: inputs has {len(task.inputs)} names; one sentence or a pair of sentences is allowed"
    if len(set(task.labels)) < max(2, len(task.labels)):
        yield f"{where}: labels must be two or more different names, got {task.labels}"
    if task.kind == "regression":
        yield from (f"{where}: label '{y}' is not a number, which kind: regression needs" for y in task.labels if not is_number(y))
    yield from wording_problems(task)
    yield from knowledge_problems(task)


# Metric -> the kind of task it scores.
METRICS = {
    "accuracy": "classification",
    "macro_f1": "classification",
    "mcc": "classification",
    "pearson": "regression",
    "spearman": "regression",
}


def wording_problems(task: Task) -> Iterator[str]:
    """Every label and every input needs its text, and the label must reach the LLM."""
    where = f"task {task.name}: wording"
    for label in task.labels:
        if not task.wording.labels.get(label, "").strip():
            yield f"{where}.labels has no text for label '{label}': add `{label}: ...`"
    for label in set(task.wording.labels) - set(task.labels):
        yield f"{where}.labels has '{label}', which is not in labels{did_you_mean(label, task.labels)}"
    for name in task.inputs:
        if not task.wording.turns.get(name, "").strip():
            yield f"{where}.turns has no instruction for input '{name}': add `{name}: ...`"
    for name, text in task.wording.turns.items():
        if name not in task.inputs:
            yield f"{where}.turns has '{name}', which is not in inputs{did_you_mean(name, task.inputs)}"
        yield from (f"{where}.turns.{name}: {{{slot}}} is not known; allowed: {{label}}" for slot in placeholders(text) - {"label"})
    last = task.wording.turns.get(task.inputs[-1], "") if task.inputs else ""
    if last and "label" not in placeholders(last):
        yield f"{where}.turns.{task.inputs[-1]} does not contain {{label}}, so the LLM would not be told the label"


def knowledge_problems(task: Task) -> Iterator[str]:
    """A slot needs values and a sentence that tells them; other label texts need known labels."""
    if task.knowledge is None:
        return
    where, knowledge = f"task {task.name}: knowledge", task.knowledge
    for label in set(knowledge.labels) - set(task.labels):
        yield f"{where}.labels has '{label}', which is not in labels{did_you_mean(label, task.labels)}"
    if knowledge.values and "slot" not in placeholders(knowledge.sentence):
        yield f"{where}.sentence must contain {{slot}}, where each of values is told"
    if not knowledge.values and not knowledge.labels:
        yield f"{where} has neither values nor labels: give one of them or drop it"


def option_problems(config: Config) -> Iterator[str]:
    """What is wrong with the top-level options."""
    if config.num_per_label < 1:
        yield f"num_per_label is {config.num_per_label}; it must be 1 or more, e.g. num_per_label=16"
    if config.shots < 0:
        yield f"shots is {config.shots}; it must be 0 or more, e.g. shots=5"
    if config.seed < 0:
        yield f"seed is {config.seed}; it must be 0 or more"
    if config.llm.concurrency < 1:
        yield f"llm.concurrency is {config.llm.concurrency}; it must be 1 or more"
    if config.logger.name not in ("mlflow", "none"):
        yield f"logger is '{config.logger.name}'; allowed: mlflow, none"
    if isinstance(config, GenerateConfig) and config.max_attempts < 1:
        yield f"max_attempts is {config.max_attempts}; it must be 1 or more"
    if isinstance(config, GenerateConfig) and not 0 <= config.max_shortfall <= 1:
        yield f"max_shortfall is {config.max_shortfall}; it is a share, from 0 to 1"
    if isinstance(config, TrainConfig):
        yield from training_problems(config)


def training_problems(config: TrainConfig) -> Iterator[str]:
    """What is wrong with the options of train.py alone."""
    yield from loss_problems(config.loss, config.task)
    if config.data.name not in SOURCES:
        yield f"data is '{config.data.name}'; allowed: {', '.join(SOURCES)}{did_you_mean(config.data.name, SOURCES)}"
    if config.data.num_per_label is not None and config.data.num_per_label < 2:
        yield f"data.num_per_label is {config.data.num_per_label}; it must be 2 or more, or null for all rows"
    if config.data.batch_size < 1:
        yield f"data.batch_size is {config.data.batch_size}; it must be 1 or more"
    if not 0 < config.data.valid < 1:
        yield f"data.valid is {config.data.valid}; it is a share between 0 and 1, e.g. data.valid=0.1"
    if config.trainer.max_epochs < 1:
        yield f"trainer.max_epochs is {config.trainer.max_epochs}; it must be 1 or more"
    if config.student.max_length < 8:
        yield f"student.max_length is {config.student.max_length}; it must be 8 tokens or more"
    if config.student.learning_rate <= 0:
        yield f"student.learning_rate is {config.student.learning_rate}; it must be above 0, e.g. 5e-5"


# Where the rows come from that a student is trained on.
SOURCES = ("synthetic", "gold")

# Loss -> the kind of task it is for; the first of a kind is its `auto`.
LOSSES = {"cross_entropy": "classification", "mse": "regression"}


def loss_problems(loss: Loss, task: Task) -> Iterator[str]:
    """A loss must be known and fit the task's kind."""
    allowed = ["auto", *(name for name, kind in LOSSES.items() if kind == task.kind)]
    if loss.name not in allowed:
        yield f"loss is '{loss.name}'; allowed for {task.kind}: {', '.join(allowed)}{did_you_mean(loss.name, allowed)}"
    if loss.class_weights and task.kind != "classification":
        yield f"loss.class_weights is for classification; task {task.name} is {task.kind}"


def prompt_problems(config: Config) -> Iterator[str]:
    """A prompt must fit the number of shots and the task."""
    if config.prompt.name == "few_shot" and config.shots == 0:
        yield "prompt=few_shot needs shots of 1 or more: add shots=5, or use prompt=zero_shot"
    if config.prompt.knowledge and config.task.knowledge is None:
        yield f"prompt={config.prompt.name} needs `knowledge` in the YAML of task {config.task.name}: add it, or use prompt=zero_shot"


def is_number(text: str) -> bool:
    """Whether `text` reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def placeholders(template: str) -> set[str]:
    """Names in braces in `template`, e.g. {"label"}; a lone brace is reported as the name it spoils."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError:
        return {template.strip()[:20]}


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the word nearest to `word`, or nothing."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


@contextlib.contextmanager
def job() -> Iterator[None]:
    """Run a job: its error goes to its own log and the console at once; errors of disk and permission become one message.

    In a sweep the error is raised again, so that Hydra marks the job as failed and goes on with the others.
    """
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        yield
    except KeyboardInterrupt:
        log.warning("stopped; what was whole is kept, the same command goes on where it can")
        raise SystemExit(130) from None
    except UserError as error:
        fail(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT):
            log.exception("the job failed")
            raise
        where = error.filename or "a file"
        fail(UserError(f"cannot write {where}: {error.strerror}. Free space or mend the permission, then type the same command: what was whole is kept."))
    except Exception:
        log.exception("the job failed")
        raise


def fail(error: UserError) -> None:
    """Log `error`; end the program where it is the only job, so that Hydra does not print it a second time."""
    log.error("%s", error)
    if HydraConfig.get().mode == RunMode.MULTIRUN or os.environ.get("HYDRA_FULL_ERROR"):
        raise error
    raise SystemExit(1)


@contextlib.contextmanager
def hints(schema: type[Config]) -> Iterator[None]:
    """After Hydra's own message for an option it refuses, say which one was probably meant."""
    try:
        yield
    except SystemExit as stop:
        if stop.code not in (None, 0):
            for line in override_hints(sys.argv[1:], schema):
                print(line, file=sys.stderr)
        raise


def override_hints(argv: Iterable[str], schema: type[Config]) -> Iterator[str]:
    """A line for each `key=value` of `argv` whose key or whose group's choice is unknown."""
    arguments = list(argv)
    for argument in arguments:
        found = re.fullmatch(r"\+{0,2}([\w./]+)(?:@[\w.]+)?=(.*)", argument)
        if found is None:
            continue
        key, value = found.groups()
        choices = group_choices(key, arguments)
        for choice in value.split(",") if choices else []:
            if choice not in choices and choice not in ("", "null"):
                yield f"{key}={choice} is unknown; choices: {', '.join(sorted(choices))}{did_you_mean(choice, choices)}"
        if not choices and not key.startswith("hydra"):
            yield from key_hint(key, schema)


def group_choices(group: str, argv: list[str]) -> set[str]:
    """The YAMLs of a config group, of ours and of --config-dir."""
    folders = [CONF]
    for flag, value in zip(argv, [*argv[1:], ""], strict=True):
        if flag in ("--config-dir", "-cd"):
            folders.append(Path(value).expanduser())
        elif flag.startswith("--config-dir="):
            folders.append(Path(flag.partition("=")[2]).expanduser())
    return {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}


def key_hint(key: str, schema: type[Any]) -> Iterator[str]:
    """A line where a part of the dotted `key` is no field of `schema`."""
    part, _, rest = key.partition(".")
    fields = {item.name: item for item in dataclasses.fields(schema)}
    if part not in fields:
        yield f"{part} is not an option; options: {', '.join(sorted(fields))}{did_you_mean(part, fields)}"
    elif rest:
        inner = type(fields[part].default_factory()) if callable(fields[part].default_factory) else None
        if inner is not None and dataclasses.is_dataclass(inner):
            yield from key_hint(rest, inner)
