"""The run of one job: what it records in MLflow and in further loggers."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.config.secret import hidden
from japagen.tracking import safe
from japagen.tracking.attempt import Question, attempt, log, spared
from japagen.tracking.entry import batches, deliver, seconds
from japagen.tracking.mirror import Mirror
from japagen.tracking.unsent import Unsent, keep_refused, send

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

AT_THE_END = 45.0  # seconds that the end of a job may spend on what MLflow did not take before


class Run:
    """What a job records. No method raises; with logger=none they do nothing.

    After a failure of MLflow everything is kept in files. They are sent when the job ends or by
    `python -m japagen.tracking sync`.
    """

    def __init__(self, name: str = "", uri: str = "") -> None:
        self.client: MlflowClient | None = None
        self.unsent: Unsent | None = None
        self.name, self.uri = name, uri
        self.id, self.experiment = "", ""
        self.lost = ""  # the reason of MLflow's first failure
        self.monitor: Any = None  # MLflow's, which has no types
        self.mirrors: list[Mirror] = []  # further loggers

    @property
    def idle(self) -> bool:
        """Whether nothing records the run."""
        return self.unsent is None and not self.mirrors

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record numbers, at `step` if they form a curve."""
        now = int(time.time() * 1000)
        items = [[safe.key(key), float(value), now, step or 0] for key, value in values.items()]
        for entry in batches("metrics", items):
            self.call(dict(entry))

    def tags(self, values: Mapping[str, str]) -> None:
        """Record words to find the run by, cut at 5,000 characters."""
        for entry in batches("tags", safe.texts(values, 5000)):
            self.call(dict(entry))

    def params(self, values: Mapping[str, object]) -> None:
        """Record settings, cut at 500 characters. MLflow refuses a second value of a param."""
        for entry in batches("params", safe.texts(values, 500)):
            self.call(dict(entry))

    @spared
    def text(self, text: str, name: str) -> None:
        """Record a text as the artifact `name`, e.g. "samples.md"."""
        if self.idle:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            path.write_text(safe.encodable(hidden(text)), encoding="utf-8")
            self.file(path, str(Path(name).parent).strip("."))

    @spared
    def rows(self, rows: Iterable[Mapping[str, Any]], name: str) -> None:
        """Record rows as the artifact `name`, one JSON object a line.

        Secrets are hidden in each value: in a whole line, that could break the JSON.
        """
        if self.idle:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            with path.open("w", encoding="utf-8") as lines:
                for row in rows:
                    shown = {
                        key: safe.encodable(hidden(value)) if isinstance(value, str) else value
                        for key, value in row.items()
                    }
                    lines.write(json.dumps(shown, ensure_ascii=False) + "\n")
            self.file(path)

    @spared
    def file(self, path: Path, folder: str = "") -> None:
        """Record a copy of the file `path` as an artifact in `folder`, without known secrets."""
        if self.idle:
            return
        with tempfile.TemporaryDirectory() as place:
            cleaned = safe.cleaned(path, Path(place))
            self.call({"do": "file", "path": str(cleaned), "folder": folder})

    def model(self, folder: Path) -> None:
        """Record the saved student in `folder` as a model of the run, with its weights.

        If MLflow does not take it now, it is read from `folder` again when it is sent.
        """
        mark = folder / "MLmodel"
        made = mark.stat().st_mtime_ns if mark.exists() else 0
        name = safe.model_name(folder.name)
        self.call({"do": "model", "path": str(folder.absolute()), "name": name, "made": made})

    @spared
    def figure(self, figure: Figure, name: str) -> None:
        """Record a Matplotlib figure as the artifact `name`, e.g. "confusion.svg".

        The text of an SVG stays text: the browser has the Japanese font that this machine may lack.
        """
        import matplotlib

        if self.idle:
            return
        with (
            tempfile.TemporaryDirectory() as folder,
            warnings.catch_warnings(),
            matplotlib.rc_context({"svg.fonttype": "none"}),
        ):
            # One warning for each character that the font lacks.
            warnings.filterwarnings("ignore", message="Glyph")
            picture = (Path(folder) / name).with_suffix(".png")
            try:
                figure.savefig(Path(folder) / name)
                if self.mirrors:  # which show no SVG
                    figure.savefig(picture)
            except Exception as error:  # of fonts, formats, sizes and memory
                log.warning("cannot draw %s: %s", name, hidden(error)[:200])
                return
            self.file(Path(folder) / name)
            for mirror in self.mirrors:
                mirror.take({"do": "file", "path": str(picture), "folder": ""})

    def dataset(
        self, rows: Iterable[Mapping[str, str]], name: str, source: str, context: str
    ) -> None:
        """Record the rows that the job used as a dataset.

        `context`: "training", "evaluation" or "generation".
        """
        if self.idle:
            return
        # Not mlflow.data.from_pandas: this digest covers every row, is the same on every machine,
        # and needs no memory.
        digest, number, columns = hashlib.sha256(), 0, list[str]()
        for row in rows:
            number += 1
            columns = columns or list(row)
            digest.update(json.dumps(dict(row)).encode())
        kinds = [{"type": "string", "name": column, "required": True} for column in columns]
        place = json.dumps({"uri": hidden(source)}, ensure_ascii=False)
        schema, profile = json.dumps({"mlflow_colspec": kinds}), json.dumps({"num_rows": number})
        values = [hidden(name)[:500], digest.hexdigest()[:16], "local", place, schema, profile]
        values = [safe.encodable(value) for value in values]
        self.call({"do": "dataset", "dataset": values, "context": context})

    def call(self, entry: dict[str, Any]) -> None:
        """Send `entry` to MLflow; after the first failure, keep it in a file.

        Further loggers get it, too.
        """
        for mirror in self.mirrors:
            mirror.take(entry)
        if self.unsent is None:
            return
        client, unsent = self.client, self.unsent
        if client and self.id and not self.lost:
            work = lambda: deliver(client, self.id, entry)  # noqa: E731
            if refused := attempt(self, self.uri, work, seconds(entry)):
                self.refused(unsent, refused)
        if self.lost:
            unsent.write(entry, self.id)

    def refused(self, unsent: Unsent, refused: list[tuple[Mapping[str, Any], str]]) -> None:
        """Keep calls that can never succeed, and mark the run."""
        client, why = self.client, hidden(refused[0][1])[:400]
        kept = [(unsent.copied(entry), reason) for entry, reason in refused]
        keep_refused(unsent.path, kept)
        if client:
            attempt(Question(), self.uri, lambda: client.set_tag(self.id, "incomplete", why))

    def close(self, status: str) -> None:
        """End the run. What MLflow did not take is tried once more."""
        self.call({"do": "end", "status": status, "time": int(time.time() * 1000)})
        if self.monitor is not None and not self.lost:  # it would call a dead server, and wait
            attempt(Question(), self.uri, self.monitor.finish)
        if self.unsent and self.unsent.waiting:
            self.unsent.flush(self.id)
        if self.unsent and self.unsent.waiting:
            log.error("neither MLflow nor %s took: %s", self.unsent.path, self.unsent.lost())
        elif self.unsent and self.unsent.begun:
            self.send_kept(self.unsent.path)

    def send_kept(self, path: Path) -> None:
        """Send what was kept while MLflow did not answer, if it answers again."""
        until = time.monotonic() + AT_THE_END
        if sent := attempt(self, "", lambda: send(path, self.uri, until)):
            self.id = sent
            log.info("MLflow answers again; everything that was kept has been sent")

    def watch(self) -> None:
        """Record the load of processor, memory, disk, network and GPU every ten seconds."""
        if not self.id:
            return

        def start() -> None:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            # Its thread would report a dead server again and again; our own warning comes once.
            for name in ("mlflow.system_metrics", "urllib3"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
            monitor: Any = SystemMetricsMonitor
            self.monitor = monitor(self.id, tracking_uri=self.uri)
            self.monitor.start()

        attempt(Question(), self.uri, start)

    def fail(self, error: BaseException) -> None:
        """End the run as FAILED, after Ctrl+C as KILLED, and record the error."""
        self.tags({"error": f"{type(error).__name__}: {error}"})
        self.text("".join(traceback.format_exception(error)), "error.txt")
        self.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")

    def discard(self) -> None:
        """End the run and delete it."""
        self.close("FINISHED")
        client = self.client
        if client and self.id and not self.lost:
            attempt(self, self.uri, lambda: client.delete_run(self.id))

    def remedy(self) -> str:
        """Where that is kept which MLflow does not take, and how to send it later."""
        if self.unsent is None:
            return ""
        return (
            f"; what it does not take is kept in {self.unsent.path}. To send it, type: "
            "python -m japagen.tracking sync"
        )
