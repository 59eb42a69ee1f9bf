"""Errors about options show neither secrets nor control characters."""

from __future__ import annotations

import pytest

from japagen.job.parser import Parser, complain, parsed

pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.mark.parametrize(
    "words",
    [
        ["--api-key", "hushhush"],
        ["--token=hushhush"],
        ["--auth-token", "hushhush", "--other"],
        ["http://me:hushhush@host/x"],
        ["https:/me:hushhush@h", "https://me:hushhush@h"],
    ],
)
def test_an_unknown_option_is_refused_without_its_secret(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(Parser(prog="japagen x"), words)
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert "***" in printed
    assert "hushhush" not in printed
    complain("x", "cannot read https:/me:hushhush@h")
    assert "hushhush" not in capsys.readouterr().err


def test_control_characters_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(Parser(), ["\x1b[31mred"])
    complain("x", "\x1b[31mred")
    printed = capsys.readouterr().err
    assert "\x1b" not in printed
    assert printed.count("\\x1b[31mred") == 2
