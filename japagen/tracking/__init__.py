"""One MLflow run per job, and one per sweep; the only importer of mlflow."""

from japagen.config.secret import hidden
from japagen.tracking.connect import connect, database, experiment_id, guard, where
from japagen.tracking.figure import confusion
from japagen.tracking.model import describe
from japagen.tracking.name import method, run_name
from japagen.tracking.past import Recorded, folder_of, recorded
from japagen.tracking.run import Run, earlier, latest, run

__all__ = [
    "Recorded",
    "Run",
    "confusion",
    "connect",
    "database",
    "describe",
    "earlier",
    "experiment_id",
    "folder_of",
    "guard",
    "hidden",
    "latest",
    "method",
    "recorded",
    "run",
    "run_name",
    "where",
]
