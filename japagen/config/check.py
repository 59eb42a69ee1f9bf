"""check(cfg): the config as dataclasses, or all its problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

from omegaconf import DictConfig, OmegaConf

from japagen.config import published
from japagen.config.check_task import task_problems
from japagen.config.choice import (
    FILTER_METHODS,
    LOSS_OPTIONS,
    LOSSES,
    ORDERS,
    POOLINGS,
    SCHEDULES,
    SOURCES,
    SUBJECTS,
)
from japagen.config.error import UserError, did_you_mean
from japagen.config.schema import (
    Config,
    Data,
    EvaluateConfig,
    Filter,
    GenerateConfig,
    Loss,
    Student,
    TrainConfig,
)
from japagen.config.task import Task

C = TypeVar("C", bound=Config)


def check(cfg: DictConfig, schema: type[C]) -> C:
    """Return `cfg` as the dataclass `schema`, or raise one UserError that lists every problem in it."""
    missing = sorted(str(key) for key in OmegaConf.missing_keys(cfg))
    if missing:
        raise UserError(
            problems_text(
                [f"{key} is missing: give it in the YAML of its group" for key in missing]
            )
        )
    config = cast(C, OmegaConf.to_object(cfg))
    if not isinstance(config, schema):
        raise TypeError(f"expected {schema.__name__}, got {type(config).__name__}")
    if config.prompt.path is not None:
        config.task = published.read(config.prompt.path, config.task)
    elif config.prompt.name == "japagen_json":
        raise UserError("prompt=japagen_json needs the file: add prompt.path=FILE")
    problems = [
        *task_problems(config.task, config.prompt.path is not None),
        *option_problems(config),
        *prompt_problems(config),
    ]
    if problems:
        raise UserError(problems_text(problems))
    if config.prompt.name == "zero_shot" and config.shots > 0:
        # The same text either way, so it must be the same dataset under the same name.
        config.prompt.name = "few_shot"
    return config


def problems_text(problems: Iterable[str]) -> str:
    """One message for all problems, a line each."""
    lines = list(problems)
    head = (
        "1 problem in the configuration:"
        if len(lines) == 1
        else f"{len(lines)} problems in the configuration:"
    )
    return "\n".join([head, *(f"  - {line}" for line in lines)])


def option_problems(config: Config) -> Iterator[str]:
    """What is wrong with the top-level options."""
    if config.num_per_label < 1:
        yield f"num_per_label is {config.num_per_label}; it must be 1 or more, e.g. num_per_label=16"
    if config.shots < 0:
        yield f"shots is {config.shots}; it must be 0 or more, e.g. shots=5"
    if config.shots_scope not in ("label", "all"):
        yield f"shots_scope is '{config.shots_scope}'; allowed: label, all"
    yield from filter_problems(config.filter)
    if config.llm.max_cost is not None and not (
        config.llm.price_prompt or config.llm.price_completion
    ):
        yield "llm.max_cost needs prices: give llm.price_prompt and llm.price_completion in US dollars per million tokens"
    if config.seed < 0:
        yield f"seed is {config.seed}; it must be 0 or more"
    if config.llm.concurrency < 1:
        yield f"llm.concurrency is {config.llm.concurrency}; it must be 1 or more"
    if config.logger.name not in ("mlflow", "none"):
        yield f"logger is '{config.logger.name}'; allowed: mlflow, none"
    if config.logger.name == "none" and config.logger.model:
        yield "logger.model=true has nowhere to go with logger=none; take logger=mlflow, or leave it out"
    if isinstance(config, GenerateConfig) and (config.max_attempts or 1) < 1:
        yield f"max_attempts is {config.max_attempts}; it must be 1 or more"
    if isinstance(config, GenerateConfig) and not 0 <= config.max_shortfall <= 1:
        yield f"max_shortfall is {config.max_shortfall}; it is a share, from 0 to 1"
    if isinstance(config, TrainConfig):
        yield from training_problems(config)
    if isinstance(config, EvaluateConfig):
        yield from evaluating_problems(config)


def filter_problems(rule: Filter) -> Iterator[str]:
    """What is wrong with the label filter's options."""
    if rule.method not in FILTER_METHODS:
        near = did_you_mean(rule.method, FILTER_METHODS)
        yield f"filter.method is '{rule.method}'; allowed: {', '.join(FILTER_METHODS)}{near}"
    for key in ("tolerance", "shots", "dev_rows", "check_after"):
        if getattr(rule, key) < 0:
            yield f"filter.{key} is {getattr(rule, key)}; it must be 0 or more"
    for key in ("min_probability", "min_confirmed"):
        if not 0 <= getattr(rule, key) <= 1:
            yield f"filter.{key} is {getattr(rule, key)}; it must be from 0 to 1"
    if rule.student is not None and rule.method == "none":
        yield "filter.student needs a filter that asks it: add filter=verified"
    if rule.method == "auto" and not rule.dev_rows:
        yield "filter=auto needs gold rows to choose by: add filter.dev_rows=30"


