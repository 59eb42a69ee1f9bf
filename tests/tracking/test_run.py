"""Runs in a real SQLite store of MLflow."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from japagen import tracking
from japagen.config.check import check
from japagen.config.schema import (
    CONF,
    LLM,
    Config,
    Data,
    EvaluateConfig,
    Filter,
    GenerateConfig,
    Logger,
    Loss,
    Prompt,
    Saved,
    Student,
    TrainConfig,
    Trainer,
)
from japagen.config.task import Task, Wording
from japagen.tracking import source
from japagen.tracking.connect import connect, open_client
from japagen.tracking.job import job_of
from japagen.training.sources.few_gold import FewGold
from japagen.training.sources.mixed import Mixed
from tests.conftest import Compose, once

ROOT = CONF.parent
JOB = """
import logging
logging.basicConfig(level=logging.INFO)
from japagen import tracking
from tests.tracking.test_run import made
with tracking.run(made(task="first"), "generate", {"fingerprint": "abc"}) as run:
    run.metrics({"kept": 1.0})
assert run.id and not run.lost
"""


def made(kind: type[Config] = GenerateConfig, task: str = "jnli", **options: Any) -> Any:
    """A config as after `check`."""
    given: dict[str, Any] = {
        "task": Task(
            name=task,
            inputs=["sentence1"],
            labels=["a", "b"],
            wording=Wording(system="日本語の文を書く。"),
        ),
        "prompt": Prompt(name="zero_shot"),
        "llm": LLM(
            _target_="japagen.llm.fake.Fake",
            name="fake",
            model="fake",
            sampling={"temperature": 0.9},
        ),
        "seed": 3,
    }
    if issubclass(kind, TrainConfig):
        student = Student(name="tiny", pretrained="random:tiny")
        given |= {
            "student": student,
            "data": Data(name="synthetic"),
            "loss": Loss(name="auto"),
            "trainer": Trainer(name="cpu"),
        }
    return kind(**{**given, **options})


def python(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A store that two first jobs made at the same moment, and what each printed."""

    def make(folder: Path) -> None:
        jobs = [python(JOB, folder) for _ in range(2)]
        for number, job in enumerate(jobs):
            (folder / f"printed-{number}").write_text(
                job.communicate(timeout=120)[0] + f"rc={job.returncode}", encoding="utf-8"
            )

    folder = once(tmp_path_factory, "first", make)
    return folder, [
        (folder / f"printed-{number}").read_text(encoding="utf-8") for number in range(2)
    ]


