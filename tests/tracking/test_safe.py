"""Names from outside, in MLflow, in the file system and in figures."""

from __future__ import annotations

import posixpath
import re

import pytest

from japagen.tracking import safe

NAMES = ["★☆☆", "★★☆", "★★★", "", ".", "..", "a//b", "a/b", "a/", "/a", "../a", "..a", "a*", "a_"]
NAMES += ["x" * 300, "x" * 301, "が", "か\u3099", "\ud800", "\0", "a\n", "a ", "$a$", "日本"]


def test_keys_are_unique_and_what_mlflow_takes() -> None:
    keys = [safe.key(f"predicted/{name}") for name in NAMES]
    assert len(set(keys)) == len(NAMES)
    for key in [*keys, *map(safe.key, NAMES)]:
        assert re.fullmatch(r"[\w.\-/ ]{1,250}", key), key
        assert posixpath.normpath(key) == key
        assert not key.startswith((".", "/"))


@pytest.mark.parametrize("name", ["valid/accuracy", "test/f1/肯定", "a b", "a.b-c_d"])
def test_a_key_that_mlflow_takes_stays(name: str) -> None:
    assert safe.key(name) == name


def test_file_names_are_unique_and_one_part_of_a_path() -> None:
    names = [safe.file_name(name) for name in [*NAMES, "../../escaped", "org/model", "a\\b"]]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[\w.\-]{1,120}", name), name
        assert name not in (".", "..")
    assert safe.file_name("jnli") == "jnli"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("from_$10", "from_$10"),
        ("a\nb", "a b"),
        ("\x1b[1m", "\ufffd[1m"),
        ("長" * 40, "長" * 29 + "…"),
    ],
)
def test_text_of_a_figure_is_one_short_line(text: str, shown: str) -> None:
    assert safe.drawn(text) == shown