def evaluating_problems(config: EvaluateConfig) -> Iterator[str]:
    """What is wrong with the options of evaluate.py alone."""
    if config.subject not in SUBJECTS:
        yield f"subject is '{config.subject}'; allowed: {', '.join(SUBJECTS)}{did_you_mean(config.subject, SUBJECTS)}"
    if config.subject == "student" and not config.student.path:
        yield "subject=student needs the student: add student.path=FOLDER, as train.py printed it, or the id of its MLflow run"
    if config.limit is not None and config.limit < 2:
        yield f"limit is {config.limit}; it must be 2 or more rows, or null for all"
    if config.limit is not None and config.subject == "dataset":
        yield "limit is for subject=prompting and subject=student; num_per_label says how much of a dataset is looked at"
    if config.max_chars < 1:
        yield f"max_chars is {config.max_chars}; it must be 1 or more, e.g. max_chars=400"
    if config.student.batch_size < 1:
        yield f"student.batch_size is {config.student.batch_size}; it must be 1 or more"


def training_problems(config: TrainConfig) -> Iterator[str]:
    """What is wrong with the options of train.py alone."""
    yield from loss_problems(config.loss, config.task)
    yield from data_problems(config.data)
    if config.loss.name == "soft" and "synthetic" not in SOURCES.get(
        config.data.name, ("synthetic",)
    ):
        yield f"loss=soft is for the labels of an LLM; data={config.data.name} has none: use data=synthetic or data=mixed"
    if config.loss.name == "sungen" and config.data.gold_weight != 1:
        yield "loss=sungen learns the weight of each row: drop data.gold_weight"
    if config.trainer.max_epochs < 1:
        yield f"trainer.max_epochs is {config.trainer.max_epochs}; it must be 1 or more"
    if config.student.max_length < 8:
        yield f"student.max_length is {config.student.max_length}; it must be 8 tokens or more"
    if config.trainer.save_steps < 1:
        yield f"trainer.save_steps is {config.trainer.save_steps}; it must be 1 or more"
    if config.seeds is not None and (
        len(set(config.seeds)) < max(1, len(config.seeds)) or min(config.seeds) < 0
    ):
        yield f"seeds is {config.seeds}; allowed: different numbers of 0 or more, e.g. seeds=[0,1,2]"
    if config.export not in (None, "onnx"):
        yield f"export is '{config.export}'; allowed: onnx"
    yield from student_problems(config.student)


def data_problems(data: Data) -> Iterator[str]:
    """What is wrong with the rows that are asked for."""
    if data.name not in SOURCES:
        yield f"data is '{data.name}'; allowed: {', '.join(SOURCES)}{did_you_mean(data.name, SOURCES)}"
    if data.num_per_label is not None and data.num_per_label < 2:
        yield f"data.num_per_label is {data.num_per_label}; it must be 2 or more, or null for all rows"
    if data.batch_size < 1:
        yield f"data.batch_size is {data.batch_size}; it must be 1 or more"
    for key in ("valid", "synthetic_share"):
        if not 0 < getattr(data, key) < 1:
            yield f"data.{key} is {getattr(data, key)}; it is a share between 0 and 1, e.g. data.{key}={getattr(Data, key)}"
    if not 0 < data.fraction <= 1:
        yield f"data.fraction is {data.fraction}; it is a share above 0, at most 1, e.g. data.fraction=0.5"
    if not 0 <= data.near_duplicate <= 1:
        yield f"data.near_duplicate is {data.near_duplicate}; it is a similarity from 0 to 1, 0 for none, e.g. 0.9"
    yield from shots_problems(data)
    yield from mixture_problems(data)


