"""One MLflow run per job, and one per sweep; the only package that imports mlflow."""

from japagen.tracking.connect import address
from japagen.tracking.figure import confusion
from japagen.tracking.job import job_of
from japagen.tracking.model import describe
from japagen.tracking.past import Recorded, folder_of, recorded
from japagen.tracking.run import Run
from japagen.tracking.safe import printable
from japagen.tracking.start import baselines, earlier, latest, run, where

__all__ = [
    "Recorded",
    "Run",
    "address",
    "baselines",
    "confusion",
    "describe",
    "earlier",
    "folder_of",
    "job_of",
    "latest",
    "printable",
    "recorded",
    "run",
    "where",
]
