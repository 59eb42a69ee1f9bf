"""The schema, check(cfg), hints, and how a job ends."""

from __future__ import annotations

import errno
import inspect
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from hydra.errors import ConfigCompositionException
from hydra.utils import get_class

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, EvaluateConfig, GenerateConfig, Loss, TrainConfig
from japagen.job import job
from tests.conftest import Compose

ROOT = CONF.parent
YAMLS = sorted(str(path.relative_to(CONF)) for path in CONF.rglob("*.yaml"))
# What a choice cannot do without.
NEEDED = {
    "few_shot": ["shots=1"],
    "vllm": ["llm.model=x"],
    "server": ["llm.model=x"],
    "llamacpp": ["llm.model=x"],
    "mse": ["task=jsts"],
    "huber": ["task=jsts"],
    "hub": ["student.pretrained=x"],
    "japagen_json": [f"prompt.path={ROOT / 'tests' / 'published.json'}"],
}
GROUPS = {"generate": GenerateConfig, "train": TrainConfig, "evaluate": EvaluateConfig}


@pytest.mark.parametrize("name", YAMLS)
def test_every_yaml_composes_and_passes_check(composed: Compose, name: str) -> None:
    group, _, choice = name.removesuffix(".yaml").rpartition("/")
    for command, schema in GROUPS.items():
        defaults = yaml.safe_load((CONF / f"{command}.yaml").read_text(encoding="utf-8"))[
            "defaults"
        ]
        if name == f"{command}.yaml":
            assert check(composed(command), schema).task.name == "jnli"
        elif group != "experiment" and any(
            isinstance(entry, dict) and group in entry for entry in defaults
        ):  # those: test_sweep.py
            config = check(composed(command, f"{group}={choice}", *NEEDED.get(choice, [])), schema)
            assert getattr(config, group).name == choice


@pytest.mark.parametrize("name", [name for name in YAMLS if name.startswith("llm/")])
def test_every_llm_names_a_class_that_takes_its_options(composed: Compose, name: str) -> None:
    choice = Path(name).stem
    llm = check(composed("generate", f"llm={choice}", *NEEDED.get(choice, [])), GenerateConfig).llm
    named = get_class(llm._target_)
    assert named.__module__.startswith("japagen.llm.")
    inspect.signature(named).bind(llm)


def test_only_llms_and_the_callback_name_a_class() -> None:
    found = {
        name.split("/")[0]
        for name in YAMLS
        if "_target_" in (CONF / name).read_text(encoding="utf-8")
    }
    assert found == {"llm", "paths.yaml"}


@pytest.mark.parametrize("name", [name for name in YAMLS if name.startswith("loss/")])
def test_a_loss_has_the_same_options_with_and_without_its_yaml(
    composed: Compose, name: str
) -> None:
    choice = Path(name).stem
    assert check(
        composed("train", f"loss={choice}", *NEEDED.get(choice, [])), TrainConfig
    ).loss == Loss(choice)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("num_per_label=0", "num_per_label is 0; it must be 1 or more"),
        ("num_per_label=-3", "num_per_label is -3"),
        ("shots=-1", "shots is -1"),
        ("prompt=few_shot shots=0", "prompt=few_shot needs shots of 1 or more"),
        ("~task.wording.labels.neutral", "wording.labels has no text for label 'neutral'"),
        (
            "+task.wording.labels.neutrl=x",
            "has 'neutrl', which is not in labels; did you mean 'neutral'?",
        ),
        (
            "task.wording.turns.sentence2=x",
            "does not contain {label}, so the LLM would not be told the label",
        ),
        (
            "'task.wording.turns.sentence2=\"{labl}{label}\"'",
            "{labl} is not known; allowed: {label}",
        ),
        ("~task.wording.turns.sentence1", "no instruction for input 'sentence1'"),
        ("task.kind=clasification", "kind is 'clasification'; allowed: classification, regression"),
        ("task.metric=acuracy", "metric is 'acuracy'; allowed: .*; did you mean 'accuracy'?"),
        ("task.metric=pearson", "metric pearson is not for classification"),
        ("task.labels=[a]", "labels must be two or more different names"),
        ("task=jsts task.labels=[zero,one]", "label 'zero' is not a number"),
        ("task.inputs=[a,b,c]", "inputs has 3 names"),
        ("prompt=knowledge task.knowledge=null", "prompt=knowledge needs `knowledge`"),
        ("task.knowledge.sentence=x", "knowledge.sentence must contain {slot}"),
        ("logger.name=wandb", "logger is 'wandb'; allowed: mlflow, none"),
    ],
)
def test_check_names_the_problem(composed: Compose, override: str, message: str) -> None:
    overrides = [override.strip("'")] if override.startswith("'") else override.split()
    with pytest.raises(UserError) as caught:
        check(composed("generate", *overrides), GenerateConfig)
    text = str(caught.value)
    assert all(part in text for part in message.split(".*"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data=few_gold data.shots=null", "data=few_gold needs data.shots"),
        ("data=few_gold data.shots=0", "data.shots is 0; it must be 1 or more"),
        ("data=gold data.shots=3", "data.shots is for data=few_gold and data=mixed"),
        ("data.fraction=0", "data.fraction is 0.0; it is a share above 0"),
        ("data.valid=1", "data.valid is 1.0; it is a share between 0 and 1, e.g. data.valid=0.1"),
        ("data.near_duplicate=2", "data.near_duplicate is 2.0; it is a similarity"),
        (
            "data=mixed data.order=gold_first",
            "data.order is 'gold_first'; allowed: together, synthetic_first",
        ),
        (
            "data.order=synthetic_first",
            "data.order=synthetic_first is for data=mixed, not data=synthetic",
        ),
        ("data=mixed data.gold_weight=0", "data.gold_weight is 0.0; it must be above 0"),
        (
            "loss=generalized_ce loss.q=0",
            "loss.q is 0.0; it must be above 0, at most 1, e.g. loss.q=0.7",
        ),
        (
            "loss=label_smoothing loss.epsilon=1",
            "loss.epsilon is 1.0; it must be 0 or more and below 1",
        ),
        ("loss=symmetric_ce loss.alpha=0 loss.beta=0", "loss.alpha and loss.beta are both 0"),
        ("loss=huber", "loss is 'huber'; allowed for classification: auto, cross_entropy"),
        ("loss=huber task=jsts loss.delta=0", "loss.delta is 0.0; it must be above 0"),
        ("loss=sungen loss.step=2", "loss.step is 2.0"),
        ("loss=sungen data=mixed data.gold_weight=2", "loss=sungen learns the weight of each row"),
        ("loss=soft data=gold", "loss=soft is for the labels of an LLM; data=gold has none"),
        (
            "data=mixed data.gold_weight=2 data.order=synthetic_first",
            "data.gold_weight is for data=mixed data.order=together",
        ),
    ],
)
def test_check_names_the_problem_of_a_training(
    composed: Compose, override: str, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        check(composed("train", *override.split()), TrainConfig)
    assert message in str(caught.value)


def test_check_reports_all_problems_at_once(composed: Compose) -> None:
    with pytest.raises(UserError, match="3 problems in the configuration") as caught:
        check(composed("generate", "num_per_label=0", "shots=-1", "max_attempts=0"), GenerateConfig)
    assert str(caught.value).count("\n  - ") == 3


def test_a_wrong_type_is_refused_when_composing(composed: Compose) -> None:
    with pytest.raises(ConfigCompositionException):
        composed("generate", "num_per_label=many")


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["task=jnlii"], "did you mean 'jnli'?"),
        (["task=jnli,jstss"], "task=jstss is unknown"),
        (["shot=3"], "did you mean 'shots'?"),
        (["task.clean.max_char=3"], "did you mean 'max_chars'?"),
    ],
)
def test_hints(argv: list[str], hint: str) -> None:
    assert hint in "\n".join(job.override_hints(argv, GenerateConfig))


