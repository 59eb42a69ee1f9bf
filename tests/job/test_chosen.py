"""YAMLs that a command chooses from outside."""

from __future__ import annotations

from pathlib import Path

from japagen.job.chosen import chosen_problems

TASK = "name: x\ninputs: [sentence]\nlabels: [a, b]\n"


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def problems(folder: Path, *arguments: str) -> list[str]:
    return list(chosen_problems(["--config-dir", str(folder), *arguments]))


def test_a_task_in_a_defaults_list_is_chosen(tmp_path: Path) -> None:
    write(tmp_path, "task/bad.yaml", TASK.replace("[a, b]", "[yes, no]"))
    write(tmp_path, "experiment/all.yaml", "defaults: [{override /task: bad}]\n")
    assert problems(tmp_path, "experiment=all")


def test_mistakes_in_a_chosen_task_are_named_and_others_are_not(tmp_path: Path) -> None:
    write(tmp_path, "task/good.yaml", TASK)
    write(tmp_path, "task/bad.yaml", TASK.replace("[a, b]", "[yes, no]"))
    assert not problems(tmp_path, "task=good")
    assert len(problems(tmp_path, "-m", "task=good,bad")) == 2


def test_a_date_that_does_not_exist_is_read_as_text(tmp_path: Path) -> None:
    write(tmp_path, "llm/mine.yaml", "licence: 2020-13-45\n")
    assert not problems(tmp_path, "llm=mine")
