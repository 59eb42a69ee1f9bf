"""One MLflow run per job; the only importer of mlflow."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import re
import shlex
import sqlite3
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from omegaconf import OmegaConf

from japagen.config import Config, Data, EvaluateConfig, TrainConfig, UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

# A key or word that names a secret; `max_tokens` and `tokenizer` do not. Then the same, and an address, with its value.
SECRET = r"(?i:(?:(?:api|access|private)[_-]?key|passw(?:or)?d|secret|credential|authorization)s?|token)(?![A-Za-z])"
SECRET_TEXT = re.compile(rf"(://[^/\s:@]*:)[^/\s@]+(?=@)|({SECRET}['\"]?\s*[:=]\s*['\"]?(?i:bearer )?)[^\s'\",&}}]+")
REFUSED = re.compile(r"[^\w.\-/ ]")  # characters that MLflow does not take in a key
FONTS = ("Noto Sans CJK JP", "Noto Sans JP", "IPAexGothic", "IPAGothic", "Hiragino Sans", "Yu Gothic", "MS Gothic")


class Run:
    """What a job records. No method raises; with logger=none, or after a failure of MLflow, they do nothing."""

    def __init__(self, name: str = "") -> None:
        self.client: MlflowClient | None = None
        self.name, self.id, self.experiment, self.lost = name, "", "", ""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Numbers, at `step` where they form a curve."""
        now = int(time.time() * 1000)
        self.batch("metrics", lambda new: [new.Metric(key, float(x), now, step or 0) for key, x in safe(values)])

    def tags(self, values: Mapping[str, str]) -> None:
        """Words to find the run by, cut at 5,000 characters."""
        self.batch("tags", lambda new: [new.RunTag(key, hidden(text)[:5000]) for key, text in safe(values)])

    def params(self, values: Mapping[str, object]) -> None:
        """Settings, cut at 500 characters; MLflow lets none be given a second value."""
        self.batch("params", lambda new: [new.Param(key, hidden(value)[:500]) for key, value in safe(values)])

    def batch(self, kind: str, make: Callable[[Any], Any]) -> None:
        """All that `make` returns in one request."""
        self.record(lambda client, entities: client.log_batch(self.id, **{kind: make(entities)}))

    def text(self, text: str, name: str) -> None:
        """A text as the artifact `name`, e.g. "samples.md"."""
        self.record(lambda client, _: client.log_text(self.id, hidden(text), name))

    def file(self, path: Path, folder: str = "") -> None:
        """A copy of the file `path` as an artifact in `folder`."""
        self.record(lambda client, _: client.log_artifact(self.id, str(path), folder or None))

    def figure(self, figure: Figure, name: str) -> None:
        """A Matplotlib figure as the artifact `name`, e.g. "confusion.png"."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # one for each character that the font lacks
            self.record(lambda client, _: client.log_figure(self.id, figure, name))

    def dataset(self, rows: Iterable[Mapping[str, str]], name: str, source: str, context: str) -> None:
        """The rows the job used, as MLflow's dataset input; `context`: "training", "evaluation" or "generation"."""

        def send(client: MlflowClient, new: Any) -> None:
            # Not mlflow.data.from_pandas: this digest covers every row, is the same on every machine, and needs no memory.
            digest, number, columns = hashlib.sha256(), 0, list[str]()
            for row in rows:
                number += 1
                columns = columns or list(row)
                digest.update(json.dumps(dict(row)).encode())
            place = json.dumps({"uri": hidden(source)}, ensure_ascii=False)
            schema = json.dumps({"mlflow_colspec": [{"type": "string", "name": column, "required": True} for column in columns]})
            dataset = new.Dataset(name, digest.hexdigest()[:16], "local", place, schema, json.dumps({"num_rows": number}))
            client.log_inputs(self.id, [new.DatasetInput(dataset, [new.InputTag("mlflow.data.context", context)])])

        self.record(send)

    def record(self, action: Callable[[MlflowClient, Any], object]) -> None:
        """Call `action` with the client and mlflow.entities, unless MLflow failed before."""
        if self.client and self.id and not self.lost:
            with guard(self) as mlflow:
                action(self.client, mlflow.entities)

    def close(self, status: str) -> None:
        """End the run; tried even after a failure, or it would look as if it ran for ever."""
        if self.client and self.id:
            with guard(self):
                self.client.set_terminated(self.id, status=status)
                if self.lost:
                    self.client.set_tag(self.id, "incomplete", self.lost)


