"""How a job ends."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from japagen.config.error import UserError
from japagen.job import job
from tests.commands import ROOT, generate


def test_an_interruption_that_a_package_turned_into_its_own_error_stops_the_job() -> None:
    with pytest.raises(SystemExit) as found, job.job():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as cause:
            raise ValueError("Unsupported interpolation") from cause
    assert found.value.code == 130
    with pytest.raises(ValueError, match="another"), job.job():
        raise ValueError("another")


@pytest.mark.slow
def test_a_user_error_is_one_message_without_traceback(tmp_path: Path) -> None:
    done = generate(tmp_path, "num_per_label=0")
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count("num_per_label is 0") == 1
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_the_traceback_of_a_user_error_is_shown_on_request(tmp_path: Path) -> None:
    assert "Traceback" in generate(tmp_path, "num_per_label=0", HYDRA_FULL_ERROR="1").stderr


@pytest.mark.slow
def test_an_error_is_printed_even_if_logging_is_switched_off(tmp_path: Path) -> None:
    done = generate(tmp_path, "num_per_label=0", "hydra/job_logging=disabled")
    assert done.returncode == 1
    assert "num_per_label is 0" in done.stderr


@pytest.mark.slow
def test_a_job_does_not_change_its_folder(tmp_path: Path) -> None:
    done = generate(tmp_path, "hydra.job.chdir=true")
    assert done.returncode == 1
    assert "hydra.job.chdir=true starts every job in a new folder" in done.stdout
    assert not list(tmp_path.rglob("train.jsonl"))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp932"])
def test_a_console_without_some_characters_fails_no_job(tmp_path: Path, encoding: str) -> None:
    done = generate(tmp_path, PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.rglob("manifest.json"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data[old]", "a[/x]", "b[bold]"])
def test_a_folder_with_markup_in_its_name_is_printed_as_it_is(tmp_path: Path, name: str) -> None:
    done = generate(tmp_path, f"synthetic_dir='{name}'")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"dataset: {name}/jcola/" in done.stdout


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
    assert process.returncode == 128 + number, output
    assert "The same command resumes" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.ENOENT, errno.ENAMETOOLONG])
def test_an_error_of_a_file_becomes_one_message(
    code: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: UserError) -> None:
        raise error

    monkeypatch.setattr(job, "fail", fail)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(UserError, match=r"cannot use synthetic/x: .*the same command"),
        job.job(),
    ):
        raise OSError(code, os.strerror(code), "synthetic/x")
    assert not caplog.records


def test_an_error_of_no_file_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(FileNotFoundError), job.job():
        raise FileNotFoundError("nothing that a user could fix")
    assert caplog.records[-1].exc_info
