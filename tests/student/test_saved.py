"""A saved student: its predictions are those of the training, its speed, wrong paths."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from japagen import tracking
from japagen.command import evaluate, train
from japagen.config.error import UserError
from tests.conftest import Compose
from tests.toys import FAST
from tests.toys import saved as folder_of_student


def predicted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The predictions that a job hands to tracking."""
    found: list[dict[str, Any]] = []

    def keep(_run: tracking.Run, given: Iterable[dict[str, Any]], _name: str) -> None:
        found[:] = [*given]

    monkeypatch.setattr(tracking.Run, "rows", keep)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("task", ["jcola", "jsts"])
def test_a_saved_student_says_what_it_said_when_it_was_trained(
    composed: Compose,
    gold_dir: Path,
    recorded: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    task: str,
) -> None:
    lines = predicted(monkeypatch)
    words = [f"task={task}", f"gold_dir={gold_dir}"]
    train.run(composed("train", *words, "data=gold", *FAST))
    written = (folder_of_student() / "predictions.jsonl").read_text(encoding="utf-8")
    before, trained = dict(recorded), [json.loads(line) for line in written.splitlines()]
    recorded.clear()
    score = evaluate.run(
        composed(
            "evaluate",
            *words,
            "subject=student",
            f"student.path={folder_of_student()}",
            "llm._target_=japagen.llm.fake.Absent",
        )
    )
    shared = [name for name in before if name.startswith(("test/", "majority")) or name == "score"]
    assert {name: recorded[name] for name in shared} == pytest.approx(
        {name: before[name] for name in shared}, abs=1e-6
    )
    assert score == pytest.approx(recorded["score"], abs=1e-4)
    assert len(trained) == len(lines) == 40
    for old, new in zip(trained, lines, strict=True):
        assert (new["id"], new["gold"]) == (old["id"], old["gold"])
        assert new.keys() - old.keys() <= {"sentence", "sentence1", "sentence2"}
        assert new["predicted"] == (
            pytest.approx(old["predicted"], abs=1e-4) if task == "jsts" else old["predicted"]
        )
    assert min(recorded["speed/torch/batch_1"], recorded["speed/torch/batched"]) > 0
    assert 0 < recorded["speed/torch/p50_ms"] <= recorded["speed/torch/p95_ms"]
    assert min(recorded[f"speed/torch/{key}"] for key in ("memory_mb", "size_mb")) > 0
    assert recorded["speed/torch/score"] == pytest.approx(score, abs=1e-4)
    assert recorded["cost/seconds_per_1000"] == pytest.approx(
        1000 / recorded["evaluate/examples_per_second"]
    )
    text = capsys.readouterr().out
    assert "rows/s one by one" in text
    assert f"student: {folder_of_student()}" in text


@pytest.mark.slow
def test_a_students_run_leads_to_its_folder(
    composed: Compose, gold_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        "task=jcola",
        f"gold_dir={gold_dir}",
        "logger=mlflow",
        f"mlflow_uri=sqlite:///{tmp_path}/mlflow.db",
    ]
    train.run(composed("train", *words, "data=gold", "student=tiny", "trainer=debug"))
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'jcola'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["folder"] == str(folder_of_student().absolute())
    assert {"predictions.jsonl", "confusion.svg"} <= {
        item.path for item in client.list_artifacts(run.info.run_id)
    }
    evaluate.run(composed("evaluate", *words, "subject=student", f"student.path={run.info.run_id}"))
    (found,) = client.search_runs([experiment.experiment_id], "tags.stage = 'evaluate'")
    expected = {
        "subject": "student",
        "student": "tiny",
        "data": "gold",
        "backend": "torch",
    }
    assert expected.items() <= found.data.tags.items()
    assert "llm" not in found.data.tags
    assert "score" in found.data.metrics
    assert {"predictions.jsonl", "confusion.svg", "backends.md", "speed.svg"} <= {
        item.path for item in client.list_artifacts(found.info.run_id)
    }
    with pytest.raises(UserError, match="is no folder"):
        evaluate.run(composed("evaluate", *words, "subject=student", f"student.path={'0' * 32}"))


@pytest.mark.slow
def test_what_is_wrong_with_a_student_is_named(
    composed: Compose, gold_dir: Path, tmp_path: Path
) -> None:
    words = ["subject=student", f"gold_dir={gold_dir}"]
    with pytest.raises(
        UserError,
        match=r"student\.path=nowhere: nowhere is no folder; give a folder as train\.py printed it",
    ):
        evaluate.run(composed("evaluate", "task=jcola", *words, "student.path=nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no japagen\.json"):
        evaluate.run(composed("evaluate", "task=jcola", *words, f"student.path={tmp_path}/empty"))
    train.run(
        composed(
            "train",
            "task=jcola",
            f"gold_dir={gold_dir}",
            "data=gold",
            "student=tiny",
            "trainer=debug",
        )
    )
    with pytest.raises(UserError, match=r"trained for task jcola: .* Type task=jcola"):
        evaluate.run(
            composed("evaluate", "task=jsts", *words, f"student.path={folder_of_student()}")
        )
