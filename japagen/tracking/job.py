"""What tracking needs to know of a job, taken from its configuration once."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.config.schema import Config, Data, Loss
from japagen.config.secret import remember_all, without_secrets
from japagen.job import sweep
from japagen.job.typed import task_overrides
from japagen.tracking import name
from japagen.tracking.connect import address

# Options that a run's name shows anyway.
IN_NAME = (
    *("task", "prompt", "shots", "filter", "llm", "student", "loss", "seed", "seeds"),
    *("num_per_label", "data", "data.shots", "data.fraction", "data.num_per_label"),
)
LONGEST = 240  # characters of a name; MLflow's databases take 250
TEXTS = ("task.wording", "task.knowledge", "task.question", "task.gold")  # too long for params

# Options of a synthetic dataset.
SYNTHETIC = (
    *("prompt", "num_per_label", "filter", "select", "knowledge"),
    *("max_attempts", "max_shortfall"),
)


@dataclass(frozen=True)
class Job:
    """A job as its run in MLflow shows it.

    `method` is the row of the report's table, `uri` the store, `experiment` the task's name,
    `options` the configuration without secrets, `params` the same as scalars with dotted keys,
    `recorded` whether MLflow records it, `others` the names of further loggers.
    """

    stage: str
    experiment: str
    uri: str
    name: str
    method: str
    options: Mapping[str, Any]
    params: Mapping[str, object]
    recorded: bool
    system_metrics: bool
    others: Sequence[str] = ()

    @property
    def groups(self) -> dict[str, str]:
        """The tags by which MLflow's pages can group runs."""
        # A student of gold alone has no LLM, prompt or shots; a saved one those of its training.
        gold = self.params.get("data") in name.GOLD_ALONE
        kinds = ["task", "data", "data.shots", "data.fraction", "loss", "student", "subject"]
        if not gold and self.params.get("subject") not in ("student", "encoder"):
            kinds += ["llm", "prompt", "shots"]
        return {kind: str(self.params[kind]) for kind in kinds if kind in self.params}


def job_of(config: Config, stage: str) -> Job:
    """The job of `config`; `stage` is generate, estimate, train, seeds or evaluate.

    All secrets of `config` are remembered, and hidden from here on.
    """
    plain = dataclasses.asdict(config)
    remember_all(plain)
    seed = getattr(config, "training_seed", config.seed)
    shown = plain | {"training_seed": seed, "stage": stage}
    data: Data | None = getattr(config, "data", None)
    loss: Loss | None = getattr(config, "loss", None)
    chosen = config.select.name, config.knowledge.name
    synthetic = name.synthetic_method(config.prompt, config.filter, config.shots, *chosen)
    method = name.training_method(data, loss, synthetic)
    if stage == "evaluate" and getattr(config, "subject", "prompting") == "prompting":
        calibrated = " calibrated" if config.question.calibrate else ""
        method = f"prompting {config.shots}-shot{calibrated}"
    elif stage == "evaluate" and getattr(config, "subject", "") == "encoder":
        method = "cosine, untrained"
    options = without_secrets(plain | {"mlflow_uri": address(config.mlflow_uri)})
    return Job(
        stage=stage,
        experiment=config.task.name,
        uri=address(config.mlflow_uri),
        name=run_name(shown, data, method),
        method=method,
        options=options,
        params=used(params(options, seed)),
        recorded=config.logger.mlflow,
        system_metrics=config.logger.system_metrics,
        others=config.logger.others,
    )


def run_name(options: Mapping[str, Any], data: Data | None, method: str) -> str:
    """A readable name, what tells runs apart first.

    For example `zero-shot verified ×64 -> e5_small_ja · seed 1 · gemma3_270m`. The task is the name
    of the experiment.
    """
    stage, subject = options["stage"], options.get("subject")
    llm, limit = f" · {options['llm']['name']}", (options.get("data") or {}).get("num_per_label")
    number = f" ×{min(limit or math.inf, options['num_per_label'])}"
    if subject == "student":
        source, llm = f"student {Path(options['student']['path'] or '').name}", ""
    elif subject == "prompting":
        source = method
    elif subject == "encoder":
        return method
    else:
        source = f"dataset {method}{number}" if subject else f"{method}{number}"
    if data is not None:
        gold = data.name in name.GOLD_ALONE
        share = f" x{data.fraction:g}" if data.fraction != 1 else ""
        limited = f" ×{limit}" if limit else ""
        source = f"{method}{limited}" if gold else source
        source = f"{source}{share} -> {options['student']['name']}"
        llm = "" if gold else llm
    seed = f"seed {options['training_seed']}"
    if data is not None and data.name not in name.GOLD_ALONE:
        other = options["seed"] != options["training_seed"]
        seed += f" dataset {options['seed']}" if other else ""
    if stage == "seeds":
        seed = f"seeds {' '.join(map(str, options['seeds']))}"
    parts = ["estimate"] if stage == "estimate" else []
    return (" · ".join([*parts, source, seed]) + llm + varied_options())[:LONGEST]


def varied_options() -> str:
    """The options that this job's sweep varies and the rest of its run's name does not show."""
    folder = sweep.state_folder()
    if folder is None:
        return ""
    varied = str(sweep.read(folder / sweep.HEAD).get("varied", "")).split()
    words = [word.lstrip("+") for word in task_overrides()]
    keys = [key for key in varied if key not in IN_NAME]
    return "".join(f" · {word}" for word in words if word.partition("=")[0] in keys)


def params(options: Mapping[str, Any], seed: int) -> dict[str, object]:
    """The scalars of `options` with dotted keys; `seed` is that of the training."""
    flat = dict(scalars(options))
    if seed != flat["seed"] and flat.get("data") not in name.GOLD_ALONE:
        flat["dataset_seed"] = flat["seed"]
    return {**flat, "seed": seed}


def used(params: Mapping[str, object]) -> dict[str, object]:
    """The params without the options that a job of this kind does not use.

    A student of gold alone has no LLM and no synthetic rows; the prompted LLM no synthetic rows.
    """
    unused: tuple[str, ...] = SYNTHETIC if params.get("subject") == "prompting" else ()
    if params.get("data") in name.GOLD_ALONE or params.get("subject") == "encoder":
        unused = (*SYNTHETIC, "llm", "shots", "shots_scope", "question")
    return {key: one for key, one in params.items() if key.partition(".")[0] not in unused}


def scalars(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, value) of each scalar; the name of a group's choice gets the key `llm`."""
    if isinstance(value, Mapping):
        for part, inner in value.items():
            if (path := f"{key}.{part}".lstrip(".")) not in TEXTS:
                yield from scalars(inner, path)
    elif value is not None and not isinstance(value, (list, tuple)):
        yield re.sub(r"^(\w+)\.name$", r"\1", key), value