@contextmanager
def run(config: Config, stage: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """One MLflow run for a job; `stage` is "generate", "train" or "evaluate".

    An exception ends it as FAILED (Ctrl+C: KILLED), with the text as tag `error` and the traceback as error.txt, and is
    raised again. A failure of MLflow itself is one warning and never the end of the job.
    """
    recorded = Run() if config.logger.name == "none" else start(config, stage, tags)
    try:
        yield recorded
    except BaseException as error:
        recorded.tags({"error": f"{type(error).__name__}: {error}"})
        recorded.text("".join(traceback.format_exception(error)), "error.txt")
        recorded.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    recorded.close("FINISHED")


def start(config: Config, stage: str, tags: Mapping[str, str]) -> Run:
    """A new run with the config's tags, params and config.yaml, or one that does nothing where MLflow fails."""
    recorded, plain = Run(run_name(config, stage)), without_secrets(dataclasses.asdict(config))
    with guard(recorded):
        recorded.client, recorded.experiment = connect(config)
        created = recorded.client.create_run(recorded.experiment, tags={"stage": stage}, run_name=recorded.name)
        recorded.id = created.info.run_id
    params = dict(flat(plain))
    # A student of gold data alone has no llm, prompt or shots to be grouped by; a saved one has those of its training.
    without = params.get("data") in ("gold", "few_gold") or params.get("subject") == "student"
    kinds = ("task", "data", "data.shots", "data.fraction", "loss", "student", "subject")
    grouping = (*kinds, *(() if without else ("llm", "prompt", "shots")))
    recorded.tags({**{key: str(params[key]) for key in grouping if key in params}, **tags})
    recorded.params(params)
    with guard(recorded):
        recorded.text(OmegaConf.to_yaml(OmegaConf.create(plain)), "config.yaml")
    return recorded


def latest(config: Config, stage: str, fingerprint: str) -> str:
    """The id of the newest finished run of `stage` with this tag `fingerprint`, or ""."""
    wanted = f"tags.stage = '{stage}' and tags.fingerprint = '{fingerprint}' and attributes.status = 'FINISHED'"
    if config.logger.name != "none":
        with guard(Run()):
            client, experiment = connect(config)
            for found in client.search_runs([experiment], wanted, max_results=1, order_by=["start_time DESC"]):
                return str(found.info.run_id)
    return ""


def folder_of(config: Config, run_id: str) -> str:
    """The tag `folder` of the run with this id, or "" where there is none."""
    path = database(config.mlflow_uri)
    if path is None or path.exists():
        with guard(Run()):
            return str(connect(config)[0].get_run(run_id).data.tags.get("folder", ""))
    return ""


@contextmanager
def guard(run: Run) -> Iterator[ModuleType]:
    """Without log lines of MLflow and its kin; a failure becomes one warning and the last thing that `run` records."""
    # MLflow reads these: our users' jobs are not for its makers to count, and it would try a dead server for 4 minutes.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow  # before its loggers are silenced, because it sets their levels

    levels = {logger: logger.level for logger in map(logging.getLogger, ("mlflow", "alembic", "urllib3"))}
    try:
        for logger in levels:
            logger.setLevel(logging.CRITICAL)
        yield mlflow
    except Exception as error:
        if not run.lost:
            reason = re.split(r"\[SQL|\(Background", f"{type(error).__name__}: {error}")[0]
            run.lost = hidden(" ".join(reason.split()))[:400]
            log.warning("MLflow failed, the job goes on without it (logger=none turns it off): %s", run.lost)
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def where(config: Config, run: Run) -> str:
    """What to type or open to see `run`, or "" where none was recorded."""
    page = f"#/experiments/{run.experiment}/runs/{run.id} (experiment {config.task.name}, run '{run.name}')"
    path, uri = database(config.mlflow_uri), hidden(config.mlflow_uri.rstrip("/"))
    if not run.id or uri.startswith("http"):
        return f"{uri}/{page}" if run.id else ""
    # Plain `mlflow ui` opens ./mlflow.db, unless ./mlruns has runs of MLflow's old file store.
    plain = path == Path("mlflow.db").absolute() and not any(Path("mlruns").glob("*/meta.yaml"))
    option = "" if plain else f" --backend-store-uri {shlex.quote(f'sqlite:///{path}' if path else uri)}"
    return f"mlflow ui{option}  ->  http://127.0.0.1:5000/{page}"


def connect(config: Config) -> tuple[MlflowClient, str]:
    """MLflow's client and the id of the task's experiment; both are made where there is none."""
    from mlflow import MlflowClient

    path = database(config.mlflow_uri)
    if path is None:
        client = MlflowClient(tracking_uri=config.mlflow_uri)
        return client, experiment_id(client, config.task.name, None)
    with FileLock(f"{path}.lock", timeout=120):  # two first jobs at once would both make the tables
        with closing(sqlite3.connect(path, timeout=20)) as connection:
            # Asked first, because MLflow tries a file that it cannot write ten times in 100 seconds.
            connection.execute("BEGIN IMMEDIATE")
        client = MlflowClient(tracking_uri=f"sqlite:///{path.as_posix()}")
        folder = path.parent / "mlruns" / REFUSED.sub("_", config.task.name)
        return client, experiment_id(client, config.task.name, folder.as_uri())


def experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of the experiment `name`; one deleted in the UI comes back, because its name cannot be used again."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, artifact_location=artifacts)
        except Exception:
            found = client.get_experiment_by_name(name)
            if found is None:  # else another job was faster
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def database(uri: str) -> Path | None:
    """The absolute path of the SQLite file that `uri` names, or None for another kind of store."""
    found = re.fullmatch(r"sqlite:///((?!:)[^?]+)", uri)
    return Path(found[1]).absolute() if found else None


def run_name(config: Config, stage: str) -> str:
    """A name a person can read, e.g. `jnli · knowledge 0-shot · gemma3_270m -> e5_small_ja · seed 1`."""
    kept = "" if config.filter.name == "none" else f" {config.filter.name}"
    source = f"{config.prompt.name} {config.shots}-shot{kept} · {config.llm.name}"
    if isinstance(config, TrainConfig):
        source = f"{source_name(config.data, source)} -> {config.student.name}"
    subject = f" · {stage}" if stage in ("evaluate", "estimate") else ""
    if isinstance(config, EvaluateConfig):
        asked = {"prompting": f"{config.shots}-shot · {config.llm.name}", "student": Path(config.student.path or "").name}
        subject, source = f"{subject} {config.subject}", asked.get(config.subject, source)
    return f"{config.task.name}{subject} · {source} · seed {config.seed}"


def source_name(data: Data, synthetic: str) -> str:
    """What a student is trained on, for people: e.g. `mixed 16 synthetic_first · zero_shot 0-shot · fake`."""
    words = [data.name, str(data.shots or ""), "" if data.order == "together" else data.order]
    words += [f"x{data.fraction:g}" if data.fraction != 1 else ""]
    told = " ".join(word for word in words if word)
    if data.name in ("gold", "few_gold"):
        return told
    return synthetic if told == "synthetic" else f"{told} · {synthetic}"


def safe(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Items with keys that MLflow takes."""
    return [(REFUSED.sub("_", key)[:250], value) for key, value in values.items()]


def flat(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Scalars with dotted keys, without a task's texts; the name of a group's choice has the group's key: `llm`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if (path := f"{key}.{name}".lstrip(".")) not in ("task.wording", "task.knowledge", "task.question", "task.gold"):
                yield from flat(inner, path)
    elif value is not None and not isinstance(value, list):
        yield re.sub(r"^(\w+)\.name$", r"\1", key), value


def without_secrets(value: Any) -> Any:
    """`value` without the keys that are named like secrets, at any depth."""
    if isinstance(value, Mapping):
        return {key: without_secrets(inner) for key, inner in value.items() if not re.search(SECRET, str(key))}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return hidden(value) if isinstance(value, str) else value


def hidden(value: object) -> str:
    """`value` as text, with *** for what looks like a password, token or API key."""
    return SECRET_TEXT.sub(lambda found: f"{found[1] or found[2]}***", str(value))


def confusion(gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> Figure:
    """A matrix of counts, gold down and predicted across; pairs with a label not in `labels` are left out."""
    from matplotlib import font_manager
    from matplotlib.figure import Figure

    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = [*[name for name in FONTS if name in installed][:1], "sans-serif"]
    counts, ticks, size = Counter(zip(gold, predicted, strict=True)), range(len(labels)), 0.6 * len(labels)
    table = [[counts[row, column] for column in labels] for row in labels]
    figure = Figure(figsize=(3 + size, 2.5 + size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(table, cmap="Blues")
    axes.set_xticks(ticks, labels, rotation=45, ha="right", fontfamily=fonts)
    axes.set_yticks(ticks, labels, fontfamily=fonts)
    axes.set(xlabel="predicted", ylabel="gold")
    for y, x in ((y, x) for y in ticks for x in ticks):
        color = "white" if 2 * table[y][x] > max(map(max, table)) else "black"
        axes.text(x, y, str(table[y][x]), ha="center", va="center", color=color)
    return figure


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A run as the store has it. `task` is its experiment's name, `began` in seconds since 1970, `read` an artifact's text or None."""

    id: str
    experiment: str
    task: str
    name: str
    status: str
    began: float
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    read: Callable[[str], str | None] = lambda _name: None


def recorded(uri: str) -> list[Recorded]:
    """All runs in the store `uri` that are not deleted, oldest first; UserError where there is no such store."""
    path = database(uri)
    if path is not None and not path.exists():  # else MLflow would make it
        raise UserError(f"There are no runs: {path} does not exist. Name the store with --mlflow-uri, or make runs first.")
    failed = Run()
    found: list[Recorded] = []
    with guard(failed):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{path.as_posix()}" if path else uri)
        names = {item.experiment_id: item.name for item in pages(client.search_experiments)}
        for item in pages(client.search_runs, list(names)) if names else ():
            found.append(as_recorded(client, item, names[item.info.experiment_id]))
    if failed.lost:
        raise UserError(f"MLflow cannot read the runs in {hidden(uri)}: {failed.lost}\nName the store with --mlflow-uri.")
    return sorted(found, key=lambda item: item.began)


def pages(search: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
    """All that a paged search of MLflow's client finds."""
    token: str | None = None
    while True:
        page = search(*arguments, max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def as_recorded(client: MlflowClient, item: Any, task: str) -> Recorded:
    """MLflow's run as plain values."""
    info, data = item.info, item.data

    def read(name: str) -> str | None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                return Path(client.download_artifacts(info.run_id, name, folder)).read_text(encoding="utf-8")
        except Exception:  # each kind of artifact store has errors of its own
            return None

    tags = {key: value for key, value in data.tags.items() if not key.startswith("mlflow.")}
    name, began = info.run_name or info.run_id, info.start_time / 1000
    return Recorded(info.run_id, info.experiment_id, task, name, info.status, began, tags, data.params, data.metrics, read)