@pytest.fixture
def folder(first: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a store that is ready (making one takes seconds)."""
    shutil.copy(first[0] / "mlflow.db", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stored(config: Config, run: tracking.Run) -> Any:
    """The run as MLflow gives it back."""
    return open_client(config.mlflow_uri).get_run(run.id)


def artifacts(folder: Path, run: tracking.Run) -> Path:
    return folder / "mlruns" / "jnli" / run.id / "artifacts"


@pytest.mark.slow
def test_two_first_jobs_make_one_store_and_print_nothing(first: tuple[Path, list[str]]) -> None:
    folder, printed = first
    assert printed == ["rc=0", "rc=0"]
    assert len(list((folder / "mlruns" / "first").iterdir())) == 2


def test_a_run_holds_what_the_job_says(folder: Path) -> None:
    config = made(TrainConfig)
    (folder / "card.md").write_text("札", encoding="utf-8")
    with tracking.run(config, "train", {"fingerprint": "abc"}) as run:
        run.metrics({"valid/accuracy": 0.5}, step=1)
        run.metrics({"valid/accuracy": 0.75, "test/f1/肯定(仮)": float("nan")}, step=2)
        run.tags({"generated_by": "xyz"})
        run.params({"device": "cpu"})
        run.text("犬が走る。", "samples.md")
        run.file(Path("card.md"), "dataset")
        run.dataset([{"sentence1": "犬", "label": "a"}] * 2, "jnli", "synthetic/日本", "training")
        run.figure(tracking.confusion(["a", "b"], ["a", "a"], ["a", "b"]), "confusion.svg")
    found = stored(config, run)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == run.name == "zero-shot ×16 -> tiny · seed 3 · fake"
    expected = {
        "stage": "train",
        "task": "jnli",
        "llm": "fake",
        "prompt": "zero_shot",
        "shots": "0",
        "student": "tiny",
    }
    expected |= {"data": "synthetic", "fingerprint": "abc", "generated_by": "xyz"}
    assert expected.items() <= found.data.tags.items()
    expected = {
        "llm": "fake",
        "llm.sampling.temperature": "0.9",
        "seed": "3",
        "student": "tiny",
        "loss": "auto",
    }
    assert (
        expected | {"device": "cpu", "filter": "none", "num_per_label": "16"}
    ).items() <= found.data.params.items()
    del found.data.params["student.few_rows.labels"]  # a number
    assert not [key for key in found.data.params if "wording" in key or "labels" in key]
    assert found.data.metrics["valid/accuracy"] == 0.75
    assert any(key.startswith("test/f1/肯定_仮_-") for key in found.data.metrics)
    used = found.inputs.dataset_inputs[0]
    assert (used.dataset.name, used.dataset.source) == ("jnli", '{"uri": "synthetic/日本"}')
    assert used.tags[0].value == "training"
    names = {
        str(path.relative_to(artifacts(folder, run)))
        for path in artifacts(folder, run).rglob("*.*")
    }
    assert names == {"config.yaml", "samples.md", "dataset/card.md", "confusion.svg"}
    assert "日本語の文を書く。" in (artifacts(folder, run) / "config.yaml").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
def test_the_machines_load_is_recorded_while_a_job_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    config = made()
    with tracking.run(config, "generate", {}) as run:
        time.sleep(1)
    found = stored(config, run)
    assert 0 < found.data.metrics["system/system_memory_usage_percentage"] <= 100
    assert "system/cpu_utilization_percentage" in found.data.metrics
    config.logger.system_metrics = False
    with tracking.run(config, "generate", {}) as run:
        time.sleep(0.5)
    assert not [name for name in stored(config, run).data.metrics if name.startswith("system/")]


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("壊れた"), "FAILED"), (SystemExit(2), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_an_error_ends_the_run_and_is_raised_again(
    folder: Path, error: BaseException, status: str
) -> None:
    config = made()
    with pytest.raises(type(error)), tracking.run(config, "generate", {}) as run:
        raise error
    found = stored(config, run)
    assert found.info.status == status
    assert found.data.tags["error"] == f"{type(error).__name__}: {error}"
    assert "raise error" in (artifacts(folder, run) / "error.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_without_logger_nothing_is_imported_or_written(tmp_path: Path) -> None:
    code = """
import sys
from japagen import tracking
from japagen.config.schema import Logger
from tests.tracking.test_run import made
config = made(logger=Logger(name="none"))
with tracking.run(config, "generate", {}) as run:
    run.metrics({"kept": 1.0})
    run.text("x", "a.txt")
    run.dataset([], "x", "y", "training")
job = tracking.job_of(config, "generate")
assert run.id == tracking.latest(job, "abc") == tracking.where(job, run) == ""
print([name for name in ("mlflow", "matplotlib", "pandas") if name in sys.modules])
"""
    assert python(code, tmp_path).communicate(timeout=60)[0] == "[]\n"
    assert not list(tmp_path.iterdir())


def test_a_failure_of_mlflow_is_one_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full at postgresql://me:hush@host/db")

    config = made()
    with tracking.run(config, "generate", {}) as run:
        with monkeypatch.context() as patch:
            patch.setattr("mlflow.MlflowClient.log_batch", fail)
            run.metrics({"kept": 1.0})
        run.metrics({"later": 1.0})
        run.text("x", "later.md")
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warned) == 1
    assert "disk full at postgresql://me:***@host/db" in warned[0]
    found = stored(config, run)
    # MLflow took them when the job ended, and nothing is left over.
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"kept": 1.0, "later": 1.0})
    assert (artifacts(folder, run) / "later.md").read_text(encoding="utf-8") == "x"
    assert not list((folder / "mlflow-unsent").iterdir())


@pytest.mark.parametrize("uri", ["sqlite:///broken.db", "sqlite:////proc/none/mlflow.db", "mlruns"])
def test_a_store_that_cannot_be_opened_is_one_warning(
    uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.db").write_text("no database " * 100)
    config = made(mlflow_uri=uri)
    with tracking.run(config, "generate", {}) as run:
        run.metrics({"kept": 1.0})
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == [
        "japagen.tracking"
    ]
    assert tracking.where(tracking.job_of(config, ""), run) == ""


def test_an_error_of_the_job_is_raised_where_mlflow_fails_too() -> None:
    config = made(mlflow_uri="sqlite:////proc/none/mlflow.db")
    with pytest.raises(ValueError, match="of the job"), tracking.run(config, "generate", {}):
        raise ValueError("of the job")


def test_no_secret_is_recorded(folder: Path) -> None:
    engine: dict[str, Any] = {"api_key": "hush-1", "headers": {"Authorization": "Bearer hush-2"}}
    engine |= {
        "servers": [{"token": "hush-3"}],
        "url": "https://me:hush-4@host/v1?api_key=hush-5&n=1",
        "max_tokens": 7,
    }
    config = made(llm=LLM(_target_="x", name="server", model="m", engine=engine))
    with (
        pytest.raises(RuntimeError),
        tracking.run(config, "generate", {"note": "password=hush-6"}) as run,
    ):
        run.text("Authorization: Bearer hush-7", "samples.md")
        raise RuntimeError(f"refused: {config.llm}")
    found = stored(config, run)
    assert found.data.params["llm.engine.max_tokens"] == "7"
    assert found.data.params["llm.engine.url"] == "https://me:***@host/v1?api_key=***&n=1"
    written = [path.read_text(encoding="utf-8") for path in artifacts(folder, run).iterdir()]
    assert len(written) == 3
    assert "hush" not in "".join([*written, *found.data.tags.values(), *found.data.params.values()])


def test_known_secrets_are_recorded_nowhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every place that a text of the job reaches, with secrets that do not look like any."""
    monkeypatch.setenv("TEAM_LLM", "plain-hush-1")
    basic = base64.b64encode(b"me:plain-hush-2").decode()
    engine: dict[str, Any] = {"headers": {"Authorization": f"Basic {basic}"}}
    llm = LLM(_target_="x", name="plain-hush-1", model="m", engine=engine)
    llm.base_url, llm.api_key_env = "http://plain-hush-3@host/v1", "TEAM_LLM"
    secrets = ["plain-hush-1", "plain-hush-2", "plain-hush-3", basic]
    text = " ".join(secrets)
    (folder / "card.md").write_text(text)
    config = made(llm=llm)
    with pytest.raises(RuntimeError), tracking.run(config, "generate", {"note": text}) as run:
        run.params({"said": text})
        run.text(text, "samples.md")
        run.file(folder / "card.md", "dataset")
        run.dataset([], text, text, "generation")
        raise RuntimeError(text)
    found = stored(config, run)
    assert found.info.run_name == "zero-shot ×16 · seed 3 · ***"
    files = [path for path in artifacts(folder, run).rglob("*") if path.is_file()]
    assert len(files) == 4
    everything = str(found.to_dictionary()) + "".join(file.read_text() for file in files)
    assert "***" in everything
    database = (folder / "mlflow.db").read_bytes()
    for secret in secrets:
        assert secret not in everything
        assert secret.encode() not in database


def test_labels_stay_different_metrics(folder: Path) -> None:
    labels = ["★☆☆", "★★☆", "★★★", "a/b", "a//b", "", ".."]
    config = made()
    with tracking.run(config, "generate", {}) as run:
        run.metrics({f"predicted/{label}": number for number, label in enumerate(labels)})
    assert run.lost == ""
    assert sorted(stored(config, run).data.metrics.values()) == list(range(len(labels)))


@pytest.mark.slow
def test_more_items_than_mlflow_takes_at_once(folder: Path) -> None:
    config = made()
    with tracking.run(config, "generate", {}) as run:
        run.metrics({f"f1/{number}": 0.5 for number in range(1100)})
        run.params({f"p{number}": "x" for number in range(150)})
    found = stored(config, run)
    assert (len(found.data.metrics), run.lost) == (1100, "")
    assert len([key for key in found.data.params if key.startswith("p1")]) == 61


def test_a_refused_call_is_kept_and_the_rest_is_recorded(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = made()
    with tracking.run(config, "generate", {}) as run:
        run.params({"seed": 4, "device": "cpu"})  # the seed is a param already, with another value
        run.metrics({"score": 0.5})
    found = stored(config, run)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"score": 0.5})
    assert (found.data.params["seed"], found.data.params["device"]) == ("3", "cpu")
    assert "seed" in found.data.tags["incomplete"]
    assert "MLflow refused seed" in caplog.text
    (kept,) = (folder / "mlflow-unsent").glob("*.refused.jsonl")
    assert '["seed", "4"]' in kept.read_text(encoding="utf-8")


