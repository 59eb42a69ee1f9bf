"""Whether a process trains alone, and whether it is the one that saves and prints.

Cluster variables such as SLURM_PROCID, RANK or LOCAL_RANK are set in many shells in which only one
process trains. So the trainer's options decide, and those variables count only if the options ask
for several devices.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from japagen.config.error import UserError

log = logging.getLogger(__name__)


# Variables in which launchers of processes give numbers; Lightning reads some while it is imported.
NUMBERS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK", "WORLD_SIZE", "NODE_RANK")


def drop_unreadable() -> None:
    """Delete cluster variables that are no numbers: Lightning would end with a traceback."""
    for name in NUMBERS:
        if not os.environ.get(name, "0").strip().isdecimal():
            log.warning("%s=%r is not a number; it is ignored", name, os.environ.pop(name))


def trains_alone(options: Mapping[str, Any]) -> bool:
    """Whether lightning.Trainer with these options uses one process on one device."""
    strategy = str(options.get("strategy", "auto"))
    alone = number_of_devices(options) == 1 and int(options.get("num_nodes", 1)) == 1
    return alone and strategy in ("auto", "single_device")


def number_of_devices(options: Mapping[str, Any]) -> int:
    """Return how many devices lightning.Trainer uses: `devices` is a number, a list or auto."""
    import torch

    devices = options.get("devices", 1)
    if devices is None or str(devices).strip() in ("auto", "-1"):
        accelerator = str(options.get("accelerator", "auto"))
        graphics = accelerator in ("auto", "gpu", "cuda")
        return max(1, torch.cuda.device_count()) if graphics else 1
    if isinstance(devices, str) and "," in devices:
        devices = [one for one in devices.split(",") if one.strip()]
    if isinstance(devices, str):
        return int(devices) if devices.strip().isdecimal() else 1  # lightning.Trainer refuses it
    return devices if isinstance(devices, int) else len(devices)


def check_place(options: Mapping[str, Any]) -> None:
    """Raise UserError if LOCAL_RANK names a process for which the options have no device."""
    given, number = os.environ.get("LOCAL_RANK", "0"), number_of_devices(options)
    place = int(given) if given.strip().isdecimal() else 0
    if not trains_alone(options) and place >= number:
        raise UserError(
            f"LOCAL_RANK is {place}, but trainer.options.devices is {options.get('devices', 1)}, "
            f"which is {number} on this machine. Start a process for each device, e.g. torchrun "
            f"--nproc_per_node={number} ..., or remove the variable: unset LOCAL_RANK"
        )


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
