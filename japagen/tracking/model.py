"""A saved student as an MLflow model, for `mlflow models serve -m FOLDER --env-manager local`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.tracking.attempt import Question, attempt

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOADER = "japagen.student.saved"  # its _load_pyfunc opens the folder
FILES = {
    "artifact_path": "input_example.json",
    "serving_input_path": "serving_input_example.json",
}


def describe(folder: Path, example: Mapping[str, str], outputs: Sequence[tuple[str, str]]) -> None:
    """Make the student's `folder` an MLflow model too: MLmodel with a signature and an example.

    `example`: input name -> text; `outputs`: (name, "string" or "double") of each column of the
    predictions.
    """
    attempt(Question(), "", lambda: write(folder, example, outputs))


def write(folder: Path, example: Mapping[str, str], outputs: Sequence[tuple[str, str]]) -> None:
    """Write MLmodel and the example's two files."""
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    inputs = Schema([ColSpec("string", name) for name in example])
    signature = ModelSignature(inputs, Schema([ColSpec(kind, name) for name, kind in outputs]))
    table = {"columns": list(example), "data": [list(example.values())]}
    contents = {"artifact_path": table, "serving_input_path": {"dataframe_split": table}}
    for name, content in contents.items():
        text = json.dumps(content, ensure_ascii=False)
        (folder / FILES[name]).write_text(text, encoding="utf-8")
    shown = {"type": "dataframe", "pandas_orient": "split", **FILES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on type hints, which a signature replaces
        model = Model(signature=signature, saved_input_example_info=shown)
        pyfunc.add_to_model(model, loader_module=LOADER, data=".")
        model.save(str(folder / "MLmodel"))


def upload(client: MlflowClient, run: str, name: str, folder: Path, made: int) -> None:
    """Log the student in `folder` as the model of the run `run`; repeating it changes nothing.

    `made`: the time in ns at which its MLmodel was written. If it differs, another training has
    replaced the student since, and the run's tag `incomplete` says so.
    """
    from mlflow.entities import LoggedModelOutput

    mark = folder / "MLmodel"
    if not mark.exists() or mark.stat().st_mtime_ns != made:
        client.set_tag(run, "incomplete", f"the student of this run is no longer in {folder}")
        return
    found = client.get_run(run)
    experiment = found.info.experiment_id
    known = client.search_logged_models([experiment], f"source_run_id = '{run}'", max_results=1)
    kind = "text-classification"
    logged = (
        known[0] if known else client.create_logged_model(experiment, name, run, model_type=kind)
    )
    if str(logged.status) != "READY":
        client.log_model_artifacts(logged.model_id, str(folder))
        client.finalize_logged_model(logged.model_id, "READY")
    if not (found.outputs and found.outputs.model_outputs):
        client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