def test_the_address_of_mlflows_own_variable_is_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copy(folder / "mlflow.db", folder / "team.db")
    (folder / "mlflow.db").unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///team.db")
    with tracking.run(made(), "generate", {}) as run:
        pass
    assert open_client("sqlite:///team.db").get_run(run.id).info.status == "FINISHED"
    assert "team.db" in tracking.where(tracking.job_of(made(), ""), run)
    assert tracking.recorded("sqlite:///mlflow.db")[-1].id == run.id
    assert not (folder / "mlflow.db").exists()
    shutil.copy(folder / "team.db", folder / "own.db")
    with (
        caplog.at_level(logging.INFO),
        tracking.run(made(mlflow_uri="sqlite:///own.db"), "generate", {}),
    ):
        pass
    assert "not to MLFLOW_TRACKING_URI" in caplog.text


@pytest.mark.parametrize("task", ["../../escaped", "org/model", ".."])
def test_an_experiments_files_stay_in_mlruns(folder: Path, task: str) -> None:
    with tracking.run(made(task=task), "generate", {}) as run:
        run.text("x", "a.txt")
    assert run.lost == ""
    (path,) = folder.rglob("a.txt")
    assert path.relative_to(folder / "mlruns").parts[1:] == (run.id, "artifacts", "a.txt")


