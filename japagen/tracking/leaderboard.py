"""A shared view of MLflow's page of an experiment: its scored runs, the best first, and charts."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "scores"
TAG = (
    f"mlflow.sharedViewState.{NAME}"  # where MLflow's page reads a view, by the key in its address
)
# A page named without `workflowType` opens MLflow's page for traces of LLM applications.
QUERY = f"?workflowType=machine_learning&viewStateShareKey={NAME}"

NAMES = "attributes.`Run Name`"
COLUMNS = [
    "metrics.`score`",
    "metrics.`majority/accuracy`",
    "metrics.`test/macro_f1`",
    "tags.`method`",
    "params.`num_per_label`",
    "params.`seed`",
    "params.`student`",
    "params.`llm`",
    "attributes.`Duration`",
]
SECTION = {
    "uuid": "scores",
    "name": "Scores",
    "display": True,
    "isReordered": False,
    "deleted": False,
    "isGenerated": False,
    "columns": 2,
    "cardHeight": 420,
}
# Of every chart; MLflow adds one for each further metric below.
CARD = {"metricSectionId": SECTION["uuid"], "deleted": False, "isGenerated": False}
CHARTS = [
    # Names of runs begin with the method.
    {
        **CARD,
        "uuid": "score",
        "type": "BAR",
        "metricKey": "score",
        "runsCountToCompare": 20,
    },
    {
        **CARD,
        "uuid": "rows",
        "type": "SCATTER",
        "xaxis": {"key": "train/rows", "type": "METRIC"},
        "yaxis": {"key": "score", "type": "METRIC"},
        "runsCountToCompare": 100,
    },
]
# The names are those of MLflow 3's front end (ExperimentPageUIState and its search facets).
VIEW = {
    # Runs of sweeps and of generation have no score, and are left out.
    "searchFilter": "metrics.score > -2",
    "orderByKey": "metrics.`score`",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "selectedColumns": COLUMNS,
    # MLflow reads widths of the columns in this order alone.
    "columnOrder": [NAMES, "runDateAndNestInfo", *COLUMNS],
    "columnWidths": {NAMES: 340},
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsVisibilityMap": {},
    "runsHiddenMode": "FIRST_20_RUNS",
    "viewMaximized": False,
    "runListHidden": False,
    "compareRunCharts": CHARTS,
    "compareRunSections": [SECTION],
    "isAccordionReordered": True,  # else MLflow sorts the sections by name
    "groupBy": None,
    "groupsExpanded": {},
    "useGroupedValuesInCharts": True,
    "hideEmptyCharts": True,
}


def share(client: MlflowClient, experiment: str) -> None:
    """Give the experiment the view, unless it has it. MLflow's page opens it with QUERY.

    A server that refuses the tag, for example to users who may not edit experiments, has no view.
    """
    from mlflow.exceptions import MlflowException

    text = json.dumps(VIEW)
    if client.get_experiment(experiment).tags.get(TAG) != text:
        with contextlib.suppress(MlflowException):
            client.set_experiment_tag(experiment, TAG, text)
