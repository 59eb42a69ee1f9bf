"""What the console shows of a generation: prompts, progress, samples."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from japagen.config.schema import LLM
from japagen.config.task import Task
from japagen.dataset.identity import Dataset
from japagen.dataset.knowledge import KNOWLEDGE
from japagen.job.console import plain_console, shown
from japagen.synthesis import estimate
from japagen.synthesis.acceptance import Acceptor
from japagen.synthesis.counts import counts_text
from japagen.synthesis.plan import Plan
from japagen.synthesis.prompt import TABOO, instructions
from japagen.synthesis.selection import candidates

log = logging.getLogger(__name__)

SAMPLES = 2  # of each label


def prompts(plan: Plan) -> None:
    """Print the first prompt of each label as the LLM would get it."""
    console, task, prompt = plain_console(), plan.dataset.task, plan.dataset.prompt
    for k, label in enumerate(task.labels if prompt.joint != "labels" else ["all labels"]):
        request = plan.first_request(k)
        text = Text()
        for message in request.messages:
            text.append(f"{message['role']}  ", "bold")
            text.append(f"{message['content']}\n")
        text = text or Text(request.text)
        text.rstrip()
        console.print(Panel(text, title=Text(f"{task.name}: {label}"), title_align="left"))
    if len(task.inputs) > 1 and prompt.joint == "none":
        console.print("This is turn 1. Turn 2 adds the LLM's reply and this instruction:")
        for label in task.labels:
            second = instructions(task, prompt, label)[1]
            console.print(Text.assemble("  ", (label, "bold"), "  ", second))
    if prompt.taboo:
        console.print(
            f"From example {prompt.round + 1} of each label on, the first instruction also has "
            f"this line, with up to {prompt.taboo} words of earlier rows: {TABOO}..."
        )
    if prompt.feedback:
        console.print(
            f"From example {prompt.round + 1} of each label on, the prompt also shows "
            f"{prompt.feedback} earlier rows of its label (shots_scope=all: of each) as examples."
        )
    if plan.dataset.values.name == "llm" and not (plan.dataset.folder / KNOWLEDGE).exists():
        console.print("knowledge=llm: the LLM will propose the slot values; these are the task's.")
    if (select := plan.dataset.select).name != "none":
        number = plan.dataset.num_per_label
        drawn = candidates(select, number)
        console.print(f"select={select.name} keeps {number} of {drawn} rows for each label.")
    warn_of_round(plan.dataset)
    console.print("dry_run: no LLM was called, nothing was written.")


def values(dataset: Dataset) -> None:
    """Print the proposed slot values and where to edit them."""
    console, own = plain_console(), dataset.task.knowledge
    console.print(f"{len(own.values) if own else 0} slot values: ", end="")
    console.print("、".join(own.values if own else ()), markup=False)
    console.print(f"edit them: {dataset.folder / KNOWLEDGE}", soft_wrap=True)
    console.print("To write the dataset, repeat the command without knowledge.only=true.")


def duration(dataset: Dataset, accepted: int) -> str:
    """How long the rest of the dataset takes, if the LLM's YAML says what an example takes.

    `accepted`: the examples that are there, with select=... the candidates.
    """
    each = dataset.llm.seconds_per_example
    drawn = candidates(dataset.select, dataset.num_per_label)
    left = max(0, len(dataset.task.labels) * drawn - accepted)
    if each is None:
        return "`estimate=true` says how long this takes."
    verified = " without the filter" if dataset.filter.name != "none" else ""
    seconds = each * left
    time = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f"About {time} on two CPU cores{verified}; `estimate=true` measures it here."


def announce(dataset: Dataset, accepted: int) -> None:
    """Log what will be written before the LLM, which may take minutes to load, writes anything."""
    there = f"; {accepted} are there already" if accepted else ""
    if (select := dataset.select).name != "none":
        drawn = candidates(select, dataset.num_per_label)
        there = f", select {select.name} from {drawn} per label{there}"
    log.info(
        "%s: %d examples (%d per label) by %s, prompt %s, filter %s%s. %s",
        dataset.task.name,
        dataset.size,
        dataset.num_per_label,
        dataset.llm.name,
        dataset.prompt.name,
        dataset.filter.name,
        there,
        duration(dataset, accepted),
    )
    warn_of_round(dataset)


def warn_of_round(dataset: Dataset) -> None:
    """Warn if the dataset ends before the first round does."""
    prompt = dataset.prompt
    if (prompt.taboo or prompt.feedback) and dataset.num_per_label <= prompt.round:
        log.warning(
            "prompt.taboo and prompt.feedback begin after prompt.round=%d examples of each label, "
            "and num_per_label=%d: they change nothing. For rounds of a quarter, add "
            "prompt.round=%d",
            prompt.round,
            dataset.num_per_label,
            max(1, dataset.num_per_label // 4),
        )


def pace(per_second: float) -> str:
    """Return how fast examples come: "2.30/s", or "33 s each" where they are slow."""
    if 0 < per_second < 0.5:
        return f"{1 / per_second:.0f} s each"
    return f"{per_second:.2f}/s"


class Progress:
    """A bar with accepted, rejected by reason, examples per second and time left.

    Without a terminal: a line every 30 seconds. While it is shown, log lines are printed above it.
    """

    def __init__(self, size: int) -> None:
        self.console = plain_console()
        self.bar = Bar(
            TextColumn("accepted"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[rejected]}", style="dim", markup=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("accepted", total=size, speed="", rejected="")
        self.begin = self.logged = self.shown = time.monotonic()
        self.before: int | None = None
        self.size, self.accepted = size, 0
        self.moved: list[tuple[logging.StreamHandler[Any], Any]] = []

    def __enter__(self) -> Progress:
        streams = {sys.stdout, sys.stderr}
        self.bar.start()
        # On a terminal the bar has replaced sys.stdout and sys.stderr by now; handlers kept the
        # streams of before, and would print into the bar.
        for handler in logging.getLogger().handlers if not self.bar.disable else ():
            if isinstance(handler, logging.StreamHandler) and handler.stream in streams:
                self.moved.append((handler, handler.stream))
                handler.setStream(sys.stdout)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handler, stream in self.moved:
            handler.setStream(stream)
        self.bar.stop()
        if kind is not None and issubclass(kind, (KeyboardInterrupt, asyncio.CancelledError)):
            self.console.print(
                f"Stopped at {self.accepted} of {self.size}; repeat the command to continue."
            )

    def update(self, state: Acceptor) -> None:
        """Show `state`, at most ten times a second."""
        now, self.accepted = time.monotonic(), state.accepted
        if self.before is None:
            self.before = state.accepted
        if now - self.shown < 0.1 and not state.done:
            return
        self.shown = now
        speed = pace((state.accepted - self.before) / max(now - self.begin, 1e-9))
        reasons = counts_text(sum(state.tally.rejected.values(), Counter()))
        rejected = f"rejected: {reasons}"
        self.bar.update(self.task, completed=state.accepted, speed=speed, rejected=rejected)
        if self.bar.disable and (now - self.logged > 30 or state.done):
            self.logged = now
            line = f"accepted {state.accepted}/{state.size}, {speed}, {rejected}"
            self.console.print(line)


def samples(rows: Iterable[Mapping[str, str]], task: Task) -> list[Mapping[str, str]]:
    """Return the first rows of each label, not picked by hand."""
    first: dict[str, list[Mapping[str, str]]] = {label: [] for label in task.labels}
    missing = SAMPLES * len(first)
    for row in rows:
        if len(first[row["label"]]) < SAMPLES:
            first[row["label"]].append(row)
            missing -= 1
            if not missing:  # do not read the rest of a large table
                break
    return [row for kept in first.values() for row in kept]


def samples_markdown(rows: Sequence[Mapping[str, str]], task: Task) -> str:
    """Return samples as a Markdown table."""
    head = ["label", *task.inputs]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [row[name].replace("\n", "<br>").replace("|", "\\|") for name in head]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def generated(
    dataset: Dataset,
    rows: Sequence[Mapping[str, str]],
    accepted: int,
    manifest: Mapping[str, Any],
    where: str,
) -> None:
    """Print samples, counts, and where the dataset and its run are."""
    console, task = plain_console(), dataset.task
    title = Text(f"{task.name}: the first {SAMPLES} of each label")
    table = Table("label", title=title, title_justify="left", show_lines=True)
    for name in task.inputs:
        table.add_column(Text(name), overflow="fold", ratio=1)
    for row in rows:
        table.add_row(*(shown(row[name]) for name in ("label", *task.inputs)))
    console.print(table)
    rejected = counts_text(manifest["rejected_by_reason"])
    console.print(f"{accepted} examples from {manifest['replies']} replies; rejected: {rejected}")
    console.print(f"{manifest['completion_tokens_per_accepted']} completion tokens per example")
    if "verified" in manifest:
        shares = ", ".join(f"{label} {share:.2f}" for label, share in manifest["verified"].items())
        tokens, seconds = manifest["verify_tokens"], manifest["verify_seconds"]
        console.print(f"labels confirmed: {shares} ({tokens} tokens, {seconds} s)")
    console.print(f"dataset: {dataset.folder}", soft_wrap=True)
    if where:
        console.print(f"run: {where}", soft_wrap=True)
    console.print(f"next: {dataset.next_command}", soft_wrap=True)


def estimated(llm: LLM, sample: Sequence[estimate.Drawn], state: Acceptor, seconds: float) -> None:
    """Print what the rest of the dataset will take, and how often labels were confirmed."""
    missing = state.size - state.accepted
    for line in estimate.lines(sample, missing, seconds, llm.price_prompt, llm.price_completion):
        print(line)
    for label, share in state.tally.verified(state.labels).get("verified", {}).items():
        print(f"  label {label}: confirmed in {share:.0%} of the clean replies")
    print("The sample's replies are kept; to continue, repeat the command without estimate=true.")