@pytest.mark.usefixtures("folder")
def test_long_values_are_cut() -> None:
    config = made(llm=LLM(_target_="x", name="fake", model="長" * 9000))
    with tracking.run(config, "generate", {"long": "長" * 9000}) as run:
        pass
    found = stored(config, run)
    assert not run.lost
    assert found.data.params["llm.model"] == "長" * 500
    assert found.data.tags["long"] == "長" * 5000


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_latest_is_the_newest_finished_run() -> None:
    config = made()
    assert tracking.latest(tracking.job_of(config, "generate"), "abc") == ""
    ids = []
    for _ in range(2):
        with tracking.run(config, "generate", {"fingerprint": "abc"}) as run:
            ids.append(run.id)
    with (
        pytest.raises(ValueError, match="x"),
        tracking.run(config, "generate", {"fingerprint": "abc"}),
    ):
        raise ValueError("x")
    with tracking.run(config, "generate", {"fingerprint": "abc"}):
        assert tracking.latest(tracking.job_of(config, "generate"), "abc") == ids[1]
    assert tracking.latest(tracking.job_of(config, "train"), "abc") == ""


@pytest.mark.usefixtures("folder")
def test_an_experiment_deleted_in_the_ui_comes_back() -> None:
    config = made()
    client, experiment = connect(config.mlflow_uri, config.task.name)
    client.delete_experiment(experiment)
    with tracking.run(config, "generate", {}) as run:
        pass
    assert (run.experiment, run.lost) == (experiment, "")


@pytest.mark.parametrize(
    ("config", "stage", "name"),
    [
        (made(), "generate", "zero-shot ×16 · seed 3 · fake"),
        (
            made(shots=5, filter=Filter(name="basic")),
            "generate",
            "5-shot basic ×16 · seed 3 · fake",
        ),
        (made(TrainConfig, data=Data(name="gold")), "train", "gold -> tiny · seed 3"),
        (
            made(TrainConfig, data=FewGold(name="few_gold", shots=8)),
            "train",
            "few gold 8 -> tiny · seed 3",
        ),
        (
            made(TrainConfig, data=Data(name="gold", fraction=0.1)),
            "train",
            "gold x0.1 -> tiny · seed 3",
        ),
        (
            made(TrainConfig, data=Mixed(name="mixed", shots=8, order="synthetic_first")),
            "train",
            "mixed 8 synthetic_first zero-shot ×16 -> tiny · seed 3 · fake",
        ),
        (
            made(TrainConfig, data=Mixed(name="mixed")),
            "train",
            "mixed zero-shot ×16 -> tiny · seed 3 · fake",
        ),
        (
            made(TrainConfig, data=Mixed(name="mixed", shots=8)),
            "train",
            "mixed 8 zero-shot ×16 -> tiny · seed 3 · fake",
        ),
        (
            made(EvaluateConfig, shots=5),
            "evaluate",
            "prompting 5-shot · seed 3 · fake",
        ),
        (
            made(EvaluateConfig, subject="dataset"),
            "evaluate",
            "dataset zero-shot ×16 · seed 3 · fake",
        ),
        (
            made(EvaluateConfig, subject="student", student=Saved(path="students/a-b")),
            "evaluate",
            "student a-b · seed 3",
        ),
    ],
)
def test_run_names(config: Config, stage: str, name: str) -> None:
    assert job_of(config, stage).name == name


