"""Runs as they come out of MLflow, made up, and what the report says of them."""

from __future__ import annotations

import json
import random
from typing import Any

from japagen.report import summary
from japagen.tracking import Recorded

NOW = 1_790_000_000.0
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
    """Runs as they come out of MLflow, made up; each begins a second after the one before."""

    def __init__(self) -> None:
        self.runs: list[Recorded] = []

    def add(
        self,
        task: str,
        tags: dict[str, str],
        metrics: dict[str, float] | None = None,
        params: dict[str, object] | None = None,
        rows: list[dict[str, str]] | None = None,
        status: str = "FINISHED",
        began: float | None = None,
    ) -> str:
        key, began = (
            f"run{len(self.runs):04}",
            NOW - 3600 + len(self.runs) if began is None else began,
        )
        given = {"task.metric": METRICS.get(task, "accuracy"), **(params or {})}
        lines = None if rows is None else "".join(json.dumps(row) + "\n" for row in rows)
        texts = {key: str(value) for key, value in given.items()}
        tags = {"task": task, **tags}
        read = {"predictions.jsonl": lines}.get
        self.runs.append(
            Recorded(
                key,
                str(len(task)),
                task,
                f"{task} run",
                status,
                began,
                tags,
                texts,
                metrics or {},
                read,
            )
        )
        return key

    def train(self, task: str, method: str, seed: int, score: float, **extra: Any) -> str:
        gold = "gold" in method
        mark = f"{task}{method}{seed}{extra.get('llm', '')}"
        tags = {
            "stage": "train",
            "method": method,
            "data": "gold" if gold else "synthetic",
            "student": extra.get("student", "e5_small_ja"),
        }
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
            actual = gold.uniform(0, 5)
            predicted_text = f"{target * actual + (1 - target) * drawn.uniform(0, 5):.4f}"
            rows.append({"id": str(key), "gold": f"{actual:.2f}", "predicted": predicted_text})
        else:
            actual = gold.choice("aab")
            rows.append(
                {
                    "id": str(key),
                    "gold": actual,
                    "predicted": actual if drawn.random() < target else drawn.choice("ab"),
                }
            )
    return rows


def scored(task: str, rows: list[dict[str, str]]) -> float:
    """The task's metric of the rows, by scikit-learn and SciPy."""
    from scipy.stats import spearmanr
    from sklearn.metrics import accuracy_score, matthews_corrcoef

    gold, said = [row["gold"] for row in rows], [row["predicted"] for row in rows]
    if METRICS[task] == "spearman":
        return float(spearmanr([float(one) for one in gold], [float(one) for one in said])[0])
    return float({"mcc": matthews_corrcoef, "accuracy": accuracy_score}[METRICS[task]](gold, said))


def fill(
    store: Store, llms: tuple[str, ...] = ("gemma3_270m",), sizes: tuple[int, ...] = (50, 500)
) -> None:
    """Four tasks, seven methods, three seeds; quality, costs, and runs that failed."""
    for task in METRICS:
        for method, target in TARGETS.items():
            for llm in llms if "gold" not in method else llms[:1]:
                for seed in range(3):
                    one(store, task, method, target + 0.04 * llms.index(llm), seed, llm, sizes)
        store.add(
            task,
            {
                "stage": "train",
                "method": "zero-shot",
                "error": "ValueError: <script>alert(1)</script>",
            },
            status="FAILED",
        )
        store.add(task, {"stage": "train", "method": "zero-shot"}, {"heldout/accuracy": 0.9})
        store.add(task, {"stage": "sweep"}, {"score": 0.99})
    store.add("jnli", {"stage": "train"}, status="RUNNING")


def one(
    store: Store, task: str, method: str, target: float, seed: int, llm: str, sizes: tuple[int, ...]
) -> None:
    """A method with one seed: its dataset, its students of all sizes, and their costs."""
    share = {"majority/accuracy": 0.55} if METRICS[task] == "accuracy" else {}
    if method.startswith("prompting"):
        rows = predicted(task, target, seed)
        tags = {
            "stage": "evaluate",
            "subject": "prompting",
            "method": method,
            "llm": llm,
            "shots": "0",
        }
        cost = {"cost/seconds_per_1000": 400.0 + seed, "cost/dollars_per_1000": 0.2}
        store.add(task, tags, {"score": scored(task, rows), **cost, **share}, {"seed": seed}, rows)
        return
    mark = f"{task}{method}{seed}{llm}"
    if "gold" not in method:
        store.add(
            task,
            {"stage": "generate", "fingerprint": mark, "llm": llm, "method": method},
            {"seconds": 900.0, "cost": 1.5},
        )
        quality = {
            "quality/diversity": target - 0.1 + 0.01 * seed,
            "quality/label_correctness": target + 0.1 + 0.01 * seed,
        }
        store.add(
            task,
            {"stage": "evaluate", "subject": "dataset", "fingerprint": mark, "llm": llm},
            quality,
        )
    for size in sizes if "gold" not in method else (0,):
        weaker = target * (1 - 0.2 * (1 - (size or 500) / 500))
        params = {"num_per_label": size or 16} | (
            {"data.num_per_label": int(method.split()[-1])} if "few" in method else {}
        )
        for fraction in (0.1, 0.5, 1.0) if method == "gold" else (1.0,):
            rows = predicted(task, weaker * (0.7 + 0.3 * fraction), seed)
            more = params | ({"data.fraction": fraction} if fraction < 1 else {})
            extra = {"llm": llm, "metrics": {"cost/seconds_per_1000": 9.0, **share}, "params": more}
            store.train(task, method, seed, scored(task, rows), rows=rows, **extra)


def reported(store: Store, **options: Any) -> summary.Summary:
    return summary.summarise(store.runs, at=NOW, **options)
