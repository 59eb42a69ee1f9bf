"""Names that become folders, columns and labels."""

from __future__ import annotations

import unicodedata

import pytest

from japagen.config.name import column_problems, folder_name_problems, label_problems

DECOMPOSED = unicodedata.normalize("NFD", "ガ行")


@pytest.mark.parametrize(
    "name", ["jnli", "e5_small-ja", "llm-jp-3.1", "天気", "c++", "_mine", "2x"]
)
def test_usual_names_become_folders(name: str) -> None:
    assert not list(folder_name_problems("task.name", name))


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/abs", "a\\b", "../up", ".git", "-rf", "a b", "a\n", "a..b", "a.",
     "a:b", "a*", "nul", "COM1.txt", "x" * 81, "あ" * 30, DECOMPOSED, "a\u200bb", "a\x00"],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    (problem,) = folder_name_problems("student.name", name)
    assert problem.startswith("student.name is ")


def test_the_message_proposes_a_name_that_is_allowed() -> None:
    (problem,) = folder_name_problems("llm.name", "org/my model:7b")
    proposal = problem.rpartition("llm.name=")[2]
    assert proposal == "org-my-model-7b"
    assert not list(folder_name_problems("llm.name", proposal))


@pytest.mark.parametrize("names", [["id"], ["Label"], ["source"], ["a/b"], ["text", "TEXT"], [""]])
def test_columns_that_a_table_cannot_have(names: list[str]) -> None:
    assert list(column_problems("task x", names))


def test_columns_of_usual_names() -> None:
    assert not list(column_problems("task x", ["sentence1", "文2"]))


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        (["Positive", "positive"], "differ only by case"),
        (["ＡＢＣ", "ABC"], "differ only by case or Unicode form"),
        ([DECOMPOSED, "x"], "not in Unicode NFC"),
        ([unicodedata.normalize("NFC", DECOMPOSED), DECOMPOSED], "differ only by case or Unicode"),
        (["", "x"], "is empty"),
        ([" x", "y"], "has spaces around it"),
        (["a\u202eb", "y"], "invisible"),
    ],
)
def test_labels_that_cannot_be_told_apart(labels: list[str], part: str) -> None:
    assert any(part in problem for problem in label_problems("task x", labels))


def test_labels_of_symbols_and_words() -> None:
    assert not list(label_problems("task x", ["★☆☆", "★★☆", "文/句", "50 %", "$x$"]))
