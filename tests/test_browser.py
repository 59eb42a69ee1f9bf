"""MLflow's pages and the report, tested in Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from japagen.config.schema import CONF
from tests import mlflow_ui
from tests.toys import write_rows

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
if mlflow_ui.CHROMIUM is None:
    pytest.skip("no Chromium is installed: apt-get install chromium", allow_module_level=True)
pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -e '.[dev]'"
)

ROOT = CONF.parent
ROWS = [
    "majority",
    "prompting 0-shot",
    "prompting 5-shot",
    "zero-shot",
    "5-shot",
    "knowledge",
    "few gold 16",
    "gold",
]
METHODS = {
    "zero_shot": "zero-shot ×16 -> tiny · seed 0 · fake",
    "knowledge": "knowledge ×16 -> tiny · seed 0 · fake",
}


def command(folder: Path, gold: Path, *words: str) -> str:
    """Run a command in `folder` and return its output."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "JAPAGEN_DATA": str(gold),
        "JAPAGEN_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def few_rows(place: Path) -> Path:
    """Write gold files for JNLI only, if no real gold data is available."""
    labels = ("entailment", "contradiction", "neutral")
    rows = [
        {
            "sentence_pair_id": n,
            "sentence1": f"犬が{n}匹いる。",
            "sentence2": "猫がいる。",
            "label": labels[n % 3],
        }
        for n in range(60)
    ]
    for name in ("train", "valid"):
        write_rows(place / f"jnli-v1.3/{name}-v1.3.json", rows)
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all commands ran experiment=smoke and the report was written."""
    place = tmp_path_factory.mktemp("work")
    gold = (
        Path(os.environ["JAPAGEN_DATA"])
        if os.environ.get("JAPAGEN_DATA")
        else few_rows(place / "gold")
    )
    for script in ("generate.py", "train.py", "evaluate.py"):
        printed = command(place, gold, str(ROOT / script), "experiment=smoke")
        if script == "train.py":
            found = re.search(r"and +(http\S+=scores) \(all scores of jnli", printed)
            assert found, printed
            (place / "scores.txt").write_text(found[1])
    assert " methods, " in command(place, gold, "-m", "japagen.report")
    return place


@pytest.fixture(scope="module")
def ui(folder: Path) -> Iterator[str]:
    """The address of `mlflow ui` in the working folder."""
    with mlflow_ui.served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for screenshots: JAPAGEN_SCREENSHOTS, else a temporary folder."""
    place = Path(os.environ.get("JAPAGEN_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    with mlflow_ui.chromium() as running:
        yield running


def test_two_methods_are_compared_in_mlflow(ui: str, browser: Any, shots: Path) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(f"{ui}/#/experiments")
    page.get_by_role("link", name="jnli", exact=True).first.click()
    page.wait_for_url("**/experiments/*/**")
    experiment = page.url.split("/experiments/")[1].split("/")[0].split("?")[0]
    wanted = urllib.parse.quote("tags.stage = 'train' and tags.data = 'synthetic'")
    page.goto(f"{ui}/#/experiments/{experiment}/runs?searchFilter={wanted}")
    page.get_by_role("link", name="train sweep").first.wait_for()
    page.locator(
        ".ag-row button, .ag-row [role=button]"
    ).first.click()  # show the runs of the sweep
    for name in METHODS.values():
        page.get_by_role("link", name=name).first.wait_for()
        row = page.locator(".ag-row", has=page.get_by_role("link", name=name)).first.get_attribute(
            "row-index"
        )
        page.locator(
            f'.ag-row[row-index="{row}"] [aria-label^="Press Space to toggle row selection"]'
        ).first.check()
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


def test_the_printed_address_opens_the_scores_the_best_first_and_their_charts(
    folder: Path, ui: str, browser: Any, shots: Path
) -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.set_default_timeout(120_000)
    address = (folder / "scores.txt").read_text()
    page.goto(address.replace("http://127.0.0.1:5000", ui))
    page.locator(".ag-row").first.wait_for()
    page.get_by_role("link", name=METHODS["zero_shot"]).first.wait_for()
    cells = page.locator('.ag-row .ag-cell[col-id="metrics.`score`"]')
    page.wait_for_timeout(2000)
    page.screenshot(path=shots / "mlflow-scores.png")
    scores = [float(text) for text in cells.all_text_contents() if text.strip(" -")]
    assert len(scores) >= 8
    assert scores == sorted(scores, reverse=True)
    page.goto(f"{page.url}&compareRunsMode=CHART")
    page.get_by_text("train/rows vs. score", exact=True).first.wait_for()
    bars, points = page.locator(".barlayer .point"), page.locator(".scatterlayer .point")
    bars.first.wait_for()
    points.first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=shots / "mlflow-charts.png")
    assert bars.count() >= 8
    page.close()


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_network(
    folder: Path, browser: Any, shots: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    problems: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "report" / "index.html").as_uri())
    table = page.get_by_role("table", name="Score of each method on each task")
    assert [cell.inner_text() for cell in table.get_by_role("rowheader").all()] == ROWS
    assert "jnli" in " ".join(table.get_by_role("columnheader").all_inner_texts())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.screenshot(path=shots / f"report-{width}-{scheme}.png", full_page=True)
    assert not problems
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
