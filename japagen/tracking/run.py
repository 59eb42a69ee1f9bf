"""One MLflow run of one job: what is recorded, how it begins and ends, and which are there already."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
import tempfile
import time
import traceback
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from japagen.config.schema import Config
from japagen.config.secret import hidden, without_secrets
from japagen.gold.fetch import GoldMissing
from japagen.job import sweep
from japagen.tracking import parent
from japagen.tracking.alive import bury, here
from japagen.tracking.connect import REFUSED, Asked, connect, database, guard, log
from japagen.tracking.name import flat, method, run_name
from japagen.tracking.unsent import Unsent, apply, send

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient


MODEL = re.compile(r"[/:.%\"']")  # characters that MLflow does not take in a model's name


class Run:
    """What a job records. No method raises; with logger=none they do nothing.

    After a failure of MLflow everything goes into files, which are sent when the job ends or by `python -m japagen.tracking sync`.
    """

    def __init__(self, name: str = "") -> None:
        self.client: MlflowClient | None = None
        self.unsent: Unsent | None = None
        self.name, self.id, self.experiment, self.lost = name, "", "", ""
        self.monitor: Any = None  # MLflow's, which has no types

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Numbers, at `step` where they form a curve."""
        now = int(time.time() * 1000)
        self.call(
            {
                "do": "batch",
                "metrics": [[key, float(value), now, step or 0] for key, value in safe(values)],
            }
        )

    def tags(self, values: Mapping[str, str]) -> None:
        """Words to find the run by, cut at 5,000 characters."""
        self.call(
            {"do": "batch", "tags": [[key, hidden(text)[:5000]] for key, text in safe(values)]}
        )

    def params(self, values: Mapping[str, object]) -> None:
        """Settings, cut at 500 characters; MLflow lets none be given a second value."""
        self.call(
            {"do": "batch", "params": [[key, hidden(value)[:500]] for key, value in safe(values)]}
        )

    def text(self, text: str, name: str) -> None:
        """A text as the artifact `name`, e.g. "samples.md"."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / Path(name).name).write_text(hidden(text), encoding="utf-8")
            self.file(Path(folder) / Path(name).name, str(Path(name).parent).strip("."))

    def file(self, path: Path, folder: str = "") -> None:
        """A copy of the file `path` as an artifact in `folder`."""
        self.call({"do": "file", "path": str(path), "folder": folder})

    def model(self, folder: Path) -> None:
        """The saved student in `folder` as a model of the run, weights and all; sent later, it is read from there again."""
        mark = folder / "MLmodel"
        named = {
            "name": MODEL.sub("_", folder.name),
            "made": mark.stat().st_mtime_ns if mark.exists() else 0,
        }
        self.call({"do": "model", "path": str(folder.absolute()), **named})

    def figure(self, figure: Figure, name: str) -> None:
        """A Matplotlib figure as the artifact `name`, e.g. "confusion.png"."""
        if self.unsent is None:
            return
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Glyph"
            )  # one for each character that the font lacks
            figure.savefig(Path(folder) / name)
            self.file(Path(folder) / name)

    def dataset(
        self, rows: Iterable[Mapping[str, str]], name: str, source: str, context: str
    ) -> None:
        """The rows the job used, as MLflow's dataset input; `context`: "training", "evaluation" or "generation"."""
        if self.unsent is None:
            return
        # Not mlflow.data.from_pandas: this digest covers every row, is the same on every machine, and needs no memory.
        digest, number, columns = hashlib.sha256(), 0, list[str]()
        for row in rows:
            number += 1
            columns = columns or list(row)
            digest.update(json.dumps(dict(row)).encode())
        schema = {
            "mlflow_colspec": [
                {"type": "string", "name": column, "required": True} for column in columns
            ]
        }
        place = json.dumps({"uri": hidden(source)}, ensure_ascii=False)
        values = [
            name,
            digest.hexdigest()[:16],
            "local",
            place,
            json.dumps(schema),
            json.dumps({"num_rows": number}),
        ]
        self.call({"do": "dataset", "dataset": values, "context": context})

    def call(self, entry: dict[str, Any]) -> None:
        """Send `entry` to MLflow; from the first one that fails, keep them."""
        if self.unsent is None:
            return
        if self.client and self.id and not self.lost:
            with guard(self):
                apply(self.client, self.id, entry)
        if self.lost:
            self.unsent.write(entry, self.id)

    def close(self, status: str) -> None:
        """End the run. What MLflow did not take is tried once more."""
        self.call({"do": "end", "status": status, "time": int(time.time() * 1000)})
        if self.monitor is not None and not self.lost:  # it would ask a dead server, and wait
            with guard(Asked()):
                self.monitor.finish()
        if self.unsent and self.unsent.begun:
            with guard(self):
                self.id = send(self.unsent.path) or self.id
                log.info("MLflow answers again; all that was kept is sent")

    def watch(self, uri: str) -> None:
        """From now on note how busy processor, memory, disk, network and GPU are, every ten seconds, as metrics system/..."""
        if not self.id:
            return
        with guard(Asked()):
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            # Its thread would tell of a dead server in its own words, again and again; ours tells it once.
            for name in ("mlflow.system_metrics", "urllib3"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
            monitor: Any = SystemMetricsMonitor
            self.monitor = monitor(self.id, tracking_uri=uri)
            self.monitor.start()

    def fail(self, error: BaseException) -> None:
        """End the run as FAILED, or KILLED by Ctrl+C, with what went wrong."""
        self.tags({"error": f"{type(error).__name__}: {error}"})
        self.text("".join(traceback.format_exception(error)), "error.txt")
        self.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")

    def discard(self) -> None:
        """Leave no run behind."""
        self.close("FINISHED")
        if self.client and self.id and not self.lost:
            with guard(self):
                self.client.delete_run(self.id)

    def kept(self) -> str:
        """Where that is that MLflow does not take, and how it is sent later."""
        return (
            f"; what it does not take is kept in {self.unsent.path}, to send it type: python -m japagen.tracking sync"
            if self.unsent
            else ""
        )


@contextmanager
def run(config: Config, stage: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """One MLflow run for a job; `stage` is "generate", "train" or "evaluate".

    An exception ends it as FAILED (Ctrl+C: KILLED), with the text as tag `error` and the traceback as error.txt, and is
    raised again. A failure of MLflow itself is one warning and never the end of the job.
    """
    recorded = Run() if config.logger.name == "none" else start(config, stage, tags)
    try:
        yield recorded
    except GoldMissing as error:
        if sweep.state_folder() is not None:
            recorded.discard()  # a cell of a table that nobody here can fill: the sweep's own table says so, and no run has failed
        else:
            recorded.fail(error)
        raise
    except BaseException as error:
        recorded.fail(error)
        raise
    recorded.close("FINISHED")


def start(config: Config, stage: str, tags: Mapping[str, str]) -> Run:
    """A new run with the config's tags, params and config.yaml, below its sweep's; kept in files where MLflow fails."""
    recorded, plain, head = (
        Run(run_name(config, stage)),
        without_secrets(dataclasses.asdict(config)),
        parent.known(),
    )
    path, now = database(config.mlflow_uri), int(time.time() * 1000)
    # `key`: a run that was made though MLflow's answer got lost is found by it, and not made again.
    own = {
        "stage": stage,
        "method": method(config, stage),
        "key": uuid.uuid4().hex,
        **here(),
        **parent.tags(head),
    }
    place = {
        "uri": f"sqlite:///{path.as_posix()}" if path else config.mlflow_uri,
        "experiment": config.task.name,
    }
    recorded.unsent = Unsent(
        {**place, "name": recorded.name, "tags": own, "time": now, "sweep": head}
    )
    with guard(recorded):
        recorded.client, recorded.experiment = connect(config)
        bury(recorded.client, recorded.experiment)
        own = {**own, **parent.tag(recorded.client, recorded.experiment, head)}
        recorded.id = recorded.client.create_run(
            recorded.experiment, now, own, recorded.name
        ).info.run_id
    params = dict(flat(plain))
    params["seed"] = getattr(config, "training_seed", config.seed)
    if params["seed"] != config.seed and params.get("data") not in ("gold", "few_gold"):
        params["dataset_seed"] = config.seed
    # A student of gold data alone has no llm, prompt or shots to be grouped by; a saved one has those of its training.
    without = params.get("data") in ("gold", "few_gold") or params.get("subject") == "student"
    kinds = ("task", "data", "data.shots", "data.fraction", "loss", "student", "subject")
    grouping = (*kinds, *(() if without else ("llm", "prompt", "shots")))
    recorded.tags({**{key: str(params[key]) for key in grouping if key in params}, **tags})
    recorded.params(params)
    recorded.text(OmegaConf.to_yaml(OmegaConf.create(plain)), "config.yaml")
    if config.logger.system_metrics:
        recorded.watch(place["uri"])
    return recorded


def latest(config: Config, stage: str, fingerprint: str) -> str:
    """The id of the newest finished run of `stage` with this tag `fingerprint`, or ""."""
    found = newest(config, f"tags.stage = '{stage}' and tags.fingerprint = '{fingerprint}'")
    return str(found.info.run_id) if found else ""


def earlier(config: Config, stage: str, job: str) -> dict[str, float] | None:
    """The metrics of the newest finished run of `stage` with this tag `job`, or None."""
    found = newest(config, f"tags.stage = '{stage}' and tags.job = '{job}'")
    return dict(found.data.metrics) if found else None


def newest(config: Config, wanted: str) -> Any:
    """The newest finished run in the task's experiment that has all that `wanted` says, or None."""
    if config.logger.name != "none":
        with guard(Asked()):
            client, experiment = connect(config)
            filtered = f"{wanted} and attributes.status = 'FINISHED'"
            for found in client.search_runs(
                [experiment], filtered, max_results=1, order_by=["start_time DESC"]
            ):
                return found
    return None


def safe(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Items with keys that MLflow takes."""
    return [(REFUSED.sub("_", key)[:250], value) for key, value in values.items()]
