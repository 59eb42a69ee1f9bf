"""YAMLs that a command chooses from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from japagen.job.chosen import chosen_problems

TASK = "name: x\ninputs: [sentence]\nlabels: [a, b]\n"


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def problems(folder: Path, *arguments: str) -> list[str]:
    return list(chosen_problems(["--config-dir", str(folder), *arguments]))


@pytest.mark.parametrize(
    ("name", "text", "argument"),
    [
        ("llm/mine.yaml", "_target_: os.system\nname: mine\n", "llm=mine"),
        ("llm/mine.yaml", "_target_: japagen.files.os.system\nname: mine\n", "llm=fake,mine"),
        (
            "task/mine.yaml",
            f"# @package _global_\ntask: {{{TASK.strip()[6:9]}}}\nhydra: {{callbacks: {{a: "
            "{_target_: subprocess.Popen}}}\n",
            "task=mine",
        ),
        ("prompt/mine.yaml", "a: [{b: {_target_: builtins.eval}}]\n", "prompt='mine'"),
        ("llm/mine.yaml", "name: mine\nallowed_targets: [os]\n", "llm=mine"),
    ],
)
def test_code_named_by_a_yaml_from_outside_is_refused(
    tmp_path: Path, name: str, text: str, argument: str
) -> None:
    write(tmp_path, name, text)
    assert any("_targets" in line for line in problems(tmp_path, argument))


def test_code_in_a_defaults_list_is_refused_and_a_listed_package_is_not(tmp_path: Path) -> None:
    write(tmp_path, "llm/base.yaml", "_target_: mine.engine.Engine\n")
    write(tmp_path, "llm/mine.yaml", "defaults: [base, _self_]\nname: mine\n")
    write(tmp_path, "experiment/all.yaml", "defaults: [{override /llm: mine}]\n")
    (problem,) = problems(tmp_path, "experiment=all")
    assert "base.yaml: _target_ is 'mine.engine.Engine'" in problem
    assert not problems(tmp_path, "experiment=all", "allowed_targets=[mine]")


def test_mistakes_in_a_chosen_task_are_named_and_others_are_not(tmp_path: Path) -> None:
    write(tmp_path, "task/good.yaml", TASK)
    write(tmp_path, "task/bad.yaml", TASK.replace("[a, b]", "[yes, no]"))
    assert not problems(tmp_path, "task=good")
    assert len(problems(tmp_path, "-m", "task=good,bad")) == 2


def test_a_yaml_that_refers_to_itself_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "loop.yaml").write_text("a: &a [*a]\n", encoding="utf-8")
    (line,) = chosen_problems(["--config-dir", str(tmp_path), "llm=loop"])
    assert "loop.yaml refers to itself" in line
