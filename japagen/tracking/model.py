"""A saved student as MLflow's model: `mlflow models serve -m FOLDER --env-manager local` answers for it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from japagen.tracking.connect import Asked, guard

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOADER = "japagen.saved"  # its _load_pyfunc opens the folder


def describe(folder: Path, example: Mapping[str, str], outputs: Sequence[tuple[str, str]]) -> None:
    """Make the student's `folder` an MLflow model too: MLmodel with the signature, and an input example.

    `example`: input name -> text; `outputs`: (name, "string" or "double") of each column that is answered.
    """
    with guard(Asked()), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # MLflow's advice on type hints, which a signature makes needless
        from mlflow import pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types.schema import ColSpec, Schema

        inputs = Schema([ColSpec("string", name) for name in example])
        signature = ModelSignature(inputs, Schema([ColSpec(kind, name) for name, kind in outputs]))
        table = {"columns": list(example), "data": [list(example.values())]}
        shown = {
            "type": "dataframe",
            "pandas_orient": "split",
            "artifact_path": "input_example.json",
        }
        shown["serving_input_path"] = "serving_input_example.json"
        for name, content in (
            ("artifact_path", table),
            ("serving_input_path", {"dataframe_split": table}),
        ):
            (folder / shown[name]).write_text(
                json.dumps(content, ensure_ascii=False), encoding="utf-8"
            )
        model = Model(signature=signature, saved_input_example_info=shown)
        pyfunc.add_to_model(model, loader_module=LOADER, data=".")
        model.save(str(folder / "MLmodel"))


def upload(client: MlflowClient, run: str, name: str, folder: Path, made: int) -> None:
    """Give the run `run` the student in `folder`, whose MLmodel was written at `made`, as its model; twice is as good as once."""
    from mlflow.entities import LoggedModelOutput

    mark = folder / "MLmodel"
    if (
        not mark.exists() or mark.stat().st_mtime_ns != made
    ):  # sent later, when another training may have taken its place
        client.set_tag(run, "incomplete", f"the student of this run is no longer in {folder}")
        return
    found = client.get_run(run)
    experiment = found.info.experiment_id
    known = client.search_logged_models([experiment], f"source_run_id = '{run}'", max_results=1)
    logged = (
        known[0]
        if known
        else client.create_logged_model(experiment, name, run, model_type="text-classification")
    )
    if str(logged.status) != "READY":
        client.log_model_artifacts(logged.model_id, str(folder))
        client.finalize_logged_model(logged.model_id, "READY")
    if not (found.outputs and found.outputs.model_outputs):
        client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])
