"""Mistakes in the YAML of a task."""

from __future__ import annotations

from pathlib import Path

import pytest

from japagen.config.schema import CONF
from japagen.config.task_file import file_problems

RIGHT = """name: weather
inputs: [sentence]
labels: [sunny, rainy]
wording:
  system: あなたは日記を書いています。
  turns: {sentence: "{label}"}
  labels:
    sunny: 晴れ
    rainy: 雨
clean: {max_chars: 200, min_japanese: 0.5}
gold:
  columns: {sentence: 2, label: label}
  labels: {"1": sunny, "9": null}
  header: false
"""


def problems(folder: Path, content: str | bytes) -> list[str]:
    path = folder / "weather.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(file_problems(path))


@pytest.mark.parametrize("path", sorted((CONF / "task").glob("*.yaml")), ids=lambda path: path.stem)
def test_our_tasks_have_no_mistakes(path: Path) -> None:
    assert not list(file_problems(path))


def test_a_file_with_a_byte_order_mark_and_defaults_is_right(tmp_path: Path) -> None:
    assert not problems(tmp_path, ("\ufeffdefaults: [jnli, _self_]\n" + RIGHT).encode())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[sunny, rainy]", "[on, off]", 'line 3: labels has on, which YAML reads as a truth value; '
         'it must be a text: quote it, "on"'),
        ("[sunny, rainy]", "[1, 2.5]", "line 3: labels has 2.5, which YAML reads as a number"),
        ("[sunny, rainy]", "[2020-01-01, x]", "labels has 2020-01-01, which YAML reads as a date"),
        ("[sunny, rainy]", "[~, x]", "labels has ~, which YAML reads as nothing"),
        ("[sunny, rainy]", "[[sunny], rainy]", "line 3: labels must be a text, not a list"),
        ("[sunny, rainy]", "sunny", "line 3: labels must be a list, e.g. labels: [A, B]"),
        ("    sunny: 晴れ", "    yes: 晴れ", "the key wording.labels.yes has yes, which"),
        ("    sunny: 晴れ", "    sunny:", "line 8: wording.labels.sunny has no value"),
        ("    rainy: 雨", "    sunny: 雨", "line 9: the key wording.labels.sunny is there twice"),
        ("name: weather", "name: weather\nname: x", "line 2: the key name is there twice"),
        ("max_chars: 200", "max_chars: many", "clean.max_chars is 'many'; it must be a number"),
        ("max_chars: 200", "max_char: 200", "did you mean 'max_chars'?"),
        ("日記を", "${oc.env:HOME}を", "line 5: wording.system contains ${, which marks"),
        ("header: false", "header: x", "line 14: gold.header is 'x'; it must be true or false"),
        ('"9": null', "9: null", "the key gold.labels.9 has 9, which YAML reads as a number"),
        ("[sentence]", "{sentence: 1}", "inputs must be a list"),
        ("[sunny, rainy]", "[sunny, rainy", "is not YAML"),
        ("日記を", "日記: x: を", "is not YAML"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_file_line_and_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    found = problems(tmp_path, RIGHT.replace(old, new, 1))
    assert found, "no problem"
    assert all(line.startswith(str(tmp_path / "weather.yaml")) for line in found)
    assert any(message in line for line in found), found


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16"])
def test_another_encoding_is_named_with_its_cure(tmp_path: Path, encoding: str) -> None:
    (found,) = problems(tmp_path, RIGHT.encode(encoding))
    assert "UTF-8" in found


def test_an_escaped_reference_is_text(tmp_path: Path) -> None:
    assert not problems(tmp_path, RIGHT.replace("日記を", r"\${100}を"))