def test_no_hint_for_what_is_right(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "weather.yaml").touch()
    argv = [
        "--config-dir",
        str(tmp_path),
        "task=weather",
        "shots=1",
        "task.clean.max_chars=3",
        "+llm.sampling.top_k=3",
        "-m",
    ]
    assert not list(job.override_hints(argv, GenerateConfig))


def type_in(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, in `folder`."""
    env = {**os.environ, "JAPAGEN_CACHE": str(folder / "cache"), **environment}
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_user_error_is_one_message_without_traceback(tmp_path: Path) -> None:
    done = type_in(tmp_path, str(ROOT / "generate.py"), "num_per_label=0", "logger=none")
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("num_per_label is 0") == 1
    assert "Traceback" not in done.stdout + done.stderr
    done = type_in(
        tmp_path, str(ROOT / "generate.py"), "num_per_label=0", "logger=none", HYDRA_FULL_ERROR="1"
    )
    assert "Traceback" in done.stderr


def test_an_unknown_choice_lists_the_choices_and_the_nearest(tmp_path: Path) -> None:
    done = type_in(tmp_path, str(ROOT / "generate.py"), "task=jnlii")
    assert done.returncode == 1
    assert "did you mean 'jnli'?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_failing_job_of_a_sweep_does_not_stop_the_others(tmp_path: Path) -> None:
    done = type_in(
        tmp_path, str(ROOT / "generate.py"), "-m", "llm=fake", "logger=none", "num_per_label=0,2"
    )
    assert done.returncode == 1
    assert "dataset: synthetic/jnli/fake-" in done.stdout
    log = next((tmp_path / "multirun").rglob("0/generate.log")).read_text(encoding="utf-8")
    assert "num_per_label is 0" in log


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    words = [
        sys.executable,
        str(ROOT / "generate.py"),
        "llm=fake",
        "llm.engine.latency=0.2",
        "num_per_label=5000",
        "logger=none",
    ]
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for _ in range(300):
        if any(path.stat().st_size > 1000 for path in tmp_path.rglob("journal.jsonl")):
            break
        time.sleep(0.1)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "the same command goes on" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_disk_trouble_becomes_one_message(
    code: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: UserError) -> None:
        raise error

    monkeypatch.setattr(job, "fail", fail)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(UserError, match=r"cannot write synthetic/x: .*the same command"),
        job.job(),
    ):
        raise OSError(code, os.strerror(code), "synthetic/x")


@pytest.mark.parametrize(
    ("script", "option"), [("generate.py", "max_attempts"), ("evaluate.py", "student.path=FOLDER")]
)
def test_help_is_quick_and_imports_nothing_heavy(tmp_path: Path, script: str, option: str) -> None:
    done = type_in(tmp_path, "-X", "importtime", str(ROOT / script), "--help")
    assert done.returncode == 0
    assert option in done.stdout
    imported = {
        line.rpartition("|")[2].strip()
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "hydra" in imported
    assert not imported & {"torch", "transformers", "mlflow", "lightning", "numpy", "pandas"}
