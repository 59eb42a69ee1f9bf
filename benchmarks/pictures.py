"""Take the README's pictures of MLflow and of the report, in a folder where jobs were run.

    python benchmarks/pictures.py FOLDER TASK docs/img

FOLDER contains mlflow.db and report/index.html. Needs Chromium and playwright.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mlflow import MlflowClient

from japagen.tracking.leaderboard import QUERY
from tests.mlflow_ui import chromium, served

WIDTHS = {1280: 900, 360: 900}


def main() -> None:
    """Write mlflow-scores.png, report-1280.png and report-360.png."""
    folder, task, place = Path(sys.argv[1]).resolve(), sys.argv[2], Path(sys.argv[3])
    experiment = MlflowClient(f"sqlite:///{folder}/mlflow.db").get_experiment_by_name(task)
    if experiment is None:
        raise SystemExit(f"{folder}/mlflow.db has no experiment {task}")
    with chromium() as browser:
        with served(folder) as address:
            page = browser.new_page(viewport={"width": 1400, "height": 760})
            page.goto(f"{address}/#/experiments/{experiment.experiment_id}/runs{QUERY}")
            page.locator(".ag-row").first.wait_for(timeout=120_000)
            page.wait_for_timeout(3000)  # the columns get their widths
            panel = page.locator('[data-component-id="mlflow.assistant.chat_panel.close"]')
            if panel.count():
                panel.first.click()
                page.wait_for_timeout(1000)
            page.screenshot(path=place / "mlflow-scores.png")
        for width, height in WIDTHS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto((folder / "report" / "index.html").as_uri())
            page.screenshot(path=place / f"report-{width}.png")


if __name__ == "__main__":
    main()
