"""Loggers beside MLflow: event files are read back, and wandb runs offline."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from japagen import tracking
from japagen.config.error import UserError
from japagen.config.schema import Logger, TrainConfig
from japagen.tracking import mirror
from japagen.tracking.job import job_of
from tests.tracking.test_run import made

TOKEN = "hf_abcdefghijklmnopqrst"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(*others: str, **options: Any) -> Any:
    """A config without MLflow."""
    return made(TrainConfig, logger=Logger(name="none", also=list(others)), **options)


def record(settings: Any) -> tracking.Run:
    """A run with a curve, a score, texts and a picture."""
    with tracking.run(settings, "train", {"job": "j", "secret": f"key {TOKEN}"}) as run:
        run.metrics({"valid/loss": 0.5}, 10)
        run.metrics({"valid/loss": 0.25}, 20)
        run.metrics({"score": 0.75})
        run.text(f"# Errors\n\n{TOKEN}", "errors.md")
        run.dataset([{"text": "犬"}], "jnli train", "gold", "training")
        run.rows([{"text": "犬"}], "predictions.jsonl")
        figure = Figure()
        figure.subplots().plot([1, 2])
        run.figure(figure, "confusion.svg")
    return run


def events(place: Path) -> Any:
    """What TensorBoard reads in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(place)).Reload()


@pytest.mark.slow
def test_tensorboard_reads_curves_scores_settings_texts_and_pictures(folder: Path) -> None:
    run = record(config("tensorboard"))
    assert run.id == ""  # MLflow has none
    (place,) = (folder / "tensorboard" / "jnli").iterdir()
    where = tracking.where(job_of(config("tensorboard"), "train"), run)
    assert where == f"tensorboard --logdir tensorboard  ->  run jnli/{place.name}"
    found = events(place)
    assert [(one.step, one.value) for one in found.Scalars("valid/loss")] == [(10, 0.5), (20, 0.25)]
    assert [one.value for one in found.Scalars("score")] == [0.75]
    assert "confusion.png" in found.Tags()["images"]
    assert {"errors.md/text_summary", "config.yaml/text_summary"} <= set(found.Tags()["tensors"])
    settings = (place / "hparams.yaml").read_text(encoding="utf-8")
    assert "student: tiny\n" in settings
    assert "num_per_label: 16\n" in settings
    assert "status: FINISHED\n" in settings
    assert TOKEN not in "".join(
        path.read_bytes().decode("utf-8", "replace") for path in place.iterdir()
    )


def test_a_repeated_job_continues_its_folder_and_another_has_its_own(folder: Path) -> None:
    def runs(**options: Any) -> int:
        with tracking.run(config("tensorboard", **options), "train", {"job": "j"}) as run:
            run.metrics({"score": 0.5})
        return len(list((folder / "tensorboard" / "jnli").iterdir()))

    assert [runs(), runs(), runs(rerun=True), runs(num_per_label=32)] == [1, 1, 1, 2]


def test_a_failed_job_says_so(folder: Path) -> None:
    with (
        pytest.raises(ValueError, match="no"),
        tracking.run(config("tensorboard"), "train", {}) as run,
    ):
        run.metrics({"score": 1.0})
        raise ValueError("no")
    (place,) = (folder / "tensorboard" / "jnli").iterdir()
    assert "status: FAILED" in (place / "hparams.yaml").read_text(encoding="utf-8")
    assert "error.txt/text_summary" in events(place).Tags()["tensors"]


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "wandb").mkdir()  # a folder of runs is no package

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(mirror, "version", missing)
    with (
        pytest.raises(UserError, match=r'pip install "japagen\[wandb\]"$') as error,
        tracking.run(config("wandb"), "train", {}),
    ):
        pass
    assert "\n" not in str(error.value)


def test_a_logger_that_cannot_begin_ends_the_job_with_advice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_given: object) -> Any:
        raise RuntimeError(f"no API key {TOKEN}")

    monkeypatch.setitem(mirror.SINKS, "wandb", refused)
    with (
        pytest.raises(UserError, match=r"no API key \*\*\*.*WANDB_MODE=offline"),
        tracking.run(config("wandb"), "train", {}),
    ):
        pass


def test_a_failure_on_the_way_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = list[str]()

    class Broken:
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            raise RuntimeError("disk full")

    monkeypatch.setitem(mirror.SINKS, "tensorboard", lambda *_given: Broken())
    with caplog.at_level(logging.WARNING):
        record(config("tensorboard"))
    assert caplog.text.count("tensorboard failed; the job continues without it") == 1
    assert calls == ["words"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("16", 16), ("5e-05", 5e-5), ("tiny", "tiny"), ("NaN", "NaN"), ("True", "True"), ('"', '"')],
)
def test_settings_that_are_numbers_are_numbers(text: str, value: object) -> None:
    assert mirror.typed(text) == value


@pytest.mark.slow
def test_wandb_offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    with tracking.run(config("wandb", seeds=[0, 1]), "seeds", {}) as both:
        run = record(config("wandb"))
        both.metrics({"seeds/mean": 0.5})
    first, second = sorted((folder / "wandb").glob("offline-run-*"))
    shown = tracking.where(job_of(config("wandb"), "train"), run)
    assert shown.startswith("wandb sync ")
    assert {Path(shown.split()[-1]).name} < {first.name, second.name}
    inner = Path(shown.split()[-1])
    assert {"errors.md", "options.yaml", "predictions.jsonl", "confusion.png"} <= {
        path.name for path in (inner / "files").iterdir()
    }
    assert not (inner / "files" / "wandb-metadata.json").exists()  # the typed command
    records = list(stored(next(inner.glob("*.wandb"))))
    summary = {
        item.key or item.nested_key[0]: json.loads(item.value_json)
        for one in records
        for item in [*one.history.item, *one.summary.update]
    }
    assert summary["score"] == 0.75
    curve = [
        [item.value_json for item in one.history.item if "valid/loss" in item.nested_key]
        for one in records
    ]
    assert [values for values in curve if values] == [["0.5"], ["0.25"]]
    settings = {
        item.key: json.loads(item.value_json) for one in records for item in one.run.config.update
    } | {item.key: item.value_json for one in records for item in one.config.update}
    assert json.loads(str(settings["num_per_label"])) == 16
    assert "job" in settings
    assert TOKEN.encode() not in b"".join(
        path.read_bytes() for path in (folder / "wandb").rglob("*") if path.is_file()
    )


def stored(path: Path) -> Iterator[Any]:
    """The records of a run's file: a header of 7 bytes, then blocks of LevelDB's log format."""
    from wandb.proto import wandb_internal_pb2

    kinds: Any = wandb_internal_pb2  # generated code without types
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # the rest of a block is padding
            place += 32768 - place % 32768
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found = kinds.Record()
            found.ParseFromString(whole)
            yield found
            whole = b""
