"""generate.py: an LLM writes the synthetic dataset that the options name."""

from __future__ import annotations

import logging
from typing import Any

from omegaconf import DictConfig

from japagen import tracking
from japagen.config.check import check, refuse
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity, knowledge
from japagen.dataset.identity import Dataset
from japagen.dataset.table import MANIFEST, TABLE, UPLOADED, asked, read_manifest, rows
from japagen.job import hub, sweep
from japagen.quality import generated
from japagen.synthesis import console, plan, proposal
from japagen.synthesis.loop import Limits
from japagen.synthesis.writing import complete, is_complete, synthesise

log = logging.getLogger(__name__)

# Default of max_attempts. With a label filter most replies may be rejected for their label.
ATTEMPTS, FILTERED_ATTEMPTS = 10, 40


def run(cfg: DictConfig) -> None:
    """Make the synthetic dataset that `cfg` names, or resume it, and record the run."""
    config = check(cfg, GenerateConfig)
    dataset = identity.of(config)
    if config.dry_run:
        console.prompts(plan.make(proposal.known(dataset), config.gold_dir))
        return
    hub.check(config.push_to_hub)
    with sweep.exclusive(f"{dataset.task.name}-{dataset.fingerprint}"):
        if not done_before(config, dataset):
            work(config, dataset)


def job_key(dataset: Dataset) -> str:
    """Return the tag `job` of the runs that ask for the same."""
    return f"{dataset.fingerprint}-{dataset.num_per_label}"


def done_before(config: GenerateConfig, dataset: Dataset) -> bool:
    """Whether a sweep finds the dataset complete and its run finished."""
    if not sweep.skips(config.rerun) or config.estimate:
        return False
    manifest = read_manifest(dataset.folder)
    if manifest is None:
        return False
    made = plan.make(proposal.known(dataset), config.gold_dir)
    if not is_complete(made, manifest, config.max_shortfall):
        return False
    if tracking.earlier(tracking.job_of(config, "generate"), job_key(dataset)) is None:
        return False
    log.info("already done: %s", dataset.folder)
    sweep.note(before=True)
    return True


def work(config: GenerateConfig, dataset: Dataset) -> None:
    """Generate what is missing, as a recorded run."""
    # An estimate has its own stage: no student may take it for the run that made its dataset.
    stage = "estimate" if config.estimate or config.knowledge.only else "generate"
    tags = {"fingerprint": dataset.fingerprint, "job": job_key(dataset)}
    with tracking.run(config, stage, tags) as track:
        refuse(dataset.select.package_problems(dataset.prompt))
        dataset = proposal.with_values(dataset)
        if config.knowledge.only:
            knowledge.check(dataset.folder, read_manifest(dataset.folder) or {})
            console.values(dataset)
            return
        made = plan.make(dataset, config.gold_dir)
        manifest = complete(made, config.max_shortfall)
        is_new = manifest is None
        if manifest is None:
            sample = config.estimate_examples if config.estimate else None
            limits = Limits(attempts(config.max_attempts, dataset), sample)
            manifest, is_new = synthesise(made, limits, config.max_shortfall, config.gold_dir)
        else:
            number = dataset.num_per_label
            log.info("%s already has %d per label; nothing generated", dataset.folder, number)
        if manifest is None:
            return
        accepted, samples = record(dataset, manifest, track, is_new)
        if accepted and (is_new or generated.is_missing(dataset)):
            generated.measure(dataset, accepted, config.gold_dir, track)
        where = tracking.where(tracking.job_of(config, ""), track)
        console.generated(dataset, samples, accepted, manifest, where)
    # After its run has ended: a failed upload does not make a complete dataset a failed one.
    if config.push_to_hub:
        hub.push(dataset.folder, config.push_to_hub, "dataset", UPLOADED)


def attempts(option: int | None, dataset: Dataset) -> int:
    """Return the number of replies that may be drawn for one example."""
    default = ATTEMPTS if dataset.filter.method == "none" else FILTERED_ATTEMPTS
    return default if option is None else option


def record(
    dataset: Dataset, manifest: dict[str, Any], track: tracking.Run, is_new: bool
) -> tuple[int, list[Any]]:
    """Log a finished dataset's metrics, samples and files; returns (accepted examples, samples)."""
    samples = console.samples(rows(asked(dataset), dataset.task), dataset.task)
    is_larger = manifest["num_per_label"] > dataset.num_per_label
    accepted = sum(1 for _ in asked(dataset)) if is_larger else int(manifest["accepted"])
    track.metrics({"accepted": float(accepted), **figures(manifest, is_new)})
    track.tags({"folder": str(dataset.folder)})
    place = str(dataset.folder / TABLE)
    track.dataset(rows(asked(dataset), dataset.task), dataset.folder.name, place, "generation")
    track.text(console.samples_markdown(samples, dataset.task), "samples.md")
    track.file(dataset.folder / MANIFEST)
    return accepted, samples


def figures(manifest: dict[str, Any], is_new: bool) -> dict[str, float]:
    """Return the metrics of a manifest."""
    # The pace is that of the process that wrote the dataset, all else of all processes.
    spent = ("seconds", "examples_per_second") if is_new else ()
    totals = (*spent, "cost", "replies", "prompt_tokens", "completion_tokens", "acceptance_rate")
    optional = ["total_seconds", "completion_tokens_per_accepted"]
    optional += ["verify_tokens", "verify_seconds"]
    keys = [*totals, *(key for key in optional if key in manifest)]
    found = {key: float(manifest[key]) for key in keys}
    rejected = manifest["rejected_by_reason"].items()
    found |= {f"rejected/{reason}": float(count) for reason, count in rejected}
    found |= {f"verified/{label}": share for label, share in manifest.get("verified", {}).items()}
    for asked_for, given in manifest.get("confusion", {}).items():
        found |= {f"confusion/{asked_for}/{label}": float(n) for label, n in given.items()}
    return found