@pytest.mark.parametrize(
    ("config", "stage", "method"),
    [
        (made(), "generate", "zero-shot"),
        (made(shots=5, prompt=Prompt(name="few_shot")), "generate", "5-shot"),
        (made(prompt=Prompt(name="knowledge", knowledge=True)), "generate", "knowledge"),
        (
            made(shots=5, prompt=Prompt(name="knowledge", knowledge=True)),
            "generate",
            "5-shot knowledge",
        ),
        (made(filter=Filter(name="verified")), "generate", "zero-shot verified"),
        (made(prompt=Prompt(name="japagen_json")), "generate", "japagen_json"),
        (made(TrainConfig, data=Data(name="synthetic")), "train", "zero-shot"),
        (made(TrainConfig, data=Data(name="gold"), shots=5), "train", "gold"),
        (made(TrainConfig, data=Mixed(name="mixed")), "train", "mixed zero-shot"),
        (made(shots=5), "evaluate", "prompting 5-shot"),
    ],
)
def test_methods(config: Config, stage: str, method: str) -> None:
    assert tracking.job_of(config, stage).method == method


def test_few_gold_rows_are_a_method_of_their_number() -> None:
    config = made(TrainConfig, data=FewGold(name="few_gold", shots=10))
    assert tracking.job_of(config, "train").method == "few gold 10"


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "text", ['token="abc"', 'Password: "x"', "cookie: a=b", 'https://a.b/?key="x"', "\ud800"]
)
def test_rows_stay_json_when_a_text_looks_like_a_secret(folder: Path, text: str) -> None:
    config = made()
    with tracking.run(config, "evaluate", {}) as run:
        run.rows(
            [{"id": "1", "gold": "a", "predicted": None, "text": f"前 {text} 後"}], "rows.jsonl"
        )
    written = (artifacts(folder, run) / "rows.jsonl").read_text(encoding="utf-8")
    assert json.loads(written)["gold"] == "a"
    assert "abc" not in written


@pytest.mark.slow
def test_gold_training_is_not_grouped_by_llm() -> None:
    config = made(TrainConfig, data=Data(name="gold"))
    with tracking.run(config, "train", {}) as run:
        pass
    assert not {"llm", "prompt", "shots"} & set(stored(config, run).data.tags)


def test_where_names_the_command_that_shows_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tracking.Run("名前")
    run.id, run.experiment = "r1", "7"
    page = "#/experiments/7/runs/r1 (experiment jnli, run '名前')"
    view = "?workflowType=machine_learning&viewStateShareKey=scores"
    scores = f"#/experiments/7/runs{view} (all scores of jnli)"
    shown = tracking.where(tracking.job_of(made(), ""), run).splitlines()
    assert shown[0] == f"mlflow ui  ->  http://127.0.0.1:5000/{page}"
    assert shown[1] == f"  and  http://127.0.0.1:5000/{scores}"
    remote = tracking.job_of(made(mlflow_uri="http://me:hush@host:80/"), "")
    assert tracking.where(remote, run).splitlines() == [
        f"http://me:***@host:80/{page}",
        f"http://me:***@host:80/{scores}",
    ]
    other = tracking.where(tracking.job_of(made(mlflow_uri="sqlite:///other.db"), ""), run)
    assert other.startswith(f"mlflow ui --backend-store-uri sqlite:///{tmp_path}/other.db  ->")
    (tmp_path / "mlruns" / "0").mkdir(parents=True)
    (tmp_path / "mlruns" / "0" / "meta.yaml").touch()
    assert "--backend-store-uri" in tracking.where(tracking.job_of(made(), ""), run)


