"""What tracking needs to know of a job, taken from its configuration once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.config.schema import Config, Data, Loss
from japagen.config.secret import remember_all, without_secrets
from japagen.tracking import name
from japagen.tracking.connect import address

TEXTS = ("task.wording", "task.knowledge", "task.question", "task.gold")  # too long for params


@dataclass(frozen=True)
class Job:
    """A job as its run in MLflow shows it.

    `method` is the row of the report's table, `uri` the store, `experiment` the task's name,
    `options` the configuration without secrets, `params` the same as scalars with dotted keys.
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

    @property
    def groups(self) -> dict[str, str]:
        """The tags by which MLflow's pages can group runs."""
        # A student of gold alone has no LLM, prompt or shots; a saved one those of its training.
        gold = self.params.get("data") in name.GOLD_ALONE
        kinds = ["task", "data", "data.shots", "data.fraction", "loss", "student", "subject"]
        if not gold and self.params.get("subject") != "student":
            kinds += ["llm", "prompt", "shots"]
        return {kind: str(self.params[kind]) for kind in kinds if kind in self.params}


def job_of(config: Config, stage: str) -> Job:
    """The job of `config`; `stage` is generate, estimate, train, seeds or evaluate.

    All secrets of `config` are remembered, and hidden from here on.
    """
    plain = dataclasses.asdict(config)
    remember_all(plain)
    seed = getattr(config, "training_seed", config.seed)
    synthetic = name.synthetic_source(
        config.prompt.name, config.shots, config.filter.name, config.llm.name
    )
    shown = plain | {"synthetic": synthetic, "training_seed": seed, "stage": stage}
    data: Data | None = getattr(config, "data", None)
    loss: Loss | None = getattr(config, "loss", None)
    method = name.training_method(
        data, loss, name.synthetic_method(config.prompt, config.filter, config.shots)
    )
    if stage == "evaluate" and getattr(config, "subject", "prompting") == "prompting":
        calibrated = " calibrated" if config.question.calibrate else ""
        method = f"prompting {config.shots}-shot{calibrated}"
    options = without_secrets(plain | {"mlflow_uri": address(config.mlflow_uri)})
    return Job(
        stage=stage,
        experiment=config.task.name,
        uri=address(config.mlflow_uri),
        name=run_name(shown, data),
        method=method,
        options=options,
        params=params(options, seed),
        recorded=config.logger.name != "none",
        system_metrics=config.logger.system_metrics,
    )


def run_name(options: Mapping[str, Any], data: Data | None) -> str:
    """A readable name, e.g. `jnli · knowledge 0-shot · gemma3_270m -> e5_small_ja · seed 1`."""
    source, stage = options["synthetic"], options["stage"]
    if data is not None:
        source = f"{name.training_source(data, source)} -> {options['student']['name']}"
    kind = f" · {stage}" if stage in ("evaluate", "estimate") else ""
    if subject := options.get("subject"):
        kind = f"{kind} {subject}"
        if subject == "prompting":
            source = f"{options['shots']}-shot · {options['llm']['name']}"
        elif subject == "student":
            source = Path(options["student"]["path"] or "").name
    return f"{options['task']['name']}{kind} · {source} · seed {options['training_seed']}"


def params(options: Mapping[str, Any], seed: int) -> dict[str, object]:
    """The scalars of `options` with dotted keys; `seed` is that of the training."""
    flat = dict(scalars(options))
    if seed != flat["seed"] and flat.get("data") not in name.GOLD_ALONE:
        flat["dataset_seed"] = flat["seed"]
    return {**flat, "seed": seed}


def scalars(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, value) of each scalar; the name of a group's choice gets the key `llm`."""
    if isinstance(value, Mapping):
        for part, inner in value.items():
            if (path := f"{key}.{part}".lstrip(".")) not in TEXTS:
                yield from scalars(inner, path)
    elif value is not None and not isinstance(value, (list, tuple)):
        yield re.sub(r"^(\w+)\.name$", r"\1", key), value
