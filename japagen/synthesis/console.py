"""What the console shows of a generation: prompts, progress, samples."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from japagen.config.schema import GenerateConfig
from japagen.config.task import Task
from japagen.synthesis import estimate
from japagen.synthesis.acceptance import Acceptor, counts_text
from japagen.synthesis.plan import Plan

SAMPLES = 2  # of each label


def prompts(config: GenerateConfig, plan: Plan) -> None:
    """Print the first prompt of each label as the LLM would get it."""
    console = Console()
    for k, label in enumerate(config.task.labels):
        request = plan.joint_request(k, 0) if config.prompt.joint else plan.request(k, 0, [])
        lines = [
            f"[bold]{message['role']}[/]  {escape(message['content'])}"
            for message in request.messages
        ]
        console.print(
            Panel(
                "\n".join(lines) or escape(request.text),
                title=f"{config.task.name}: {escape(label)}",
                title_align="left",
            )
        )
    if len(config.task.inputs) > 1 and not config.prompt.joint:
        console.print(
            "This is turn 1 of each label; turn 2 continues it with the reply and the instruction below."
        )
        for label in config.task.labels:
            console.print(f"  [bold]{escape(label)}[/]  {escape(second_turn(config, label))}")
    console.print("dry_run: no LLM was called, nothing was written.")


def second_turn(config: GenerateConfig, label: str) -> str:
    """The instruction for sentence 2 of a pair."""
    from japagen.synthesis.prompt import instructions

    return instructions(config.task, config.prompt, label)[1]


class Progress:
    """A bar with accepted, rejected by reason, examples per second and time left; where there is no terminal, a line each half minute."""

    def __init__(self, size: int) -> None:
        self.console = Console()
        self.bar = Bar(
            TextColumn("accepted"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:.2f}/s"),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[rejected]}[/]"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("accepted", total=size, speed=0.0, rejected="")
        self.begin = self.told = self.shown = time.monotonic()
        self.before: int | None = None

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def update(self, state: Acceptor) -> None:
        """Show `state`, at most ten times a second."""
        now = time.monotonic()
        if self.before is None:
            self.before = state.accepted
        if now - self.shown < 0.1 and not state.done:
            return
        self.shown = now
        speed = (state.accepted - self.before) / max(now - self.begin, 1e-9)
        rejected = sum(state.rejected.values(), Counter())
        self.bar.update(
            self.task,
            completed=state.accepted,
            speed=speed,
            rejected=f"rejected: {counts_text(rejected)}",
        )
        if self.bar.disable and (now - self.told > 30 or state.done):
            self.told = now
            self.console.print(
                f"accepted {state.accepted}/{state.size}, {speed:.2f}/s, rejected: {counts_text(rejected)}",
                highlight=False,
            )


def samples(rows: Iterable[Mapping[str, str]], task: Task) -> list[Mapping[str, str]]:
    """The first rows of each label, unpicked."""
    first: dict[str, list[Mapping[str, str]]] = {label: [] for label in task.labels}
    missing = SAMPLES * len(first)
    for row in rows:
        if len(first[row["label"]]) < SAMPLES:
            first[row["label"]].append(row)
            missing -= 1
            if not missing:  # the rest of a large table is not read for it
                break
    return [row for kept in first.values() for row in kept]


def samples_markdown(rows: Sequence[Mapping[str, str]], task: Task) -> str:
    """Samples as a Markdown table."""
    head = ["label", *task.inputs]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        lines.append(
            "| "
            + " | ".join(row[name].replace("\n", "<br>").replace("|", "\\|") for name in head)
            + " |"
        )
    return "\n".join(lines) + "\n"


def generated(
    config: GenerateConfig,
    rows: Sequence[Mapping[str, str]],
    accepted: int,
    manifest: Mapping[str, Any],
    folder: Path,
    where: str,
) -> None:
    """Print samples, counts, and where the dataset and its run are."""
    console = Console()
    table = Table(
        "label",
        title=f"{config.task.name}: the first {SAMPLES} of each label",
        title_justify="left",
        show_lines=True,
    )
    for name in config.task.inputs:
        table.add_column(name, overflow="fold", ratio=1)
    for row in rows:
        table.add_row(escape(row["label"]), *(escape(row[name]) for name in config.task.inputs))
    console.print(table)
    rejected = counts_text(manifest["rejected_by_reason"])
    console.print(
        f"{accepted} examples from {manifest['replies']} replies; rejected: {rejected}",
        highlight=False,
    )
    if "verified" in manifest:
        shares = ", ".join(f"{label} {share:.2f}" for label, share in manifest["verified"].items())
        console.print(
            f"verified: {shares}; it took {manifest['verify_tokens']} tokens, {manifest['verify_seconds']} s",
            highlight=False,
        )
    console.print(f"dataset: {folder}", soft_wrap=True, highlight=False)
    if where:
        console.print(f"run: {where}", soft_wrap=True, highlight=False)


def estimated(
    config: GenerateConfig, sample: Sequence[estimate.Reply], state: Acceptor, seconds: float
) -> None:
    """Print what the rest of the dataset will take."""
    missing = state.size - state.accepted
    for line in estimate.lines(
        sample, missing, seconds, config.llm.price_prompt, config.llm.price_completion
    ):
        print(line)
    print(
        "The replies of the sample are kept; the same command without estimate=true goes on from them."
    )
