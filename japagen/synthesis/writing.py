"""Write a dataset: draw the missing replies, then publish table, card and manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from japagen.config.error import UserError
from japagen.dataset import knowledge, table
from japagen.dataset.journal import JOURNAL, Journal, locked, shots_head
from japagen.dataset.manifest import finish, restore
from japagen.dataset.reply import Reply
from japagen.dataset.table import DERIVED, SOFT, TABLE, Soft, read_manifest
from japagen.synthesis import console, proposal, rounds, selection
from japagen.synthesis.acceptance import WINDOW, Acceptor
from japagen.synthesis.counts import counts_text
from japagen.synthesis.facts import Facts
from japagen.synthesis.loop import Limits, Synthesis
from japagen.synthesis.plan import Plan


def is_complete(made: Plan, manifest: dict[str, Any], max_shortfall: float) -> bool:
    """Whether a finished dataset is all that is asked for, with all its files as they were written.

    UserError if its shots were others.
    """
    has_all = has_rows(made, manifest, max_shortfall)
    return has_all and not table.changed(made.dataset.folder, manifest, DERIVED)


def has_rows(made: Plan, manifest: dict[str, Any], max_shortfall: float) -> bool:
    """Whether a finished dataset has all rows asked for. UserError if its shots were others."""
    path, labels = made.dataset.folder, len(made.dataset.task.labels)
    knowledge.check(path, manifest)
    if manifest["shots_digest"] != shots_head(made.shots)["shots_digest"]:
        raise UserError(
            f"{path} was made with other shots: the gold file has changed since. "
            f"Delete the folder {path} to start again."
        )
    number: int = manifest["num_per_label"]
    missing: int = sum(manifest["missing"].values())
    is_enough = number >= made.dataset.num_per_label
    is_enough = is_enough and missing <= max_shortfall * number * labels
    # The journal has the probabilities: they are written again with the rows.
    return (
        is_enough and table.is_intact(path, manifest) and not table.changed(path, manifest, [SOFT])
    )


def complete(made: Plan, max_shortfall: float) -> dict[str, Any] | None:
    """Return the manifest of a dataset that is all that is asked for, else None.

    Files that are made from its rows are written again if they are absent or changed.
    """
    manifest = read_manifest(made.dataset.folder)
    if manifest is None or not has_rows(made, manifest, max_shortfall):
        return None
    if not table.changed(made.dataset.folder, manifest, DERIVED):
        return manifest
    lock = locked(made.dataset.folder / JOURNAL)
    try:
        return restored(made, max_shortfall)
    finally:
        lock.release()


def restored(made: Plan, max_shortfall: float) -> dict[str, Any] | None:
    """As complete(), for a process that has the lock."""
    manifest = read_manifest(made.dataset.folder)
    if manifest is None or not has_rows(made, manifest, max_shortfall):
        return None
    return restore(made.dataset, manifest)


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
        if limits.sample is None and (manifest := restored(made, max_shortfall)) is not None:
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

        def put(name: str, label: str, reply: Reply) -> None:
            add(name, reply.texts, label, reply.llm)
            if reply.verification is not None and reply.verification.probabilities:
                soft.write(name, reply.verification.probabilities)

        facts = Facts(journal)
        made = dataclasses.replace(made, rounds=rounds.of(dataset.task, dataset.prompt, facts))
        selected = selection.of(made, put, facts)
        state = acceptor(made, limits, selected.keep)
        synthesis = Synthesis(made, limits, facts, state, gold_dir)
        synthesis.resume()
        proposal.note(dataset, facts)
        before = state.accepted
        console.announce(dataset, before)
        synthesis.run()
        seconds = synthesis.seconds
        if limits.sample is not None:
            console.estimated(dataset.llm, synthesis.sample, state, seconds)
            return None
        counts = selected.finish(state.report())
        check_shortfall(state, counts["missing"], dataset.size, limits, max_shortfall)
        soft.finish()
        report = {**pace(state.accepted - before, seconds), **shots, "cost": synthesis.cost}
        return finish(dataset, lines, report | counts | facts.report())


def pace(accepted: int, seconds: float) -> dict[str, float]:
    """Return seconds and examples per second of this process, for the manifest.

    Its total_seconds, replies, tokens and cost are of all processes that made the dataset.
    """
    speed = round(accepted / seconds, 3) if accepted > 0 else 0.0
    return {"seconds": round(seconds, 2), "examples_per_second": speed}


def acceptor(made: Plan, limits: Limits, keep: Callable[[int, Reply], None]) -> Acceptor:
    """Return the state of a synthesis before its first reply."""
    dataset = made.dataset
    number = selection.candidates(dataset.select, dataset.num_per_label)
    return Acceptor(
        dataset.task.labels,
        number,
        limits.max_attempts,
        keep,
        near_duplicate=dataset.task.clean.near_duplicate,
        pooled=dataset.filter.method in ("relabelled", "soft"),
        rounds=made.rounds,
        # Each LLM writes all that it can before the next one is loaded.
        window=number * len(dataset.task.labels) if dataset.llm.writers else WINDOW,
    )


def check_shortfall(
    state: Acceptor, counts: Mapping[str, int], size: int, limits: Limits, max_shortfall: float
) -> None:
    """Raise UserError, a line per label, if more than max_shortfall of `size` rows are missing.

    `counts`: the missing rows of each label.
    """
    missing, tried = sum(counts.values()), limits.max_attempts
    if missing <= max_shortfall * size:
        return
    share = -(-100 * missing // size) / 100
    lines = [
        f"  {label}: {count} missing; rejected: {counts_text(state.tally.lost(label))}"
        for label, count in counts.items()
    ]
    raise UserError(
        f"{missing} of {size} examples are missing after {tried} attempts each:\n"
        + "\n".join(lines)
        + f"\nTo continue with more attempts, add max_attempts={2 * tried}; "
        f"to accept the shortfall, add max_shortfall={share}"
    )
