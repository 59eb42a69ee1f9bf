"""A report that is killed at random moments leaves whole files, old or new."""

from __future__ import annotations

import functools
import os
import random
import signal
import time
from pathlib import Path

import pytest

from japagen.report.__main__ import contents, save
from japagen.report.summary import Summary
from tests.killed import killed
from tests.report.stores import Store, reported

KILLS = 60
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]


def read(folder: Path) -> dict[str, str]:
    """The files of a report; those with another name are parts, which the next report replaces."""
    return {
        path.name: path.read_text("utf-8") for path in folder.iterdir() if path.suffix != ".part"
    }


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_every_file_is_the_old_or_the_new_one(full: Summary, tmp_path: Path) -> None:
    store, folder = Store(), tmp_path / "report"
    store.add("jnli", {"stage": "train", "method": "gold", "student": "tiny"}, {"score": 0.5})
    old, new = (contents(found, "sqlite:///mlflow.db") for found in (reported(store), full))
    assert old["index.html"] != new["index.html"]
    save(old, folder)
    began = time.monotonic()
    save(new, folder)
    seconds = time.monotonic() - began
    draw, stopped = random.Random(0), 0
    for n in range(KILLS):
        texts = old if n % 2 else new
        moment = draw.uniform(0, 2 * seconds)
        stopped += killed(functools.partial(save, texts, folder), SIGNALS[n % 3], moment)
        for name, text in read(folder).items():
            assert text in (old.get(name), new.get(name)), name
    assert stopped > KILLS / 4
    for texts in (old, new):  # a part of a file that one of them lacks stays until the other one
        save(texts, folder)
    assert {**old, **new} == read(folder)
    assert not list(folder.glob("*.part"))
