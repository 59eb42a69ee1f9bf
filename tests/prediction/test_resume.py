"""A job that dies at any step continues, and its output has the same bytes."""

from __future__ import annotations

import copy
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from japagen.config.schema import CONF
from japagen.prediction import command
from japagen.prediction import write as writer
from japagen.prediction.parts import Parts
from japagen.student import predictor
from tests.prediction.inputs import FORMATS, ONE, ROWS, predict, read, saved, write

ROWS_WITH_BAD = [*ROWS[:3], {**ROWS[3], "text": ""}, *ROWS[4:7]]
OPTIONS = ("--chunk", "3", "--probabilities")


class Died(BaseException):
    """What stands for a kill."""


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("student") / "s", ONE)


@pytest.fixture(autouse=True)
def opened(
    monkeypatch: pytest.MonkeyPatch, student: Path, request: pytest.FixtureRequest
) -> list[int]:
    """The student is opened once for all runs; returns how many rows each run asked it for."""
    real = predictor.Predictor(student, "torch", threads=1)
    asked = list[int]()

    class Counted:
        def __new__(cls, *_: Any) -> Any:
            one = copy.copy(real)
            plain = one.logits

            def logits(examples: Any, batch_size: int) -> Any:
                asked.append(len(examples))
                return plain(examples, batch_size)

            one.logits = logits  # type: ignore[method-assign,assignment]
            return one

    monkeypatch.setattr(predictor, "Predictor", Counted)
    return asked


def half(path: Path, *arguments: Any) -> None:
    """Write a part of which the second half is missing."""
    writer_write(path, *arguments)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


writer_write = writer.write_part
STEPS = [
    (Path, "replace"),
    (Path, "unlink"),
    (Path, "rmdir"),
    (Path, "mkdir"),
    (Path, "write_text"),
    (os, "fsync"),
    (writer, "write_part"),
    (writer, "join"),
]


def dying(monkeypatch: pytest.MonkeyPatch, fatal: int) -> None:
    """Die at the step `fatal`: an even one before a change of a file, an odd one after it."""
    count = [0]

    def step() -> None:
        count[0] += 1
        if count[0] == fatal + 1:
            raise Died

    def watch(real: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            step()
            found = real(*arguments, **options)
            step()
            return found

        return watched

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, watch(getattr(owner, name)))


def attempt(monkeypatch: pytest.MonkeyPatch, fatal: int, *arguments: Any) -> bool:
    """Run the command until the step `fatal`; whether it died, and did not end before."""
    with monkeypatch.context() as patch:
        dying(patch, fatal)
        try:
            assert predict(*arguments) == 0
        except Died:
            return True
    return False


@pytest.fixture
def undisturbed(tmp_path: Path, student: Path) -> Callable[[str], tuple[Path, bytes]]:
    def make(form: str) -> tuple[Path, bytes]:
        source = write(tmp_path / f"in.{form}", ROWS_WITH_BAD)
        output = tmp_path / f"whole.{form}"
        assert predict(student, source, output, *OPTIONS) == 0
        return source, output.read_bytes()

    return make


