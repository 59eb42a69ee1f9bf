"""Runs as rows of the table."""

from __future__ import annotations

import pytest

from japagen.report import row, summary
from tests.report.stores import Store, reported


def test_the_newest_run_of_a_repeated_job_counts() -> None:
    store = Store()
    for score in (0.5, 0.8):
        store.train("jnli", "zero-shot", 0, score)
    found = reported(store)
    assert [run.metrics["score"] for run in found.runs] == [0.8]
    assert found.counts["jnli"]["repeated"] == 1


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


def test_the_untrained_encoder_is_a_row_before_the_students_whatever_llm_its_options_name() -> None:
    store = Store()
    store.train("jsts", "zero-shot", 0, 0.5)
    tags = {"stage": "evaluate", "subject": "encoder", "method": "cosine, untrained"}
    for llm in ("gemma3_270m", "qwen"):
        params = {"llm": llm, "llm.name": llm, "num_per_label": 16, "shots": 0}
        store.add("jsts", {**tags, "student": "e5_small_ja"}, {"score": 0.7}, params)
    found = reported(store)
    assert list(found.labels.values()) == ["cosine, untrained", "zero-shot"]


def test_one_seed_on_two_datasets_is_two_runs() -> None:
    """seeds=[0,1] seed=0 trains seed 1 on the dataset of seed 0, seed=1 on its own."""
    store = Store()
    for seed, params in ((0, dict[str, object]()), (1, {"dataset_seed": 0}), (1, {})):
        store.train("jnli", "zero-shot", seed, 0.5 + len(store.runs) / 10, params=params)
    store.train("jnli", "zero-shot", 1, 0.9)
    assert [(row.seed(run), run.metrics["score"]) for run in row.scored(store.runs)] == [
        ("0", 0.5),
        ("1 (dataset 0)", 0.6),
        ("1", 0.9),
    ]


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "x", "", "None"])
def test_a_param_that_is_no_number_is_none(text: str) -> None:
    store = Store()
    store.train("jnli", "zero-shot", 0, 0.5, params={"num_per_label": text, "data.fraction": text})
    (run,) = store.runs
    assert (row.size(run), row.fraction(run)) == (None, 1.0)


def test_methods_are_ordered_with_numbers_as_numbers() -> None:
    methods = ["gold", "few gold 50", "few gold 5", "own prompt", "5-shot", "zero-shot"]
    methods += ["10-shot", "few gold " + "9" * 5000, "prompting 0-shot"]
    assert sorted(methods, key=row.rank) == [
        "prompting 0-shot",
        "zero-shot",
        "5-shot",
        "10-shot",
        "few gold " + "9" * 5000,
        "few gold 5",
        "few gold 50",
        "own prompt",
        "gold",
    ]


def test_options_that_a_method_does_not_use_tell_nothing_apart() -> None:
    store = Store()
    for name, rate in (("zero_shot", "0.1"), ("knowledge", "0.2")):
        params = {"prompt.knowledge": name, "llm.sampling.temperature": rate}
        store.train("jnli", "gold", 0 if rate == "0.1" else 1, 0.5, params=params)
        tags = {"stage": "evaluate", "subject": "prompting", "method": "prompting 0-shot"}
        given = {"seed": 0, "student.batch_size": rate, "filter.shots": rate, "prompt.joint": rate}
        store.add("jnli", tags, {"score": 0.5}, given)
    assert list(reported(store).labels.values()) == ["prompting 0-shot", "gold"]


def test_runs_with_other_options_are_rows_of_their_own() -> None:
    store = Store()
    for rate in ("0.0001", "3e-05"):
        for seed in range(2):
            params = {"student.learning_rate": rate, "trainer.max_epochs": 3, "mlflow_uri": rate}
            store.train("jnli", "zero-shot", seed, 0.5, params=params)
    store.train("jsts", "zero-shot", 0, 0.5, params={"student.learning_rate": "0.0001"})
    store.train("jsts", "5-shot", 0, 0.5)
    found = reported(store)
    assert list(found.labels.values()) == [
        "zero-shot · student.learning_rate=0.0001",
        "zero-shot · student.learning_rate=3e-05",
        "5-shot",
    ]
    assert [len(cell.runs) for cell in found.columns[0].cells.values()] == [2, 2]
    assert found.counts["jnli"]["repeated"] == 0