def test_an_experiment_has_the_view_of_its_scores(folder: Path) -> None:
    config = made()
    for _ in range(2):
        with tracking.run(config, "generate", {}) as run:
            pass
    client, experiment = connect(config.mlflow_uri, config.task.name)
    view = json.loads(client.get_experiment(experiment).tags["mlflow.sharedViewState.scores"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`score`", False)
    assert view["selectedColumns"][0] == "metrics.`score`"
    assert run.lost == ""


def test_a_server_that_refuses_the_view_takes_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuse(*_given: object) -> None:
        raise MlflowException("permission denied")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    with tracking.run(made(), "generate", {}) as run:
        run.metrics({"kept": 1.0})
    assert run.lost == ""
    assert stored(made(), run).data.metrics["kept"] == 1.0


def test_a_run_says_who_started_it_and_from_which_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/generate.py", "task=jnli"])
    monkeypatch.setattr("japagen.tracking.source.user", lambda: "hanako")
    source.commit.cache_clear()
    with tracking.run(made(), "generate", {}) as run:
        pass
    tags = stored(made(), run).data.tags
    assert tags["mlflow.user"] == "hanako"
    assert tags["mlflow.source.name"] == "generate.py"
    assert re.fullmatch(r"[0-9a-f]{40}", tags["mlflow.source.git.commit"])


def test_code_outside_a_checkout_has_no_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("japagen.tracking.source.CONF", tmp_path / "conf")
    source.commit.cache_clear()
    assert source.commit() == ""
    source.commit.cache_clear()


def test_confusion_draws_counts_and_japanese_labels(tmp_path: Path) -> None:
    figure = tracking.confusion(
        ["肯定", "肯定", "否定"], ["肯定", "肯定", "肯定"], ["肯定", "否定"]
    )
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "gold")
    assert [text.get_text() for text in axes.texts] == ["2", "0", "1", "0"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(tmp_path / "confusion.svg")
    assert (tmp_path / "confusion.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    "label", ["from_$10_to_$20", "$", "$x", r"\\$a_{b$", "a\nb", "\x00", "\x1b", ""]
)
def test_labels_are_drawn_as_they_are(tmp_path: Path, label: str) -> None:
    figure = tracking.confusion([label], [label], [label, "over_$20"])
    figure.savefig(tmp_path / "confusion.svg")
    assert (tmp_path / "confusion.svg").stat().st_size > 1000


def test_the_text_of_a_figure_stays_text(folder: Path) -> None:
    with tracking.run(made(), "generate", {}) as run:
        run.figure(tracking.confusion(["肯定"], ["肯定"], ["肯定", "否定"]), "confusion.svg")
    (path,) = folder.rglob("confusion.svg")
    assert "否定" in path.read_text(encoding="utf-8")


def test_a_figure_that_cannot_be_drawn_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    figure = tracking.confusion(["a"], ["a"], ["a"])
    figure.axes[0].set_title("$\\broken{$")
    with tracking.run(made(), "generate", {}) as run:
        run.figure(figure, "confusion.svg")
        run.text("\ud800", "surrogate.txt")
        run.tags({"x": "\ud800"})
    assert "cannot draw confusion.svg" in caplog.text
    assert run.lost == ""


def test_logger_option_is_the_only_switch() -> None:
    with tracking.run(made(logger=Logger(name="none")), "train", {}) as run:
        run.figure(tracking.confusion(["a"], ["b"], ["a", "b"]), "confusion.svg")
    assert run.id == ""


@pytest.mark.slow
def test_the_baselines_of_a_task_are_its_newest_scores_without_training(folder: Path) -> None:
    config = made(EvaluateConfig)
    for score in (0.4, 0.5):
        with tracking.run(config, "evaluate", {}) as run:
            run.metrics({"score": score})
    with tracking.run(made(EvaluateConfig, shots=4), "evaluate", {}) as run:
        run.metrics({"partial/accuracy": 0.9})
    with tracking.run(made(EvaluateConfig, subject="dataset"), "evaluate", {}) as run:
        run.metrics({"score": 0.8})
    with tracking.run(made(EvaluateConfig, subject="encoder"), "evaluate", {}) as run:
        run.tags({"student": "e5_small_ja"})
        run.metrics({"score": 0.7})
    job = job_of(made(TrainConfig), "train")
    known = {"fake prompting 0-shot": 0.5, "e5_small_ja cosine, untrained": 0.7}
    assert tracking.baselines(job) == known
    assert tracking.baselines(replace(job, recorded=False)) == {}


def test_options_that_a_job_does_not_use_are_no_params(composed: Compose) -> None:
    words = ["task=jcola", "llm=fake", "gold_dir=none"]
    synthetic = job_of(check(composed("train", *words), TrainConfig), "train").params
    gold = job_of(check(composed("train", *words, "data=gold"), TrainConfig), "train").params
    asked = job_of(check(composed("evaluate", *words), EvaluateConfig), "evaluate").params
    assert {"llm", "prompt", "num_per_label", "filter"} <= synthetic.keys()
    assert (
        not {"llm", "llm.model", "prompt", "prompt.round", "num_per_label", "filter"} & gold.keys()
    )
    assert {"student", "data", "seed"} <= gold.keys()
    assert {"llm", "shots"} <= asked.keys()
    assert not {"prompt", "num_per_label", "filter"} & asked.keys()
