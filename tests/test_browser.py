"""The runs in MLflow's own pages and the report, as a person sees them in Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from japagen.config import CONF

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'")

ROOT = CONF.parent
METHODS = {"zero_shot": "jnli · zero_shot 0-shot · fake -> tiny · seed 0", "knowledge": "jnli · knowledge 0-shot · fake -> tiny · seed 0"}
WORDS = ["task=jnli", "llm=fake", "num_per_label=4", "hydra.run.dir=outputs"]
TRAIN = ["student=tiny", "trainer=cpu", "trainer.min_steps=1", "trainer.max_steps=2", "trainer.max_epochs=1"]


def command(folder: Path, *words: str) -> str:
    """What a job in `folder` prints, with a gold folder of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAPAGEN_DATA": str(folder / "gold")}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which two methods were generated, trained and scored, and the report written."""
    place = tmp_path_factory.mktemp("work")
    labels = ("entailment", "contradiction", "neutral")
    rows = [
        {"sentence_pair_id": str(i), "sentence1": f"犬が{i}匹いる。", "sentence2": "猫がいる。", "label": labels[i % 3]} for i in range(12)
    ]
    (place / "gold" / "jnli-v1.3").mkdir(parents=True)
    for name in ("train-v1.3.json", "valid-v1.3.json"):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (place / "gold" / "jnli-v1.3" / name).write_text(text, encoding="utf-8")
    for prompt in METHODS:
        command(place, str(ROOT / "generate.py"), *WORDS, f"prompt={prompt}")
        command(place, str(ROOT / "train.py"), *WORDS, *TRAIN, f"prompt={prompt}")
    assert "2 runs, 2 methods, 1 tasks" in command(place, "-m", "japagen.report")
    return place


@pytest.fixture(scope="module")
def ui(folder: Path) -> Iterator[str]:
    """The address of a plain `mlflow ui` in the working folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "mlflow", "ui", "--port", str(port)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "ui.log").open("w") as log:
        server = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", folder / "ui.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def wait_for(address: str, log: Path, seconds: float = 180) -> None:
    """Return when `address` answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"no answer from {address}:\n{log.read_text()}")


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: the folder that JAPAGEN_SCREENSHOTS names, else a temporary one."""
    place = Path(os.environ.get("JAPAGEN_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # Chromium's sandbox does not work for root in a container.
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def test_two_methods_are_compared_in_mlflow(ui: str, browser: Any, shots: Path) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(f"{ui}/#/experiments")
    page.get_by_role("link", name="jnli", exact=True).first.click()
    page.wait_for_url("**/experiments/*/**")
    experiment = page.url.split("/experiments/")[1].split("/")[0].split("?")[0]
    page.goto(f"{ui}/#/experiments/{experiment}/runs")
    for name in METHODS.values():
        page.get_by_role("link", name=name).first.wait_for()
        row = page.locator(".ag-row", has=page.get_by_role("link", name=name)).first.get_attribute("row-index")
        page.locator(f'.ag-row[row-index="{row}"] [aria-label^="Press Space to toggle row selection"]').first.check()
    page.screenshot(path=shots / "mlflow-runs.png")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url("**/compare-runs**")
    page.get_by_role("heading", name="Comparing 2 Runs").first.wait_for()
    page.get_by_text("score", exact=True).first.wait_for(state="attached")
    page.screenshot(path=shots / "mlflow-compare.png", full_page=True)
    page.get_by_text(METHODS["zero_shot"]).first.wait_for(state="attached")
    words = page.text_content("body") or ""
    assert all(name in words for name in METHODS.values())
    assert page.get_by_text("score", exact=True).count()
    page.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_network(folder: Path, browser: Any, shots: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    problems: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "report" / "index.html").as_uri())
    table = page.get_by_role("table", name="Score of each method on each task")
    assert [cell.inner_text() for cell in table.get_by_role("rowheader").all()] == ["majority", "zero-shot", "knowledge"]
    assert "jnli" in table.get_by_role("columnheader").nth(1).inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.screenshot(path=shots / f"report-{width}-{scheme}.png", full_page=True)
    assert not problems
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
