"""What is refused, with which message, and that nothing is lost or left behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from filelock import FileLock

from japagen.prediction import command
from japagen.prediction import write as writer
from japagen.prediction.parts import Parts
from tests.prediction.inputs import FORMATS, ONE, ROWS, TWO, predict, read, saved, write

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("student") / "s", ONE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in.csv", ROWS)


def refused(capsys: Said, *arguments: object) -> str:
    """Return the message of a command that fails."""
    student, source, output, *options = arguments
    assert (
        predict(Path(str(student)), Path(str(source)), Path(str(output)), *map(str, options)) == 1
    )
    return capsys.readouterr().err


def stopped(monkeypatch: pytest.MonkeyPatch, *arguments: object, rows: int = 4) -> None:
    """Run the command until a number of rows is saved, with --chunk 2."""
    student, source, output, *options = arguments
    real = command.label_chunk

    def stop(work: command.Work, *others: object) -> None:
        if work.state.rows >= rows:
            raise KeyboardInterrupt
        real(work, *others)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(command, "label_chunk", stop)
        options = ["--chunk", "2", *options]
        files = [Path(str(one)) for one in (student, source, output)]
        assert predict(*files, *map(str, options)) == 130


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_column(tmp_path: Path, student: Path, capsys: Said, form: str) -> None:
    source = write(tmp_path / f"in.{form}", [{"id": "1", "texts": "犬"}])
    said = refused(capsys, student, source, tmp_path / "o.csv")
    assert "has no column 'text'. Its columns: id, texts; did you mean 'texts'?" in said
    assert "--columns INPUT=COLUMN" in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--columns", "txt=note"], "--columns txt=note: allowed: INPUT=COLUMN.*text; did you"),
        (["--columns", "note"], "--columns note: allowed: INPUT=COLUMN"),
        (["--columns", "text=absent"], "has no column 'absent'. Its columns: id, text, note"),
        (["--keep", "id", "absent"], "has no column 'absent'.*--keep COLUMN"),
    ],
)
def test_columns_that_do_not_fit(
    student: Path, source: Path, capsys: Said, options: list[str], message: str
) -> None:
    said = refused(capsys, student, source, source.with_name("o.csv"), *options)
    import re

    assert re.search(message, said)
    assert not Parts(source.with_name("o.csv")).folder.exists()


@pytest.mark.parametrize("name", ["predicted", "probability", "error", "p(良い)"])
@pytest.mark.parametrize("form", FORMATS)
def test_a_column_that_exists(
    tmp_path: Path, student: Path, capsys: Said, form: str, name: str
) -> None:
    source = write(tmp_path / f"in.{form}", [{"id": "1", "text": "犬", name: "x"}])
    said = refused(capsys, student, source, tmp_path / "o.csv", "--probabilities")
    assert f"already has a column '{name}'" in said
    assert "--keep id text" in said
    kept = ["--probabilities", "--keep", "id", "text"]
    assert predict(student, source, tmp_path / "o.csv", *kept) == 0
    assert read(tmp_path / "o.csv")[0][name] != "x"


def test_names_of_columns_twice(tmp_path: Path, student: Path, capsys: Said) -> None:
    (tmp_path / "in.csv").write_text("text,text\na,b\n")
    said = refused(capsys, student, tmp_path / "in.csv", tmp_path / "o.csv")
    assert "has two columns 'text'" in said


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "cannot read .*absent.csv: No such file"),
        ("in.txt", b"", "--input .*ends with '.txt'; allowed: .jsonl, .csv"),
        ("in.csv", b"", "header cannot be read: the file is empty"),
        ("in.csv", "text\n犬".encode("utf-16"), "is UTF-16"),
        ("in.csv", "本文,id\n犬,1".encode("cp932"), "row 1: byte .*UTF-8"),
        ("in.csv", b"PAR1", "is a parquet file. Give --format parquet"),
        ("in.jsonl", b"PK\x03\x04", "is a ZIP archive"),
        ("in.parquet", b"PAR1PAR1", "not a parquet file or is cut off"),
        ("in.parquet", b"text\n", "not a parquet file or is cut off"),
        ("in.jsonl", b'{"text": "a", "\\ud800": 1}', r"'\\ud800'; allowed: whole characters"),
    ],
)
def test_an_input_that_cannot_be_read(
    tmp_path: Path, student: Path, capsys: Said, name: str, content: bytes | None, message: str
) -> None:
    import re

    if content is not None:
        (tmp_path / name).write_bytes(content)
    said = refused(capsys, student, tmp_path / name, tmp_path / "o.csv")
    assert re.search(message, said), said
    assert len(list(tmp_path.iterdir())) == (content is not None)


def test_an_existing_output(student: Path, source: Path, capsys: Said) -> None:
    output = source.with_name("o.csv")
    output.write_text("mine")
    assert "exists. Give --overwrite" in refused(capsys, student, source, output)
    assert output.read_text() == "mine"
    assert not Parts(output).folder.exists()
    assert predict(student, source, output, "--overwrite") == 0
    assert len(read(output)) == len(ROWS)


def test_an_output_that_is_the_input_or_a_folder(student: Path, source: Path, capsys: Said) -> None:
    assert "is the input" in refused(capsys, student, source, source, "--overwrite")
    folder = source.with_name("o.csv")
    folder.mkdir()
    assert "is a folder" in refused(capsys, student, source, folder, "--overwrite")
    assert "ends with ''" in refused(capsys, student, source, source.with_name("o"))
    assert len(read(source)) == len(ROWS)


def test_no_student(tmp_path: Path, source: Path, capsys: Said) -> None:
    said = refused(capsys, tmp_path / "absent", source, tmp_path / "o.csv")
    assert "is no folder that train.py saved" in said
    broken = saved(tmp_path / "s", ONE)
    (broken / "model.safetensors").write_bytes(b"")
    said = refused(capsys, broken, source, tmp_path / "o.csv")
    assert "this student cannot be opened" in said
    assert not Parts(tmp_path / "o.csv").folder.exists()


def test_a_folder_of_the_user_is_left_alone(student: Path, source: Path, capsys: Said) -> None:
    folder = Parts(source.with_name("o.csv")).folder
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    said = refused(capsys, student, source, source.with_name("o.csv"), "--overwrite")
    assert "was not made by this command (thesis.txt)" in said
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_files_that_a_user_adds_to_the_parts_stay(
    student: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = source.with_name("o.csv")
    stopped(monkeypatch, student, source, output)
    names = ["part-000099", "part-000000.txt", "notes"]
    for name in names:
        (Parts(output).folder / name).write_text("mine")
    assert predict(student, source, output, "--chunk", "2") == 0
    assert sorted(path.name for path in Parts(output).folder.iterdir()) == sorted(names)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--probabilities"], "probabilities: False there, True here"),
        (["--batch-size", "5"], "batch_size: 32 there, 5 here"),
        (["--chunk", "3"], "chunk: 2 there, 3 here"),
        (["--columns", "text=note"], "columns: "),
        (["--keep", "id"], "keep: None there, ['id'] here"),
    ],
)
def test_another_job_with_the_same_output(
    student: Path,
    source: Path,
    capsys: Said,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    word: str,
) -> None:
    output = source.with_name("o.csv")
    stopped(monkeypatch, student, source, output)
    before = {path: path.read_bytes() for path in Parts(output).folder.glob("part*")}
    said = refused(capsys, student, source, output, "--chunk", "2", *options)
    assert "unfinished output of another job" in said
    assert word in said
    assert said.count(" there, ") == 1
    assert {path: path.read_bytes() for path in before} == before
    assert predict(student, source, output, "--chunk", "2") == 0


def test_another_input_or_student(
    tmp_path: Path, source: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, output = saved(tmp_path / "s", ONE), source.with_name("o.csv")
    stopped(monkeypatch, student, source, output)
    options = ("--chunk", "2")
    times = source.stat()
    content = source.read_bytes()
    source.write_bytes(content.replace(b"1", b"7"))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "  input start: " in refused(capsys, student, source, output, *options)
    source.write_bytes(content + b"\n")
    said = refused(capsys, student, source, output, *options)
    assert "  input size: " in said
    assert "  input modified: " in said
    source.write_bytes(content)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    weights = (student / "model.safetensors").stat().st_mtime_ns
    os.utime(student / "model.safetensors", ns=(weights + 1, weights + 1))
    assert "  student files: " in refused(capsys, student, source, output, *options)
    os.utime(student / "model.safetensors", ns=(weights, weights))
    card = (student / "japagen.json").read_text("utf-8")
    (student / "japagen.json").write_text(card.replace('"max_length": 32', '"max_length": 31'))
    assert "  student card: " in refused(capsys, student, source, output, *options)
    (student / "japagen.json").write_text(card, encoding="utf-8")
    assert predict(student, source, output, *options) == 0


def test_two_processes(student: Path, source: Path, capsys: Said) -> None:
    output = source.with_name("o.csv")
    Parts(output).folder.mkdir()
    with FileLock(Parts(output).folder / "lock"):
        said = refused(capsys, student, source, output)
        assert f"another process is writing {output}" in said
        assert (Parts(output).folder / "lock").exists()
    assert predict(student, source, output) == 0


def test_ctrl_c_is_one_line(
    student: Path, source: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(monkeypatch, student, source, source.with_name("o.csv"))
    said = capsys.readouterr()
    assert said.err == "Stopped at 4 rows; repeat the command to continue.\n"
    assert said.out == ""


@pytest.mark.parametrize("failing", [1, 3])
def test_a_full_disk_is_one_message_and_loses_nothing(
    student: Path, source: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    output = source.with_name("o.csv")
    calls, real = [0], writer.write_part

    def full(*arguments: object) -> None:
        calls[0] += 1
        if calls[0] == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "o.csv.parts/x")
        real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_part", full)
        said = refused(capsys, student, source, output, "--chunk", "2")
    rows = 2 * (failing - 1)
    message = f"cannot write o.csv.parts/x: No space left on device. {rows} rows are saved in"
    assert message in said
    assert said.count("\n") == 1
    assert predict(student, source, output, "--chunk", "2") == 0
    assert [row["id"] for row in read(output)] == [row["id"] for row in ROWS]


def test_an_output_that_cannot_be_written(student: Path, source: Path, capsys: Said) -> None:
    said = refused(capsys, student, source, source / "o.csv")
    assert "cannot" in said
    assert said.count("\n") == 1


def test_a_part_that_is_gone(
    student: Path, source: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = source.with_name("o.csv")
    stopped(monkeypatch, student, source, output)
    Parts(output).path(1).unlink()
    said = refused(capsys, student, source, output, "--chunk", "2")
    assert "part-000001 is missing" in said


def test_a_damaged_job_file(
    student: Path, source: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = source.with_name("o.csv")
    stopped(monkeypatch, student, source, output)
    for content in ("", "{}", "[]", '{"first": 1}'):
        (Parts(output).folder / "job.json").write_text(content)
        said = refused(capsys, student, source, output, "--chunk", "2")
        assert "job.json cannot be read" in said
    assert Parts(output).path(1).exists()


def test_a_pair_needs_both_columns(tmp_path: Path, capsys: Said) -> None:
    student = saved(tmp_path / "s", TWO)
    source = write(tmp_path / "in.csv", [{"sentence1": "a", "b": "c"}])
    assert "no column 'sentence2'" in refused(capsys, student, source, tmp_path / "o.csv")
