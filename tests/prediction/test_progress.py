"""What is shown while rows are labelled."""

from __future__ import annotations

import time

import pytest

from japagen.prediction.progress import Progress


def test_a_line_every_half_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Progress(1000, 10_000) as progress:
        for _ in range(70):
            now[0] += 1
            progress.step(50)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "2,500 rows, 50 rows/s, 25%, 0:02:30 left",
        "4,000 rows, 50 rows/s, 40%, 0:02:00 left",
    ]


def test_the_total_is_estimated_from_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with Progress(0, None) as progress:
        assert "left" not in progress.line(progress.start + 1)
        progress.expect(100, 2000, 50_000)
        progress.step(50)
        assert progress.line(progress.start + 10) == "50 rows, 5 rows/s, 2%, 0:08:10 left"


def test_a_bar_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Progress(0, 40) as progress:
        progress.step(30)
    assert "30/40" in capsys.readouterr().err
