from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from lightning.fabric.utilities import rank_zero
from lightning.pytorch import Trainer

from japagen.command import train
from japagen.config.error import UserError
from japagen.training import process
from tests.conftest import Compose
from tests.toys import saved

SLURM = {
    "SLURM_NTASKS": "4",
    "SLURM_JOB_NAME": "train",
    "SLURM_JOB_ID": "7",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "3",
    "SLURM_NODEID": "0",
    "SLURM_NNODES": "1",
}
TORCHRUN = {"RANK": "2", "LOCAL_RANK": "2", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"}
TORCHELASTIC = {**TORCHRUN, "TORCHELASTIC_RUN_ID": "x", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"devices": 1},
        {"devices": "1"},
        {"devices": "2,"},
        {"devices": [2], "strategy": "auto"},
        {"devices": "auto", "accelerator": "cpu"},
        {"devices": -1, "accelerator": "cpu"},
        {"devices": None, "accelerator": "cpu"},
        {"devices": "abc"},  # lightning.Trainer refuses it
    ],
)
def test_one_device_trains_alone(options: dict[str, Any]) -> None:
    assert process.trains_alone(options)


@pytest.mark.parametrize(
    "options",
    [
        {"devices": 2},
        {"devices": "0,1"},
        {"devices": "auto"},
        {"devices": "-1", "accelerator": "gpu"},
        {"num_nodes": 2},
        {"strategy": "ddp"},
    ],
)
def test_several_devices_do_not(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert not process.trains_alone(options)


def test_the_environment_decides_the_rank_of_several_processes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    zero: Any = rank_zero.rank_zero_only
    monkeypatch.setattr(zero, "rank", 3, raising=False)
    assert process.is_first({"devices": 1})
    assert not process.is_first({"devices": 4, "strategy": "ddp"})
    with process.rank({"devices": 1}):
        assert zero.rank == 0
    with process.rank({"strategy": "ddp"}):
        assert zero.rank == 3
    assert zero.rank == 3


@pytest.mark.parametrize("variables", [SLURM, TORCHRUN, TORCHELASTIC])
def test_a_trainer_for_one_device_reads_no_cluster_variables(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options: dict[str, Any] = {"devices": 1, "accelerator": "cpu", "logger": False}
    trainer = Trainer(**options, **process.plugins(options), enable_checkpointing=False)
    assert (trainer.world_size, trainer.global_rank, trainer.is_global_zero) == (1, 0, True)


def test_a_process_without_a_device_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    process.check_place({"devices": 1})  # trains alone: the variable does not count
    process.check_place({"devices": 4, "strategy": "ddp"})
    monkeypatch.setenv("LOCAL_RANK", "x")
    process.check_place({"devices": 1, "strategy": "ddp"})
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(UserError, match=r"LOCAL_RANK is 3, but trainer\.options\.devices is 1"):
        process.check_place({"devices": 1, "strategy": "ddp"})


def test_variables_that_are_no_numbers_are_ignored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"RANK": "", "SLURM_PROCID": "x", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    process.drop_unreadable()
    assert "RANK" not in os.environ
    assert "SLURM_PROCID" not in os.environ
    assert os.environ["LOCAL_RANK"] == "2"
    assert "SLURM_PROCID='x' is not a number" in caplog.text


@pytest.mark.slow
def test_a_training_in_a_slurm_step_saves_and_prints(
    composed: Compose,
    gold_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (SLURM | TORCHRUN).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero.rank_zero_only, "rank", 3, raising=False)
    words = ["task=jcola", "data=gold", f"gold_dir={gold_dir}", "student=tiny", "trainer=debug"]
    train.run(composed("train", *words))
    assert (saved() / "model.safetensors").exists()
    assert f"student: {saved()}" in capsys.readouterr().out
