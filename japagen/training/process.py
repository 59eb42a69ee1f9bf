"""Whether a process trains alone, and whether it is the one that saves and prints.

Cluster variables such as SLURM_PROCID, RANK or LOCAL_RANK are set in many shells in which only one
process trains. So the trainer's options decide, and those variables count only if the options ask
for several devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def trains_alone(options: Mapping[str, Any]) -> bool:
    """Whether lightning.Trainer with these options uses one process on one device."""
    strategy = str(options.get("strategy", "auto"))
    devices, nodes = options.get("devices", 1), options.get("num_nodes", 1)
    one = devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)
    return one and int(nodes) == 1 and strategy in ("auto", "single_device")


def is_first(options: Mapping[str, Any]) -> bool:
    """Whether this process saves, records and prints: the only one, or the first of several."""
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    return trains_alone(options) or int(getattr(rank_zero_only, "rank", 0) or 0) == 0


@contextmanager
def rank(options: Mapping[str, Any]) -> Iterator[None]:
    """Give a process that trains alone the rank 0, whatever the environment says."""
    from lightning.fabric.utilities import rank_zero

    rank_zero_only: Any = rank_zero.rank_zero_only
    before = getattr(rank_zero_only, "rank", None)
    if trains_alone(options):
        rank_zero_only.rank = 0
    try:
        yield
    finally:
        rank_zero_only.rank = before


def plugins(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the option that keeps Lightning from reading cluster variables."""
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment

    if not trains_alone(options) or "plugins" in options:
        return {}
    return {"plugins": [LightningEnvironment()]}
