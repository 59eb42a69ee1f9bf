"""Sweeps as a user starts them: jobs, table, runs in MLflow, and a second start."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from japagen.config.schema import CONF
from japagen.job.sweep import varied
from tests.conftest import Compose
from tests.tracking.test_run import ROOT

TABLE = re.compile(r"^│ (\d+) +│[^│]*│ (\w[a-z ]*?)(?::[^│]*)? +│ *(-?[\d.]*) *│", re.MULTILINE)


@pytest.fixture
def folder(ready: Path, tmp_path: Path) -> Path:
    shutil.copy(ready / "mlflow.db", tmp_path)
    return tmp_path


def start(folder: Path, script: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    environment.pop("JAPAGEN_DATA", None)
    environment["JAPAGEN_CACHE"] = str(folder / "cache")
    command = [sys.executable, str(ROOT / script), *words]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sweep(folder: Path, script: str, *words: str) -> tuple[int, list[tuple[str, str]], str]:
    """The exit code, (how each job ended, its score), and all that was printed."""
    process = start(folder, script, *words)
    try:
        printed = process.communicate(timeout=1500)[0]
    finally:
        process.kill()
    return process.returncode, [(found[2], found[3]) for found in TABLE.finditer(printed)], printed


def runs(folder: Path, experiment: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id], max_results=5000)) if found else []


def parts(folder: Path, experiment: str) -> tuple[list[Any], list[Any]]:
    """(the runs of sweeps, the runs of jobs)."""
    found = runs(folder, experiment)
    return [run for run in found if run.data.tags["stage"] == "sweep"], [
        run for run in found if run.data.tags["stage"] != "sweep"
    ]


@pytest.mark.slow
def test_a_sweep_does_not_share_its_folder_with_a_running_one(folder: Path) -> None:
    fixed = [*GENERATE, "logger=none", "hydra.sweep.dir=same"]
    first = start(folder, "generate.py", *fixed, "seed=0,1", "llm.engine.latency=1")
    while not (folder / "same" / ".sweep" / "sweep.json").exists():
        assert first.poll() is None
        time.sleep(0.1)
    second = start(folder, "generate.py", *fixed, "seed=5,6,7")
    printed = second.communicate(timeout=120)[0]
    assert second.returncode == 1
    assert "another sweep is running in" in printed
    assert "hydra.sweep.dir=FOLDER" in printed
    assert "2 jobs in" in first.communicate(timeout=240)[0]
    assert first.returncode == 0
    assert sweep(folder, "generate.py", *fixed, "seed=0,1")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("text", ["[/INST]", "[/s]"])
def test_markup_in_options_and_errors_changes_neither_table_nor_exit_code(
    folder: Path, text: str
) -> None:
    options = ["logger=none", f"++llm.engine.nope='{text}',x"]
    code, _, printed = sweep(folder, "generate.py", *GENERATE, *options)
    assert code == 1
    assert "2 jobs in" in printed
    assert f"nope='{text}'" in printed or f"nope={text}" in printed


# With min_chars=1000 every reply is rejected, and a job fails after two of them.
FEW = ["max_attempts=2", "task.clean.max_chars=2000"]
GENERATE = ["-m", "task=jcola", "llm=fake", "num_per_label=2"]


@pytest.mark.slow
def test_a_failed_job_stops_no_other_and_a_second_start_does_only_what_is_missing(
    folder: Path,
) -> None:
    words = [*GENERATE, "seed=0,1", "task.clean.min_chars=1000,5", *FEW]
    code, table, printed = sweep(folder, "generate.py", *words)
    assert (code, [state for state, _ in table]) == (1, ["failed", "done", "failed", "done"]), (
        printed
    )
    assert printed.index("[ERROR]") < printed.index("#1 :")
    assert "Traceback" not in printed
    (parent,), jobs = parts(folder, "jcola")
    assert (parent.info.status, parent.data.metrics) == (
        "FAILED",
        {"jobs": 4.0, "jobs_failed": 2.0},
    )
    assert "task.clean.min_chars=1000,5" in parent.info.run_name
    assert {job.data.tags["mlflow.parentRunId"] for job in jobs} == {parent.info.run_id}
    assert Counter(job.info.status for job in jobs) == {"FAILED": 2, "FINISHED": 2}

    code, table, printed = sweep(folder, "generate.py", *words)
    assert (code, [state for state, _ in table]) == (
        1,
        ["failed", "done before", "failed", "done before"],
    ), printed
    (same,), jobs = parts(folder, "jcola")
    assert same.info.run_id == parent.info.run_id
    assert Counter(job.info.status for job in jobs) == {"FAILED": 4, "FINISHED": 2}


@pytest.mark.slow
def test_training_goes_by_options_and_rows(folder: Path) -> None:
    assert sweep(folder, "generate.py", *GENERATE, "num_per_label=8", "seed=0,1")[0] == 0
    train = [
        "-m",
        "task=jcola",
        "llm=fake",
        "num_per_label=8",
        "student=tiny",
        "trainer=cpu",
        "trainer.max_epochs=1",
    ]
    code, table, printed = sweep(folder, "train.py", *train, "seed=0")
    assert (code, [state for state, _ in table]) == (0, ["done"]), printed
    first = table[0][1]
    code, table, printed = sweep(folder, "train.py", *train, "seed=0,1")
    assert [state for state, _ in table] == ["done before", "done"], printed
    assert table[0][1] == first
    assert "already done: jcola-tiny" in printed
    # A form that a finished student lacks is written without training it again.
    code, table, printed = sweep(folder, "train.py", *train, "seed=0", "export=bfloat16")
    assert [state for state, _ in table] == ["done before"], printed
    assert len(list((folder / "students").glob("*-seed0-*/bfloat16/model.safetensors"))) == 1
    assert [state for state, _ in sweep(folder, "train.py", *train, "seed=0", "rerun=true")[1]] == [
        "done"
    ]
    trained = [run for run in parts(folder, "jcola")[1] if run.data.tags["stage"] == "train"]
    assert len(trained) == 3
    assert {run.data.tags["method"] for run in trained} == {"zero-shot"}


@pytest.mark.slow
def test_killed_and_started_again_ends_with_the_same_runs(folder: Path) -> None:
    words = [*GENERATE, "seed=range(8)", "llm.engine.latency=0.4", "llm.concurrency=1"]
    process = start(folder, "generate.py", *words)
    while sum(run.info.status == "FINISHED" for run in runs(folder, "jcola")) < 3:
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)
    process.kill()
    process.communicate()
    assert [run for run in runs(folder, "jcola") if run.info.status == "RUNNING"]
    code, table, printed = sweep(folder, "generate.py", *words)
    assert code == 0, printed
    assert Counter(state for state, _ in table)["done before"] >= 3
    assert {state for state, _ in table} == {"done", "done before"}
    (parent,), jobs = parts(folder, "jcola")
    assert parent.info.status == "FINISHED"
    finished = [job for job in jobs if job.info.status == "FINISHED"]
    assert sorted(int(job.data.params["seed"]) for job in finished) == list(range(8))
    assert {job.info.status for job in jobs} <= {"FINISHED", "KILLED"}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_parallel_jobs_share_one_sweep(folder: Path, launcher: str) -> None:
    if (
        importlib.util.find_spec(f"hydra_plugins.hydra_{launcher.removesuffix('_local')}_launcher")
        is None
    ):
        pytest.skip(f"the launcher {launcher} is not installed")
    words = [
        *GENERATE,
        f"hydra/launcher={launcher}",
        "seed=0,1",
        "task.clean.min_chars=1000,5",
        *FEW,
    ]
    code, table, printed = sweep(folder, "generate.py", *words)
    states = Counter(state for state, _ in table)
    assert (code, states) == (1, {"failed": 2, "done": 2}), printed
    (parent,), jobs = parts(folder, "jcola")
    assert {job.data.tags["mlflow.parentRunId"] for job in jobs} == {parent.info.run_id}
    assert "RUNNING" not in {run.info.status for run in [parent, *jobs]}


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None,
    reason="needs hydra-joblib-launcher",
)
def test_two_hundred_jobs_of_four_workers_lose_no_run(folder: Path) -> None:
    words = [
        *GENERATE,
        "num_per_label=1",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=4",
        "seed=range(200)",
    ]
    code, table, printed = sweep(folder, "generate.py", *words)
    assert (code, Counter(state for state, _ in table)) == (0, {"done": 200}), printed[-3000:]
    assert "locked" not in printed
    assert "MLflow failed" not in printed
    (parent,), jobs = parts(folder, "jcola")
    assert sorted(int(job.data.params["seed"]) for job in jobs) == list(range(200))
    assert {job.info.status for job in jobs} == {"FINISHED"}
    assert parent.data.metrics == {"jobs": 200.0, "jobs_failed": 0.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_experiment_names_choices_that_are_there(composed: Compose, path: Path) -> None:
    params = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]["sweeper"]["params"]
    known = set[str]()
    for command in ("generate", "train", "evaluate"):
        plain, first = composed(command), []
        for key, values in params.items():
            group, _, inner = key.partition(".")
            choices = {path.stem for path in (CONF / group).glob("*.yaml")}
            if (
                group not in plain
                or (inner and inner not in plain[group])
                or (command == "evaluate" and key == "student")
            ):
                continue
            known.add(key)
            assert inner or not choices or choices.issuperset(str(values).split(",")), key
            OverridesParser.create().parse_override(f"{key}={values}")
            first.append(f"{key}={str(values).split(',')[0]}")
        assert composed(command, *first)
    assert known == set(params)


@pytest.mark.slow
def test_jobs_that_lack_gold_are_no_failure(folder: Path) -> None:
    code, table, printed = sweep(folder, "generate.py", *GENERATE, "shots=1,0", "gold_dir=.")
    assert (code, [state for state, _ in table]) == (0, ["no gold", "done"]), printed
    code, table, printed = sweep(
        folder, "evaluate.py", "-m", "task=jcola", "llm=fake", "shots=0,1", "gold_dir=."
    )
    assert (code, [state for state, _ in table]) == (0, ["no gold", "no gold"]), printed
    code, table, printed = sweep(
        folder,
        "train.py",
        "-m",
        "task=jcola",
        "data=gold,few_gold",
        "seeds=[0,1]",
        "student=tiny",
        "gold_dir=.",
    )
    assert (code, [state for state, _ in table]) == (0, ["no gold", "no gold"]), printed
    (job,) = parts(folder, "jcola")[1]
    assert (job.info.status, job.data.tags["shots"]) == ("FINISHED", "0")


@pytest.mark.slow
def test_the_smoke_table_leaves_out_what_a_command_does_not_know(folder: Path) -> None:
    code, table, printed = sweep(
        folder,
        "generate.py",
        "experiment=smoke",
        "task=jnli",
        "seed=0",
        "prompt=zero_shot,knowledge",
        "num_per_label=2",
    )
    assert (code, [state for state, _ in table]) == (0, ["done", "done"]), printed
    assert {run.data.tags["experiment"] for run in runs(folder, "jnli")} == {"smoke"}
    assert {run.data.tags["method"] for run in parts(folder, "jnli")[1]} == {
        "zero-shot",
        "knowledge",
    }


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["task=jnli,jsts", "seed=0"], ["task"]),
        (["seeds=[0,1]", "+llm.engine={a: 1, b: 2}", "note='a,b'"], []),
        (["seed=range(3)", "student.learning_rate=1e-4, 3e-5"], ["seed", "student.learning_rate"]),
        (["seeds=[0,1],[2]"], ["seeds"]),
    ],
)
def test_varied_options_are_those_with_several_values(words: list[str], keys: list[str]) -> None:
    assert varied(words) == keys
