from __future__ import annotations

import io
import logging

import pytest

from japagen.job import job


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "setting", "coloured"),
    [(Terminal, "", True), (Terminal, "1", False), (io.StringIO, "", False)],
)
def test_only_a_terminal_gets_colours(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], setting: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", setting)
    logger, handler = logging.Logger("own"), logging.StreamHandler(stream())
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    logger.addHandler(handler)
    for _ in range(2):  # each job of a sweep asks for them
        job.colour(logger)
    logger.info("犬が走る。")
    logger.warning("遅い。")
    logger.error("壊れた。")
    expected = (
        "[INFO] 犬が走る。\n\x1b[33m[WARNING] 遅い。\x1b[0m\n\x1b[31m[ERROR] 壊れた。\x1b[0m\n"
    )
    plain = "[INFO] 犬が走る。\n[WARNING] 遅い。\n[ERROR] 壊れた。\n"
    assert handler.stream.getvalue() == (expected if coloured else plain)