def shots_problems(data: Data) -> Iterator[str]:
    """Shots are for data=few_gold, which needs them, and data=mixed."""
    if data.shots is None and data.name == "few_gold":
        yield "data=few_gold needs data.shots, the gold rows of each label, e.g. data.shots=16; data=gold has all rows"
    elif data.shots is not None and data.shots < 1:
        yield f"data.shots is {data.shots}; it must be 1 or more, or null for all gold rows"
    elif data.shots is not None and data.name in ("synthetic", "gold"):
        yield f"data.shots is for data=few_gold and data=mixed, not data={data.name}; the LLM's shots are `shots`"


def mixture_problems(data: Data) -> Iterator[str]:
    """Order and weight belong to data=mixed, and to each other."""
    if data.order not in ORDERS:
        yield f"data.order is '{data.order}'; allowed: {', '.join(ORDERS)}{did_you_mean(data.order, ORDERS)}"
    elif data.order != "together" and data.name != "mixed":
        yield f"data.order={data.order} is for data=mixed, not data={data.name}"
    if data.gold_weight <= 0:
        yield f"data.gold_weight is {data.gold_weight}; it must be above 0, e.g. data.gold_weight=2"
    elif data.gold_weight != 1 and (data.name != "mixed" or data.order != "together"):
        yield "data.gold_weight is for data=mixed data.order=together, where a batch has rows of both sources"


def student_problems(student: Student) -> Iterator[str]:
    """What is wrong with the options of a student."""
    if student.learning_rate <= 0:
        yield f"student.learning_rate is {student.learning_rate}; it must be above 0, e.g. 5e-5"
    if not 0 < student.layer_decay <= 1:
        yield f"student.layer_decay is {student.layer_decay}; it is above 0 and at most 1, e.g. student.layer_decay=0.9"
    if not 0 <= student.warmup < 1:
        yield f"student.warmup is {student.warmup}; it is a share of the steps, from 0 to below 1"
    for key, value, allowed in (
        ("schedule", student.schedule, SCHEDULES),
        ("pooling", student.pooling, POOLINGS),
    ):
        if value is not None and value not in allowed:
            yield f"student.{key} is '{value}'; allowed: {', '.join(allowed)}{did_you_mean(value, allowed)}"


def loss_problems(loss: Loss, task: Task) -> Iterator[str]:
    """A loss must be known and fit the task's kind."""
    allowed = ["auto", *(name for name, kind in LOSSES.items() if kind == task.kind)]
    if loss.name not in allowed:
        yield f"loss is '{loss.name}'; allowed for {task.kind}: {', '.join(allowed)}{did_you_mean(loss.name, allowed)}"
    if loss.class_weights and task.kind != "classification":
        yield f"loss.class_weights is for classification; task {task.name} is {task.kind}"
    for key, (words, allows) in LOSS_OPTIONS.items():
        if not allows(getattr(loss, key)):
            yield f"loss.{key} is {getattr(loss, key)}; it must be {words}, e.g. loss.{key}={getattr(Loss, key)}"
    if loss.alpha == loss.beta == 0:
        yield "loss.alpha and loss.beta are both 0: nothing would be trained; e.g. loss.alpha=0.1 loss.beta=1"


def prompt_problems(config: Config) -> Iterator[str]:
    """A prompt must fit the number of shots and the task."""
    pair = len(config.task.inputs) > 1
    if config.prompt.premise not in ("per_label", "shared"):
        yield f"prompt.premise is '{config.prompt.premise}'; allowed: per_label, shared"
    elif config.prompt.premise == "shared" and not pair:
        yield f"prompt.premise=shared is for pairs of sentences; task {config.task.name} has one"
    elif config.prompt.premise == "shared" and config.shots and config.shots_scope != "all":
        yield "prompt.premise=shared shows the same shots under every label: add shots_scope=all"
    if config.prompt.joint and not pair:
        yield f"prompt.joint=true is for pairs of sentences; task {config.task.name} has one"
    if config.prompt.joint and config.prompt.premise == "shared":
        yield "prompt.joint=true writes both sentences at once, so prompt.premise=shared cannot hold: drop one of them"
    if config.prompt.name == "few_shot" and config.shots == 0:
        yield "prompt=few_shot needs shots of 1 or more: add shots=5, or use prompt=zero_shot"
    if config.prompt.knowledge and config.task.knowledge is None and config.prompt.path is None:
        yield f"prompt={config.prompt.name} needs `knowledge` in the YAML of task {config.task.name}: add it, or use prompt=zero_shot"
