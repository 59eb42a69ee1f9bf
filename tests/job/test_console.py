"""Printing of text from outside."""

from __future__ import annotations

import io
import sys

import pytest
from rich.table import Table

from japagen.job.console import plain_console, printable, shown


@pytest.mark.parametrize("text", ["[/INST]", "[bold]x[/bold]", "a :smile: b", "[link=x]", "[/s]"])
def test_text_is_printed_as_it_is(text: str) -> None:
    file = io.StringIO()
    console = plain_console(file=file, width=60)
    table = Table("column", title=text)
    table.add_row(text)
    console.print(table)
    console.print(text)
    assert file.getvalue().count(text) == 3


def test_control_and_invisible_characters_are_escaped() -> None:
    assert shown("a\x1b[31mb\u200b\u202e\x9bc\r") == "a\\x1b[31mb\\u200b\\u202e\\x9bc\\r"
    assert shown("犬😀\t改行\n") == "犬😀\t改行\n"


def test_closed_streams_are_written_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    printable()
    for stream in (sys.stdout, sys.stderr):
        assert stream is not None
        print("text", file=stream)
        stream.close()
