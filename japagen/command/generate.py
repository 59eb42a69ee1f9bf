"""generate.py: an LLM writes the synthetic dataset that the options name."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from omegaconf import DictConfig

from japagen import tracking
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity, table
from japagen.dataset.identity import Dataset
from japagen.dataset.journal import JOURNAL, Journal, shots_head
from japagen.dataset.manifest import finish
from japagen.dataset.reply import Reply
from japagen.dataset.table import MANIFEST, TABLE, UPLOADED, Soft, asked, read_manifest, rows
from japagen.job import hub, sweep
from japagen.quality import generated
from japagen.synthesis import console, plan
from japagen.synthesis.acceptance import Acceptor
from japagen.synthesis.counts import counts_text
from japagen.synthesis.loop import Limits, Synthesis
from japagen.synthesis.plan import Plan

log = logging.getLogger(__name__)

# Default of max_attempts. With a label filter most replies may be rejected for their label.
ATTEMPTS, FILTERED_ATTEMPTS = 10, 40


def run(cfg: DictConfig) -> None:
    """Make the synthetic dataset that `cfg` names, or resume it, and record the run."""
    config = check(cfg, GenerateConfig)
    dataset = identity.of(config)
    if config.dry_run:
        console.prompts(plan.make(dataset, config.gold_dir))
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
    made = plan.make(dataset, config.gold_dir)
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
    stage = "estimate" if config.estimate else "generate"
    tags = {"fingerprint": dataset.fingerprint, "job": job_key(dataset)}
    with tracking.run(config, stage, tags) as track:
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
        if is_new:
            generated.measure(dataset, accepted, config.gold_dir, track)
        if config.push_to_hub:
            hub.push(dataset.folder, config.push_to_hub, "dataset", UPLOADED)
        where = tracking.where(tracking.job_of(config, ""), track)
        console.generated(dataset, samples, accepted, manifest, where)


def attempts(option: int | None, dataset: Dataset) -> int:
    """Return the number of replies that may be drawn for one example."""
    default = ATTEMPTS if dataset.filter.method == "none" else FILTERED_ATTEMPTS
    return default if option is None else option


def is_complete(made: Plan, manifest: dict[str, Any], max_shortfall: float) -> bool:
    """Whether a finished dataset is all that is asked for. UserError if its shots were others."""
    path, labels = made.dataset.folder, len(made.dataset.task.labels)
    if manifest["shots_digest"] != shots_head(made.shots)["shots_digest"]:
        raise UserError(
            f"{path} was made with other shots: the gold file has changed since. "
            f"Delete the folder {path} to start again."
        )
    number: int = manifest["num_per_label"]
    missing: int = sum(manifest["missing"].values())
    is_enough = number >= made.dataset.num_per_label
    is_enough = is_enough and missing <= max_shortfall * number * labels
    return is_enough and table.is_intact(path, manifest)


def complete(made: Plan, max_shortfall: float) -> dict[str, Any] | None:
    """Return the manifest of a dataset that is all that is asked for, else None."""
    manifest = read_manifest(made.dataset.folder)
    if manifest is None or not is_complete(made, manifest, max_shortfall):
        return None
    return manifest


def at_least(made: Plan) -> Plan:
    """Return the plan for as many examples as the folder's dataset has, if these are more.

    Missing examples of a finished dataset are drawn; a smaller dataset must not replace it.
    """
    manifest = read_manifest(made.dataset.folder)
    if manifest is None or manifest["num_per_label"] <= made.dataset.num_per_label:
        return made
    larger = dataclasses.replace(made.dataset, num_per_label=manifest["num_per_label"])
    return dataclasses.replace(made, dataset=larger)


def synthesise(
    made: Plan, limits: Limits, max_shortfall: float, gold_dir: str | None
) -> tuple[dict[str, Any] | None, bool]:
    """Draw replies until every example is accepted or given up.

    Returns the manifest (None after an estimate) and whether this process wrote it. UserError
    if too many examples are missing.
    """
    dataset, shots = made.dataset, shots_head(made.shots)
    head = {"fingerprint": dataset.fingerprint, **shots}
    with Journal(dataset.folder / JOURNAL, head) as journal:
        # Read under the lock: another job may have finished the dataset while this one waited.
        if limits.sample is None and (manifest := complete(made, max_shortfall)) is not None:
            return manifest, False
        return write(at_least(made), limits, max_shortfall, gold_dir, journal, shots), True


def write(
    made: Plan,
    limits: Limits,
    max_shortfall: float,
    gold_dir: str | None,
    journal: Journal,
    shots: dict[str, Any],
) -> dict[str, Any] | None:
    """Draw the missing replies and write table, card and manifest, while the journal is locked."""
    dataset = made.dataset
    part = dataset.folder / f"{TABLE}.part"
    with part.open("w", encoding="utf-8") as lines, Soft(dataset.folder) as soft:
        add = table.writer(lines, dataset.task)

        def keep(k: int, reply: Reply) -> None:
            add(made.name(k), reply.texts, made.label(k))
            if reply.verification is not None and reply.verification.probabilities:
                soft.write(made.name(k), reply.verification.probabilities)

        state = acceptor(dataset, limits, keep)
        synthesis = Synthesis(made, limits, journal, state, gold_dir)
        synthesis.resume()
        before = state.accepted
        console.announce(dataset, before)
        synthesis.run()
        seconds = synthesis.seconds
        if limits.sample is not None:
            console.estimated(dataset.llm, synthesis.sample, state, seconds)
            return None
        check_shortfall(state, limits, max_shortfall)
        soft.finish()
        speed = round((state.accepted - before) / seconds, 3) if state.accepted > before else 0.0
        # Of this process; replies, tokens and cost are of all processes that made the dataset.
        report = {"seconds": round(seconds, 2), "examples_per_second": speed, **shots}
        report |= {"cost": synthesis.cost, **state.report(), **synthesis.measured}
        return finish(dataset, lines, report)


def acceptor(dataset: Dataset, limits: Limits, keep: Any) -> Acceptor:
    """Return the state of a synthesis before its first reply."""
    return Acceptor(
        dataset.task.labels,
        dataset.num_per_label,
        limits.max_attempts,
        keep,
        near_duplicate=dataset.task.clean.near_duplicate,
        pooled=dataset.filter.method in ("relabelled", "soft"),
    )


def check_shortfall(state: Acceptor, limits: Limits, max_shortfall: float) -> None:
    """Raise UserError, a line per label, if more than max_shortfall of the examples are missing."""
    missing, tried = state.size - state.accepted, limits.max_attempts
    if missing <= max_shortfall * state.size:
        return
    share = -(-100 * missing // state.size) / 100
    lines = [
        f"  {label}: {count} missing; rejected: {counts_text(state.tally.lost(label))}"
        for label, count in state.missing.items()
    ]
    raise UserError(
        f"{missing} of {state.size} examples are missing after {tried} attempts each:\n"
        + "\n".join(lines)
        + f"\nTo continue with more attempts, add max_attempts={2 * tried}; "
        f"to accept the shortfall, add max_shortfall={share}"
    )


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
    # A job that generated nothing spent nothing: sums over runs must count a cost once.
    spent = ("seconds", "examples_per_second", "cost") if is_new else ()
    totals = (*spent, "replies", "prompt_tokens", "completion_tokens", "acceptance_rate")
    optional = ("completion_tokens_per_accepted", "verify_tokens", "verify_seconds")
    keys = [*totals, *(key for key in optional if key in manifest)]
    found = {key: float(manifest[key]) for key in keys}
    rejected = manifest["rejected_by_reason"].items()
    found |= {f"rejected/{reason}": float(count) for reason, count in rejected}
    found |= {f"verified/{label}": share for label, share in manifest.get("verified", {}).items()}
    for asked_for, given in manifest.get("confusion", {}).items():
        found |= {f"confusion/{asked_for}/{label}": float(n) for label, n in given.items()}
    return found
