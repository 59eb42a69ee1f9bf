"""What a generation prints while it runs, and when it is stopped."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from rich.console import Console

from japagen.config.check import check
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity
from japagen.synthesis import console
from japagen.synthesis.acceptance import Acceptor
from tests.conftest import Compose


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def acceptor() -> Acceptor:
    return Acceptor(["a", "b"], 3, 10, lambda k, reply: None, near_duplicate=0, pooled=False)


@pytest.mark.parametrize(
    ("speed", "text"), [(0.03, "33 s each"), (0.49, "2 s each"), (2.3, "2.30/s"), (0.0, "0.00/s")]
)
def test_a_slow_pace_is_shown_in_seconds(speed: float, text: str) -> None:
    assert console.pace(speed) == text


def test_a_stopped_generation_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    state = acceptor()
    state.accepted = 2
    with pytest.raises(KeyboardInterrupt), console.Progress(6) as progress:
        progress.update(state)
        raise KeyboardInterrupt
    assert "Stopped at 2 of 6; repeat the command to continue." in capsys.readouterr().out


def test_other_errors_do_not_call_for_a_repetition(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="x"), console.Progress(6):
        raise ValueError("x")
    assert "Stopped" not in capsys.readouterr().out


def test_log_lines_are_printed_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(
        console, "plain_console", lambda: Console(file=terminal, force_terminal=True, width=80)
    )
    handler = logging.StreamHandler(terminal)
    logging.getLogger().addHandler(handler)
    try:
        with console.Progress(6) as progress:
            assert handler.stream is not terminal
            assert handler.stream is sys.stdout
            logging.getLogger().warning("[bold]a line")
            progress.bar.refresh()
        assert handler.stream is terminal
    finally:
        logging.getLogger().removeHandler(handler)
    assert "[bold]a line" in terminal.getvalue()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["llm=fake"], "`estimate=true` says how long this takes."),
        (["llm.seconds_per_example=3"], "About 24 s on two CPU cores; `estimate=true` measures"),
        (
            ["llm.seconds_per_example=3", "prompt=knowledge", "select=balanced"],
            "About 84 s on two CPU cores; `estimate=true` measures",  # 30 candidates
        ),
        (
            ["llm.seconds_per_example=60", "filter=verified"],
            "About 8 min on two CPU cores without the filter; `estimate=true` measures",
        ),
    ],
)
def test_the_duration_is_that_of_the_llms_yaml(
    words: list[str], expected: str, composed: Compose
) -> None:
    config = check(composed("generate", "task=jcola", "num_per_label=5", *words), GenerateConfig)
    assert console.duration(identity.of(config), 2).startswith(expected)
