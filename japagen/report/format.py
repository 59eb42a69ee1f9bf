"""Numbers, dates and links as the report prints them."""

from __future__ import annotations

import math
import time

from japagen.config.secret import hidden
from japagen.report.row import fraction, row, size
from japagen.report.table import LEVEL, Cell
from japagen.tracking import Recorded

MISSING = "—"


def p_value(cell: Cell) -> str:
    """The p-value of a cell, or ""."""
    if cell.p is None:
        return ""
    shown = "p < 0.001" if cell.p < 0.001 else f"p = {cell.p:.3f}"
    return shown + (" †" if cell.p < LEVEL else "")


def rows_per_label(cell: Cell) -> str:
    """The training rows of each label, e.g. "×64"; "" for all of gold, and for prompting."""
    known = size(cell.runs[0])
    return "" if known is None else f"×{known:g}"


def amount(number: float | None, unit: str = "") -> str:
    """Seconds, dollars or predictions to three digits; "never" for inf, a dash for None."""
    if number is None:
        return MISSING
    if math.isinf(number):
        return "never"
    digits = f"{number:,.0f}" if number >= 100 or number == 0 else f"{number:.3g}"
    return f"${digits}" if unit == "$" else digits + (f" {unit}" if unit else "")


def score(number: float | None) -> str:
    """A score to three digits; a dash for None."""
    return MISSING if number is None else f"{number:.3f}"


def spread(number: float | None) -> str:
    """A standard deviation, or ""."""
    return "" if number is None else f"± {number:.3f}"


def amount_of_data(run: Recorded) -> str:
    """How much data a run's student was trained on, if the run says so."""
    known, share = size(run), fraction(run)
    if known is not None:
        return f"{known:g} per label"
    if share != 1:
        return f"{100 * share:g} %"
    return "all" if row(run).student else MISSING


def link(uri: str, run: Recorded) -> str:
    """The address of the run on the server `uri`, or on the one that `mlflow ui` starts."""
    server = hidden(uri.rstrip("/")) if uri.startswith("http") else "http://127.0.0.1:5000"
    return f"{server}/#/experiments/{run.experiment}/runs/{run.id}"


def date(seconds: float) -> str:
    """A moment, in UTC; a dash for one that no calendar has."""
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (OverflowError, OSError, ValueError):
        return MISSING
