"""The lines of a job's log."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from japagen.config import secret
from japagen.job import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logger_to(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("own")
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    logger.addHandler(handler)
    for _ in range(2):  # every job of a sweep prepares the same handlers
        log.prepare(logger)
    return logger


@pytest.mark.parametrize(
    ("stream", "setting", "coloured"),
    [(Terminal, "", True), (Terminal, "1", False), (io.StringIO, "", False)],
)
def test_only_a_terminal_gets_colours(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], setting: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", setting)
    handler = logging.StreamHandler(stream())
    logger = logger_to(handler)
    logger.info("犬が走る。")
    logger.warning("遅い。")
    logger.error("壊れた。")
    expected = (
        "[INFO] 犬が走る。\n\x1b[33m[WARNING] 遅い。\x1b[0m\n\x1b[31m[ERROR] 壊れた。\x1b[0m\n"
    )
    plain = "[INFO] 犬が走る。\n[WARNING] 遅い。\n[ERROR] 壊れた。\n"
    assert handler.stream.getvalue() == (expected if coloured else plain)


def test_control_characters_and_secrets_do_not_reach_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secret, "_known", set())
    monkeypatch.setattr(secret, "_found", [])
    secret.remember("planted-value-1")
    handler = logging.StreamHandler(io.StringIO())
    logger = logger_to(handler)
    logger.error("a\x1b[2Jb\u202ec\rd planted-value-1\nline 2")
    assert handler.stream.getvalue() == "[ERROR] a\\x1b[2Jb\\u202ec\\rd ***\nline 2\n"


def test_a_log_file_holds_every_text_whatever_the_encoding_of_the_system(tmp_path: Path) -> None:
    handler = logging.FileHandler(tmp_path / "job.log", encoding="cp932")
    logger_to(handler).warning("😀 剝がす \ud800")
    handler.close()
    written = (tmp_path / "job.log").read_text(encoding="utf-8")
    assert written == "[WARNING] 😀 剝がす \\ud800\n"