Undisturbed = Callable[[str], tuple[Path, bytes]]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_death_at_each_step(
    tmp_path: Path,
    student: Path,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    source, whole = undisturbed(form)
    fatal, died = 0, True
    while died:
        output = tmp_path / f"{fatal}.{form}"
        died = attempt(monkeypatch, fatal, student, source, output, *OPTIONS)
        assert not output.exists() or output.read_bytes() == whole
        if Parts(output).load() or not output.exists():
            assert predict(student, source, output, *OPTIONS) == 0
            assert not Parts(output).folder.exists()
        assert output.read_bytes() == whole
        fatal += 1
    assert fatal > 50


@pytest.mark.slow
def test_death_at_each_step_while_an_output_is_replaced(
    tmp_path: Path, student: Path, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, whole = undisturbed("csv")
    options = (*OPTIONS, "--overwrite")
    fatal, died = 0, True
    while died:
        output = tmp_path / f"{fatal}.csv"
        output.write_text("old")
        died = attempt(monkeypatch, fatal, student, source, output, *options)
        assert output.read_bytes() in (b"old", whole)
        assert predict(student, source, output, *options) == 0
        assert output.read_bytes() == whole
        assert not Parts(output).folder.exists()
        fatal += 1
    assert fatal > 50


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("seed", range(2))
def test_many_deaths(
    tmp_path: Path,
    student: Path,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    form: str,
) -> None:
    source, whole = undisturbed(form)
    chance, output = random.Random(seed), tmp_path / f"o.{form}"
    for _ in range(100):
        attempt(monkeypatch, chance.randrange(4, 40), student, source, output, *OPTIONS)
        if output.exists():
            break
    if Parts(output).folder.exists():
        assert predict(student, source, output, *OPTIONS) == 0
    assert output.read_bytes() == whole


@pytest.mark.parametrize("form", FORMATS)
def test_a_part_that_was_cut_off_is_written_again(
    tmp_path: Path,
    student: Path,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    source, whole = undisturbed(form)
    output = tmp_path / f"o.{form}"

    def cut(path: Path, *arguments: Any) -> None:
        half(path, *arguments)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_part", cut)
        with pytest.raises(Died):
            predict(student, source, output, *OPTIONS)
    assert [path.name for path in Parts(output).folder.glob("part*")] == ["part-000000.tmp"]
    assert predict(student, source, output, *OPTIONS) == 0
    assert output.read_bytes() == whole


@pytest.mark.parametrize("form", FORMATS)
def test_finished_chunks_are_not_asked_again(
    tmp_path: Path,
    student: Path,
    undisturbed: Undisturbed,
    opened: list[int],
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    source, whole = undisturbed(form)
    assert opened == [3, 2, 1]
    real = command.label_chunk

    def stop(work: command.Work, *others: Any) -> None:
        if work.state.parts == 2:
            raise KeyboardInterrupt
        real(work, *others)

    output = tmp_path / f"o.{form}"
    with monkeypatch.context() as patch:
        patch.setattr(command, "label_chunk", stop)
        assert predict(student, source, output, *OPTIONS) == 130
    opened.clear()
    assert predict(student, source, output, *OPTIONS) == 0
    assert opened == [1]
    assert output.read_bytes() == whole


def test_the_bad_rows_of_all_attempts_are_counted(
    tmp_path: Path,
    student: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"text": "" if number % 3 == 0 else "犬"} for number in range(9)]
    source = write(tmp_path / "in.csv", rows, ["text"])
    attempt(monkeypatch, 34, student, source, tmp_path / "o.csv", *OPTIONS)
    state = Parts(tmp_path / "o.csv").load()
    assert state is not None
    assert 0 < state.bad < 3
    assert predict(student, source, tmp_path / "o.csv", *OPTIONS) == 0
    said = capsys.readouterr().out
    assert "9 rows" in said
    assert "3 bad rows" in said
    assert [line for line in said.splitlines() if line.startswith("  row")] == [
        f"  row {number}: 'text' is empty" for number in (1, 4, 7)
    ]


@pytest.fixture
def running(tmp_path: Path, student: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """running(source, output) starts the command in a process of its own."""
    started = list[subprocess.Popen[str]]()

    def start(source: Path, output: Path, *options: str) -> subprocess.Popen[str]:
        files = [str(student), "--input", str(source), "--output", str(output)]
        words = [sys.executable, "-m", "japagen", "predict", *files, "--backend", "torch", *options]
        pipe = subprocess.PIPE
        one = subprocess.Popen(words, cwd=CONF.parent, stdout=pipe, stderr=pipe, text=True)
        started.append(one)
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def wait_for_parts(parts: Parts, number: int) -> None:
    """Wait until so many parts are there."""
    end = time.monotonic() + 120
    while not parts.path(number - 1).exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_ctrl_c_in_a_process(tmp_path: Path, running: Callable[..., subprocess.Popen[str]]) -> None:
    rows = [{"id": str(number), "text": "犬" * (number % 20 + 1)} for number in range(20_000)]
    source, output = write(tmp_path / "in.csv", rows), tmp_path / "o.csv"
    one = running(source, output, "--chunk", "50")
    wait_for_parts(Parts(output), 3)
    one.send_signal(signal.SIGINT)
    out, err = one.communicate(timeout=60)
    assert one.returncode == 130
    assert out == ""
    state = Parts(output).load()
    assert state is not None
    assert err == f"Stopped at {state.rows:,} rows; repeat the command to continue.\n"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_kill_9_at_random_moments(
    tmp_path: Path, running: Callable[..., subprocess.Popen[str]], form: str
) -> None:
    rows = [{"id": str(number), "text": "犬" * (number % 20 + 1)} for number in range(2_000)]
    source, output = write(tmp_path / f"in.{form}", rows), tmp_path / f"o.{form}"
    one = running(source, tmp_path / f"whole.{form}", "--chunk", "50")
    assert one.wait(240) == 0
    chance = random.Random(0)
    for number in (3, 12, 25):
        one = running(source, output, "--chunk", "50")
        wait_for_parts(Parts(output), number)
        time.sleep(chance.random() / 10)
        one.kill()
        one.communicate()
    one = running(source, output, "--chunk", "50")
    assert one.wait(240) == 0
    assert output.read_bytes() == (tmp_path / f"whole.{form}").read_bytes()
    assert [row["id"] for row in read(output)] == [row["id"] for row in rows]
