from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from japagen.config.error import OutOfMemory, UserError
from japagen.training.folder import NEW, OLD, RESUME, in_progress


def test_a_folder_is_locked_while_it_is_in_use_and_removed_after(tmp_path: Path) -> None:
    with in_progress(tmp_path, "one", True) as part:
        (part / RESUME).write_bytes(b"x")
        with (
            pytest.raises(UserError, match="Another process is training the same student"),
            in_progress(tmp_path, "one", True),
        ):
            pass
        assert (part / RESUME).exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), OSError("the disk is full"), OutOfMemory("smaller batches")]
)
def test_an_interrupted_training_keeps_its_checkpoint(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), in_progress(tmp_path, "two", True) as part:
        (part / RESUME).write_bytes(b"x")
        raise error
    with pytest.raises(KeyboardInterrupt), in_progress(tmp_path, "two", True) as part:
        assert (part / RESUME).read_bytes() == b"x"
        raise KeyboardInterrupt
    with pytest.raises(UserError), in_progress(tmp_path, "two", True):
        raise UserError("the loss is nan")
    assert list(tmp_path.iterdir()) == []


def test_other_processes_of_a_training_neither_lock_nor_remove(tmp_path: Path) -> None:
    with in_progress(tmp_path, "one", True), in_progress(tmp_path, "one", False) as part:
        (part / "best.ckpt").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", [[NEW], [OLD, NEW], ["best.ckpt"], [NEW, "best.ckpt", "x.part"]])
def test_what_a_process_killed_in_the_removal_left_is_cleaned(
    tmp_path: Path, left: list[str]
) -> None:
    student = tmp_path / "one"
    student.mkdir()
    for name in left:
        (tmp_path / ".part-one" / name / "file").mkdir(parents=True)
    with in_progress(tmp_path, "one", True) as part:
        assert list(part.iterdir()) == []
        # What saving does next must work.
        (part / NEW).mkdir()
        student.rename(part / OLD)
        (part / NEW).rename(student)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_student_whose_replacement_was_killed_is_put_back(tmp_path: Path) -> None:
    old = tmp_path / ".part-one" / OLD
    old.mkdir(parents=True)
    (old / "weights").write_text("old")
    with pytest.raises(KeyboardInterrupt), in_progress(tmp_path, "one", True):
        raise KeyboardInterrupt
    assert (tmp_path / "one" / "weights").read_text() == "old"


def test_a_student_whose_replacement_is_interrupted_is_put_back(tmp_path: Path) -> None:
    student = tmp_path / "one"
    student.mkdir()
    (student / "weights").write_text("old")
    with pytest.raises(KeyboardInterrupt), in_progress(tmp_path, "one", True) as part:
        (part / NEW).mkdir()
        student.rename(part / OLD)
        raise KeyboardInterrupt
    assert (student / "weights").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_the_checkpoint_is_the_first_file_to_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt), in_progress(tmp_path, "one", True) as part:
        (part / RESUME).write_bytes(b"x")
        (part / "best.ckpt").write_bytes(b"x")
    assert [path.name for path in part.iterdir()] == ["best.ckpt"]
