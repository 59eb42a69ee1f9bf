"""The report: its numbers, its page, its Markdown, and the way from an SQLite store of MLflow to them."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from japagen import tracking
from japagen.config.error import UserError
from japagen.config.schema import CONF, Data, TrainConfig
from japagen.report import __main__ as report
from japagen.report import chart, cost, markdown, page, result, significance, summary
from japagen.report.chart import Chart, Point, Series
from japagen.report.result import Row
from japagen.tracking import Recorded
from tests.tracking.test_run import made

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
    """Runs as they come out of MLflow, made at will; each begins a second after the one before."""

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
            told = gold.uniform(0, 5)
            said = f"{target * told + (1 - target) * drawn.uniform(0, 5):.4f}"
            rows.append({"id": str(key), "gold": f"{told:.2f}", "predicted": said})
        else:
            told = gold.choice("aab")
            rows.append(
                {
                    "id": str(key),
                    "gold": told,
                    "predicted": told if drawn.random() < target else drawn.choice("ab"),
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
    """Four tasks, seven methods, three seeds, datasets with their quality, costs, and runs that failed."""
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
            "quality/distinct_2": target - 0.1 + 0.01 * seed,
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


@pytest.fixture(scope="module")
def full() -> summary.Summary:
    """The report on everything that `fill` makes, read by many tests."""
    store = Store()
    fill(store)
    return reported(store)


class Page(HTMLParser):
    """Tags that are open, ids, links, and the text of a page."""

    VOID = ("meta", "link", "path", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID or tag == "path":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_cell_is_the_mean_and_the_sample_deviation_over_seeds() -> None:
    store = Store()
    for seed, score in enumerate((0.5, 0.6, 0.7)):
        store.train("jnli", "zero-shot", seed, score)
    store.train("jnli", "gold", 0, 0.9)
    found = reported(store)
    (column,) = found.columns
    cell = column.cells[Row("zero-shot", "gemma3_270m", "e5_small_ja")]
    assert (cell.mean, cell.spread) == (pytest.approx(0.6), pytest.approx(0.1))
    assert column.best == Row("gold", "", "e5_small_ja")
    assert column.cells[column.best].spread is None
    assert column.metric == "accuracy"
    assert list(found.labels.values()) == ["zero-shot", "gold"]
    assert "**0.900** (n=1)" in markdown.report(found, "", [])
    assert "0.600 ± 0.100 (n=3)" in markdown.report(found, "", [])


def test_the_newest_run_of_a_repeated_job_counts() -> None:
    store = Store()
    for score in (0.5, 0.8):
        store.train("jnli", "zero-shot", 0, score)
    found = reported(store)
    assert [run.metrics["score"] for run in found.runs] == [0.8]
    assert found.counts["jnli"]["repeated"] == 1


def test_what_is_counted_but_not_in_the_table() -> None:
    store = Store()
    store.train("jnli", "zero-shot", 0, 0.5)
    store.add("jnli", {"stage": "train"}, {"heldout/accuracy": 0.9})
    store.add("jnli", {"stage": "train", "error": "ValueError: x"}, {"score": 0.9}, status="FAILED")
    store.add("jnli", {"stage": "train"}, {"score": 0.9}, status="RUNNING", began=NOW - 60)
    store.add("jnli", {"stage": "generate"}, status="RUNNING", began=NOW - 13 * 3600)
    store.add("jnli", {"stage": "sweep"}, {"score": 0.99})
    store.add("jnli", {"stage": "evaluate", "subject": "dataset"}, {"score": 0.99})
    found = reported(store)
    assert len(found.runs) == 1
    states = {state: found.counts["jnli"][state] for state in summary.STATES}
    assert list(states.values()) == [3, 1, 0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"data": "synthetic", "prompt": "zero_shot", "shots": 0}, "zero-shot"),
        ({"data": "synthetic", "prompt": "zero_shot", "shots": 5}, "5-shot"),
        ({"data": "synthetic", "prompt": "knowledge", "shots": 0}, "knowledge"),
        (
            {"data": "synthetic", "prompt": "knowledge", "shots": 2, "filter": "verified"},
            "knowledge 2-shot verified",
        ),
        ({"data": "gold", "shots": 0}, "gold"),
        ({"data": "few_gold", "data.num_per_label": 10}, "few gold 10"),
        ({"data": "mixed"}, "mixed"),
        ({"subject": "prompting", "shots": 3}, "prompting 3-shot"),
    ],
)
def test_a_method_without_the_tag_is_named_by_its_params(
    params: dict[str, object], name: str
) -> None:
    store = Store()
    store.add("jnli", {"stage": "train"}, params=params)
    assert result.method(store.runs[0]) == name


def test_rows_name_llm_and_student_where_there_are_several() -> None:
    store = Store()
    store.train("jnli", "zero-shot", 0, 0.5)
    store.train("jnli", "gold", 0, 0.9)
    assert summary.models(reported(store).labels) == "LLM: gemma3_270m; student: e5_small_ja"
    store.train("jnli", "zero-shot", 0, 0.5, llm="qwen", student="tiny")
    found = reported(store)
    expected = [
        "zero-shot · gemma3_270m → e5_small_ja",
        "zero-shot · qwen → tiny",
        "gold → e5_small_ja",
    ]
    assert list(found.labels.values()) == expected
    assert summary.models(found.labels) == ""


def test_the_table_has_the_largest_size_and_the_curve_all(full: summary.Summary) -> None:
    assert [chart.title for chart in full.scaling] == ["jcola", "jnli", "jsts", "天気 <b>"] * 2
    sizes = {one.name: [point.x for point in one.points] for one in full.scaling[1].series}
    assert sizes == {
        "zero-shot": [50, 500],
        "5-shot": [50, 500],
        "knowledge": [50, 500],
        "few gold": [10, 50],
    }
    assert [point.x for point in full.scaling[5].series[0].points] == [0.1, 0.5, 1.0]
    column = full.columns[1]
    for row, cell in column.cells.items():
        assert len(cell.runs) == 3, row
        assert {result.size(run) for run in cell.runs} <= {None, 10.0, 50.0, 500.0}
        assert {result.size(run) for run in cell.runs} != {50.0} or row.method == "few gold 50"
    assert "the table has the largest" in " ".join(summary.footnotes(full))


def test_quality_is_joined_by_fingerprint(full: summary.Summary) -> None:
    diversity, correctness = full.quality[1], full.quality[5]
    assert (diversity.x, correctness.x) == ("distinct 2", "label correctness")
    (zero,) = [one for one in diversity.series if one.name == "zero-shot"]
    assert [point.x for point in zero.points] == pytest.approx([0.45, 0.46, 0.47])
    assert "gold" not in {one.name for one in diversity.series}


@pytest.mark.parametrize("task", ["jnli", "jcola", "jsts"])
def test_resampled_scores_are_those_of_scikit_learn_and_scipy(task: str) -> None:
    rows = predicted(task, 0.7, 0, number=60)
    found = significance.score(
        METRICS[task], [row["gold"] for row in rows], [row["predicted"] for row in rows]
    )
    assert found is not None
    for drawing in range(5):
        weights = significance.drawings(60)[drawing]
        assert weights.sum() == 60
        assert found[drawing] == pytest.approx(
            scored(task, [rows[i] for i in np.repeat(range(60), weights)]), abs=1e-9
        )


def test_the_bootstrap_is_deterministic_and_tells_a_difference_from_none() -> None:
    def drawn(target: float, seed: int) -> significance.Resampled | None:
        rows = predicted("jnli", target, seed)
        return significance.resampled(
            "accuracy", [{row["id"]: (row["gold"], row["predicted"]) for row in rows}]
        )

    p = significance.bootstrap(drawn(0.9, 0), drawn(0.1, 1))
    assert p == pytest.approx(2 / 2001)
    assert p == significance.bootstrap(drawn(0.1, 1), drawn(0.9, 0))
    same = significance.bootstrap(drawn(0.5, 0), drawn(0.5, 0))
    assert same == 1.0
    assert 0.01 < (significance.bootstrap(drawn(0.5, 2), drawn(0.53, 3)) or 0) <= 1


def test_other_rows_are_not_compared_by_the_bootstrap() -> None:
    one = significance.resampled("accuracy", [{"1": ("a", "a"), "2": ("a", "b")}])
    two = significance.resampled("accuracy", [{"1": ("a", "a"), "3": ("a", "b")}])
    assert one
    assert significance.bootstrap(one, two) is None
    assert significance.resampled("accuracy", [{"1": ("a", "a")}, {"2": ("a", "a")}]) is None
    assert significance.resampled("spearman", [{"1": ("0.5", "None")}]) is None
    assert significance.resampled("", [{"1": ("a", "a")}]) is None


def test_without_predictions_seeds_are_compared_by_a_t_test() -> None:
    store = Store()
    for seed, (low, high) in enumerate([(0.50, 0.60), (0.52, 0.63), (0.55, 0.64)]):
        store.train("jnli", "zero-shot", seed, low)
        store.train("jnli", "5-shot", seed, high)
    store.train("jnli", "gold", 0, 0.1)
    found = reported(store)
    cells = {row.method: cell for row, cell in found.columns[0].cells.items()}
    assert cells["zero-shot"].how == "t-test"
    assert cells["zero-shot"].p == pytest.approx(
        1 - 17.3205 / 302**0.5, abs=1e-5
    )  # of t = 10 * 3 ** 0.5 with 2 degrees of freedom
    assert cells["gold"].p is None  # one common seed
    assert "paired t-test" in " ".join(summary.footnotes(found))
    assert "p<sub>t</sub> = 0.003" in page.html(found, "")
    assert significance.t_test({"0": 0.5, "1": 0.6}, {"0": 0.4, "1": 0.5}) is None


def test_a_reference_row_is_what_all_are_compared_with(full: summary.Summary) -> None:
    store = Store()
    fill(store)
    found = reported(store, reference="zero-shot", tasks=["jnli"])
    cells = {row.method: cell for row, cell in found.columns[0].cells.items()}
    assert [method for method, cell in cells.items() if cell.p is None] == ["zero-shot"]
    assert "“zero-shot”" in " ".join(summary.footnotes(found))
    with pytest.raises(UserError, match="did you mean 'zero-shot'"):
        reported(store, reference="zeroshot")
    with pytest.raises(UserError, match=r"--task jnl: .*did you mean 'jnli'"):
        reported(store, tasks=["jnl"])


def test_holm() -> None:
    assert significance.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert significance.holm([]) == []


def test_the_majority_stands_where_the_metric_is_accuracy(full: summary.Summary) -> None:
    assert [column.majority for column in full.columns] == [None, 0.55, None, 0.55]
    assert "| majority | — | 0.550 | — | 0.550 |" in markdown.report(full, "", [])


@pytest.mark.parametrize(
    ("before", "prompting", "student", "expected"),
    [
        (960.0, 401.0, 9.0, math.ceil(960 / 0.392)),
        (960.0, 9.0, 9.0, math.inf),
        (960.0, 5.0, 9.0, math.inf),
        (0.0, 5.0, 1.0, 0.0),
        (None, 5.0, 1.0, None),
        (960.0, None, 1.0, None),
    ],
)
def test_break_even(
    before: float | None, prompting: float | None, student: float | None, expected: float | None
) -> None:
    assert cost.break_even(before, prompting, student) == expected


def test_costs_join_generation_training_and_prompting(full: summary.Summary) -> None:
    found = {(one.task, one.row.method): one for one in full.costs}
    zero, prompting = found["jnli", "zero-shot"], found["jnli", "prompting 0-shot"]
    assert (zero.seconds, zero.before_seconds, zero.before_dollars) == (9.0, 960.0, 1.5)
    assert (prompting.seconds, prompting.dollars, prompting.even_seconds) == (
        401.0,
        pytest.approx(0.2),
        None,
    )
    assert zero.even_seconds == math.ceil(960 / 0.392)
    assert zero.even_dollars == pytest.approx(7500, abs=1)
    assert found["jnli", "gold"].before_seconds == 60.0
    text = page.html(full, "")
    assert "2,449" in text
    assert summary.amount(math.inf) == "never"


def test_a_student_whose_generation_is_not_recorded_has_no_break_even() -> None:
    store = Store()
    tags = {
        "stage": "evaluate",
        "subject": "prompting",
        "method": "prompting 0-shot",
        "llm": "gemma3_270m",
    }
    store.add("jnli", tags, {"score": 0.5, cost.SECONDS: 4.0}, {"seed": 0})
    store.train("jnli", "zero-shot", 0, 0.6, metrics={cost.SECONDS: 1.0})
    student = reported(store).costs[1]
    assert (student.before_seconds, student.even_seconds) == (None, None)


def test_the_page_is_whole_escaped_and_needs_no_network(full: summary.Summary) -> None:
    text = page.html(full, "sqlite:///mlflow.db")
    found = Page(text)
    assert not found.open
    assert "<script" not in text.lower()
    assert "ValueError: <script>alert(1)</script>" in found.words
    outside = [
        value
        for _, given in found.seen
        for key, value in given.items()
        if key in ("src", "href") and str(value).startswith("http")
    ]
    assert len(outside) == len(full.runs) + len(full.failed)
    assert all(
        re.fullmatch(r"http://127\.0\.0\.1:5000/#/experiments/\d+/runs/run\d+", str(link))
        for link in outside
    )
    assert '<span lang="ja">天気 &lt;b&gt;</span>' in text
    ids = [given["id"] for _, given in found.seen if "id" in given]
    assert len(ids) == len(set(ids))
    assert {
        str(given["href"])[1:]
        for tag, given in found.seen
        if tag == "a" and str(given["href"]).startswith("#")
    } <= set(ids)
    drawings = [given for tag, given in found.seen if tag == "svg"]
    assert len(drawings) == len(full.scaling) + len(full.quality) == 16
    assert all(given["role"] == "img" and given["aria-label"] for given in drawings)
    assert "2026-09-21" in found.words
    assert "url(" not in text


def test_links_lead_to_the_server_where_there_is_one(full: summary.Summary) -> None:
    text = page.html(full, "http://me:hush@tracking:8080/")
    assert "http://me:***@tracking:8080/#/experiments/" in text
    assert "hush" not in text


def test_markdown_says_the_same(full: summary.Summary) -> None:
    text = markdown.report(full, "", [("scaling-1-jnli.svg", full.scaling[1])])
    assert (
        "| method | jcola (mcc) | jnli (accuracy) | jsts (spearman) | 天気 \\<b\\> (accuracy) |"
        in text
    )
    assert "](scaling-1-jnli.svg)" in text
    assert text.count("([run](http://127.0.0.1:5000/#/experiments/") == len(full.runs)
    for _, cell in full.columns[1].cells.items():
        assert f"{cell.mean:.3f}" in text


@pytest.mark.parametrize(
    "points",
    [[Point(1, 0.5)], [Point(3, 0.0), Point(3, 0.0)], [Point(1, -0.5, 0.1), Point(1000, 0.5, 0.2)]],
)
@pytest.mark.parametrize("line", [True, False])
def test_a_chart_is_an_svg_file_of_its_own(points: list[Point], line: bool) -> None:
    drawn = Chart(
        "天気 & <b>",
        "x",
        "mcc",
        [Series("少ない <i>" * 20, 9, points)],
        line=line,
        log=line,
        rule=("majority", 0.2),
    )
    root = ElementTree.fromstring(chart.svg(drawn, alone=True))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "天気 & <b>" in (root.find("{*}title").text or "")  # type: ignore[union-attr]
    assert "nan" not in chart.svg(drawn)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.52, 0.83, [0.5, 0.6, 0.7, 0.8, 0.9]),
        (0.5, 0.5, [0.5, 0.52, 0.54, 0.56]),
        (0.0, 1.0, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_round_numbers_at_an_axis(low: float, high: float, ticks: list[float]) -> None:
    first, last, found = chart.rounded(low, high)
    assert first <= low <= high <= last
    assert len(found) >= 2
    assert found[: len(ticks)] == ticks or low == high


def test_an_empty_store_tells_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="the store has no run"):
        summary.summarise([])
    store = Store()
    store.add("jnli", {"stage": "train"}, status="FAILED")
    with pytest.raises(
        UserError,
        match=r"of 1 runs \(1 failed\) no finished one has a score.*\n  python generate.py task=jnli",
    ):
        summary.summarise(store.runs)
    assert (
        report.main(
            ["--mlflow-uri", f"sqlite:///{tmp_path}/none.db", "--out", str(tmp_path / "out")]
        )
        == 1
    )
    told = capsys.readouterr().err
    assert "none.db does not exist" in told
    assert "python train.py task=jnli" in told
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_a_store_to_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for data, right in (("synthetic", 1), ("gold", 3)):
        config = made(TrainConfig, data=Data(name=data))
        lines = [
            {"id": str(i), "gold": "a", "predicted": "a" if i < right else "b"} for i in range(4)
        ]
        with tracking.run(config, "train", {}) as run:
            run.metrics({"score": right / 4, "train/seconds": 2.0})
            run.text("".join(json.dumps(line) + "\n" for line in lines), "predictions.jsonl")
    with pytest.raises(RuntimeError), tracking.run(config, "train", {}):
        raise RuntimeError("x")
    every = tracking.recorded("sqlite:///mlflow.db")
    assert [run.status for run in every] == ["FINISHED", "FINISHED", "FAILED"]
    assert every[0].read("nothing.txt") is None
    assert report.main([]) == 0
    captured = capsys.readouterr()
    assert captured.out == "2 runs, 2 methods, 1 tasks\nreport: report/index.html\n"
    assert captured.err == ""
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert re.search(r"\| zero-shot \| 0.250 \(n=1\) p = 0\.\d+", text)
    assert "| gold | **0.750** (n=1) |" in text
    assert "<h1>" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert report.main(["--out", str(tmp_path / "mlflow.db")]) == 1
    assert "--out" in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from japagen.report import __main__ as report; report.parser()\n"
        "print([n for n in ('mlflow', 'numpy', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_one_seed_on_two_datasets_is_two_runs() -> None:
    """`seeds=[0,1] seed=0` and `seed=1`: the training of seed 1 on the dataset of seed 0 is not that on its own."""
    store = Store()
    for seed, params in ((0, dict[str, object]()), (1, {"dataset_seed": 0}), (1, {})):
        store.train("jnli", "zero-shot", seed, 0.5 + len(store.runs) / 10, params=params)
    store.train("jnli", "zero-shot", 1, 0.9)
    assert [(result.seed(run), run.metrics["score"]) for run in result.scored(store.runs)] == [
        ("0", 0.5),
        ("1 (dataset 0)", 0.6),
        ("1", 0.9),
    ]
