"""The report on a small SQLite store of MLflow."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from japagen import report, result, summary, tracking
from japagen.chart import Chart, Point, Series, svg
from japagen.config import CONF, UserError
from japagen.result import Row

METRICS = {"jnli": "accuracy", "jcola": "mcc", "jsts": "spearman", "天気 <b>": "accuracy"}
TARGETS = {
    "zero-shot": 0.55,
    "5-shot": 0.62,
    "knowledge": 0.65,
    "prompting 0-shot": 0.6,
    "gold": 0.88,
    "few gold 10": 0.4,
    "few gold 50": 0.5,
}


class Store:
    """Runs put into a store at will; each begins a second after the one before."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.client = MlflowClient(tracking_uri=self.uri)
        self.folder, self.began = folder, int(time.time() * 1000) - 3_600_000

    def add(
        self,
        task: str,
        tags: dict[str, str],
        metrics: dict[str, float] | None = None,
        params: dict[str, object] | None = None,
        rows: list[dict[str, str]] | None = None,
        status: str = "FINISHED",
    ) -> str:
        found = self.client.get_experiment_by_name(task)
        place = (self.folder / "mlruns" / str(len(task))).as_uri()
        experiment = found.experiment_id if found else self.client.create_experiment(task, artifact_location=place)
        self.began += 1000
        run = self.client.create_run(experiment, start_time=self.began, run_name=f"{task} run")
        given = {"task.metric": METRICS.get(task, "accuracy"), **(params or {})}
        self.client.log_batch(
            run.info.run_id,
            [Metric(key, value, 0, 0) for key, value in (metrics or {}).items()],
            [Param(key, str(value)) for key, value in given.items()],
            [RunTag(key, value) for key, value in {"task": task, **tags}.items()],
        )
        if rows is not None:
            self.client.log_text(run.info.run_id, "".join(json.dumps(row) + "\n" for row in rows), "predictions.jsonl")
        if status != "RUNNING":
            self.client.set_terminated(run.info.run_id, status=status)
        return str(run.info.run_id)

    def train(self, task: str, method: str, seed: int, score: float, **extra: Any) -> str:
        gold = "gold" in method
        mark = f"{task}{method}{seed}{extra.get('llm', '')}"
        tags = {"stage": "train", "method": method, "data": "gold" if gold else "synthetic", "student": extra.get("student", "e5_small_ja")}
        tags |= {} if gold else {"llm": extra.get("llm", "gemma3_270m"), "fingerprint": mark}
        params: dict[str, object] = {"seed": seed, "num_per_label": 500, **extra.get("params", {})}
        metrics = {"score": score, "train/seconds": 60.0, **extra.get("metrics", {})}
        return self.add(task, tags, metrics, params, extra.get("rows"))


def predicted(task: str, target: float, seed: int, number: int = 300) -> list[dict[str, str]]:
    """Predictions about as good as `target`."""
    gold, drawn = random.Random(f"gold{task}"), random.Random(f"{task}{target}{seed}")
    rows = []
    for key in range(number):
        if METRICS[task] == "spearman":
            told = gold.uniform(0, 5)
            said = f"{target * told + (1 - target) * drawn.uniform(0, 5):.4f}"
            rows.append({"id": str(key), "gold": f"{told:.2f}", "predicted": said})
        else:
            told = gold.choice("aab")
            rows.append({"id": str(key), "gold": told, "predicted": told if drawn.random() < target else drawn.choice("ab")})
    return rows


def scored(task: str, rows: list[dict[str, str]]) -> float:
    """The task's metric of the rows, by scikit-learn and SciPy."""
    from scipy.stats import spearmanr
    from sklearn.metrics import accuracy_score, matthews_corrcoef

    gold, said = [row["gold"] for row in rows], [row["predicted"] for row in rows]
    if METRICS[task] == "spearman":
        return float(spearmanr([float(one) for one in gold], [float(one) for one in said])[0])
    return float({"mcc": matthews_corrcoef, "accuracy": accuracy_score}[METRICS[task]](gold, said))


def fill(store: Store, llms: tuple[str, ...] = ("gemma3_270m",), sizes: tuple[int, ...] = (50, 500)) -> None:
    """Four tasks, seven methods, three seeds, datasets with their quality, costs, and runs that failed."""
    for task in METRICS:
        for method, target in TARGETS.items():
            for llm in llms if "gold" not in method else llms[:1]:
                for seed in range(3):
                    one(store, task, method, target + 0.04 * llms.index(llm), seed, llm, sizes)
        store.add(task, {"stage": "train", "method": "zero-shot", "error": "ValueError: <script>alert(1)</script>"}, status="FAILED")
        store.add(task, {"stage": "train", "method": "zero-shot"}, {"heldout/accuracy": 0.9})
        store.add(task, {"stage": "sweep"}, {"score": 0.99})
    store.add("jnli", {"stage": "train"}, status="RUNNING")


def one(store: Store, task: str, method: str, target: float, seed: int, llm: str, sizes: tuple[int, ...]) -> None:
    """A method with one seed: its dataset, its students of all sizes, and their costs."""
    share = {"majority/accuracy": 0.55} if METRICS[task] == "accuracy" else {}
    if method.startswith("prompting"):
        rows = predicted(task, target, seed)
        tags = {"stage": "evaluate", "subject": "prompting", "method": method, "llm": llm, "shots": "0"}
        cost = {"cost/seconds_per_1000": 400.0 + seed, "cost/dollars_per_1000": 0.2}
        store.add(task, tags, {"score": scored(task, rows), **cost, **share}, {"seed": seed}, rows)
        return
    mark = f"{task}{method}{seed}{llm}"
    if "gold" not in method:
        store.add(task, {"stage": "generate", "fingerprint": mark, "llm": llm, "method": method}, {"seconds": 900.0, "cost": 1.5})
        quality = {"quality/distinct_2": target - 0.1 + 0.01 * seed, "quality/label_correctness": target + 0.1 + 0.01 * seed}
        store.add(task, {"stage": "evaluate", "subject": "dataset", "fingerprint": mark, "llm": llm}, quality)
    for size in sizes if "gold" not in method else (0,):
        weaker = target * (1 - 0.2 * (1 - (size or 500) / 500))
        params = {"num_per_label": size or 16} | ({"data.num_per_label": int(method.split()[-1])} if "few" in method else {})
        for fraction in (0.1, 0.5, 1.0) if method == "gold" else (1.0,):
            rows = predicted(task, weaker * (0.7 + 0.3 * fraction), seed)
            more = params | ({"data.fraction": fraction} if fraction < 1 else {})
            extra = {"llm": llm, "metrics": {"cost/seconds_per_1000": 9.0, **share}, "params": more}
            store.train(task, method, seed, scored(task, rows), rows=rows, **extra)
