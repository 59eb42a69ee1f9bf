"""The synthesis loop: plan, prompt, llm, clean, store."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import time
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from japagen import llm, tracking
from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import GenerateConfig
from japagen.dataset import identity
from japagen.dataset.journal import JOURNAL, Journal, shots_head
from japagen.dataset.manifest import finish
from japagen.dataset.table import (
    CARD,
    MANIFEST,
    SOFT,
    TABLE,
    Soft,
    asked,
    read_manifest,
    rows,
    writer,
)
from japagen.job import sweep
from japagen.llm.dispatch import in_flight
from japagen.llm.retry import Retry
from japagen.synthesis import acceptance, console, estimate, filter
from japagen.synthesis.attempt import Premises, draw
from japagen.synthesis.plan import Plan, make

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> None:
    """Make the synthetic dataset that `cfg` names, or go on with it, and record the run."""
    config = check(cfg, GenerateConfig)
    if config.dry_run:
        console.prompts(config, make(config))
        return
    with sweep.turn(f"{config.task.name}-{identity.of(config).fingerprint}"):
        if not done_before(config):
            work(config)


def done_before(config: GenerateConfig) -> bool:
    """Whether a sweep finds the dataset whole and its run finished."""
    if not sweep.skips(config.rerun) or config.estimate:
        return False
    manifest = read_manifest(identity.of(config).folder)
    if (
        manifest is None
        or not whole(config, make(config), manifest)
        or tracking.earlier(config, "generate", job_key(config)) is None
    ):
        return False
    log.info("already done: %s", identity.of(config).folder)
    sweep.note(before=True)
    return True


def job_key(config: GenerateConfig) -> str:
    """What this job asks for, as its run's tag `job`."""
    return f"{identity.of(config).fingerprint}-{config.num_per_label}"


def work(config: GenerateConfig) -> None:
    """Generate what is missing, as a recorded run."""
    # A mere estimate has its own stage, so that no student takes it for the run that made its dataset.
    stage = "estimate" if config.estimate else "generate"
    with tracking.run(
        config, stage, {"fingerprint": identity.of(config).fingerprint, "job": job_key(config)}
    ) as track:
        plan = make(config)
        manifest = read_manifest(identity.of(config).folder)
        if manifest is not None and whole(config, plan, manifest):
            log.info("%s is complete already; nothing was generated", identity.of(config).folder)
            record(config, manifest, track, anew=False)
            return
        if manifest is not None and manifest["num_per_label"] > config.num_per_label:
            # Its missing examples are drawn; a smaller dataset must not take its place.
            config = dataclasses.replace(config, num_per_label=manifest["num_per_label"])
            plan = make(config)
        if (manifest := synthesise(config, plan)) is not None:
            record(config, manifest, track, anew=True)


def whole(config: GenerateConfig, plan: Plan, manifest: dict[str, Any]) -> bool:
    """Whether a finished dataset is all that is asked for; UserError if it was made with other shots."""
    if manifest["shots_digest"] != shots_head(plan.shots)["shots_digest"]:
        path = identity.of(config).folder
        raise UserError(
            f"{path} was made with other shots: the gold file has changed since. Delete the folder {path} to begin anew."
        )
    made: int = manifest["num_per_label"]
    missing: int = sum(manifest["missing"].values())
    return made >= config.num_per_label and missing <= config.max_shortfall * made * len(
        config.task.labels
    )


def synthesise(config: GenerateConfig, plan: Plan) -> dict[str, Any] | None:
    """Draw replies until every example of the plan is accepted or given up; the manifest, or None after a mere estimate."""
    path, shots = identity.of(config).folder, shots_head(plan.shots)
    head = {"fingerprint": identity.of(config).fingerprint, **shots}
    part = path / f"{TABLE}.part"
    with (
        Journal(path / JOURNAL, head) as journal,
        part.open("w", encoding="utf-8") as table,
        Soft(path) as soft,
    ):
        keep = writer(table, plan.name, config.task)
        state = acceptance.Acceptor(
            plan.size, plan.label, config.max_attempts, keep, config.task.clean.near_duplicate
        )
        state.soften = lambda k, probabilities: soft.write(plan.name(k), probabilities)
        synthesis = Synthesis(config, plan, journal, state)
        synthesis.resume()
        begin, before = time.monotonic(), state.accepted
        if not state.done:
            # What the imports made is here to stay; the collector need not look through it again and again.
            gc.freeze()
            try:
                asyncio.run(synthesis.draw_all())
            finally:
                gc.unfreeze()
        seconds = time.monotonic() - begin
        if config.estimate:
            console.estimated(config, synthesis.sample, state, seconds)
            return None
        check_shortfall(config, state)
        soft.finish()
        speed = round((state.accepted - before) / seconds, 3) if state.accepted > before else 0.0
        # Of this process alone; replies, tokens and cost are of all that worked on the dataset.
        report = {"seconds": round(seconds, 2), "examples_per_second": speed}
        return finish(
            identity.of(config),
            table,
            {**report, **shots, "cost": synthesis.cost, **state.report()},
        )


class Synthesis:
    """The loop over one dataset: what is in flight, and when to stop."""

    def __init__(
        self, config: GenerateConfig, plan: Plan, journal: Journal, state: acceptance.Acceptor
    ) -> None:
        self.config, self.plan, self.journal, self.state = config, plan, journal, state
        self.premises = Premises()
        self.sample: list[estimate.Reply] = []
        self.taken = 0

    @property
    def cost(self) -> float:
        """US dollars that all replies of the dataset have cost."""
        llm = self.config.llm
        return round(
            (self.state.tokens[0] * llm.price_prompt + self.state.tokens[1] * llm.price_completion)
            / 1e6,
            6,
        )

    @property
    def stopped(self) -> bool:
        """Whether no more is to be drawn in this job."""
        return self.state.done or (
            self.config.estimate and self.taken >= self.config.estimate_examples
        )

    def resume(self) -> None:
        """Take in the journal of earlier processes."""
        for entry in self.journal.lines():
            self.state.replay(entry)
            self.note(entry)
        if self.state.replies:
            done = f"{self.state.accepted} of {self.plan.size} examples accepted from {self.state.replies} replies"
            log.info("going on with %s: %s", self.journal.path.parent, done)

    def note(self, entry: dict[str, Any]) -> None:
        """Remember of an entry what later draws need."""
        if self.config.prompt.premise == "shared":
            if len(entry["texts"]) > 1:
                self.premises.known.setdefault(self.plan.number(entry["k"]), entry["texts"][0])
            self.premises.forget(self.plan.number(self.state.next))

    async def draw_all(self) -> None:
        """Keep `llm.concurrency` examples in flight until the plan is done; the first failure stops them all."""
        student = (
            filter.Student(self.config.filter.student, self.config.task)
            if self.config.filter.student
            else None
        )
        engine = llm.load(self.config.llm)
        changed, ask = asyncio.Event(), Retry(engine).answer

        async def worker() -> None:
            while not self.stopped:
                work = self.state.take()
                if work is None:
                    await changed.wait()
                    continue
                self.taken += 1
                self.arrive(
                    await draw(
                        self.plan, ask, self.premises, *work, student.judge if student else None
                    )
                )
                progress.update(self.state)
                changed.set()
                changed.clear()

        with console.Progress(self.plan.size) as progress:
            try:
                await in_flight(engine, self.config.llm.concurrency, worker)
            finally:
                if student:
                    student.close()

    def arrive(self, entry: dict[str, Any]) -> None:
        """Keep a reply, decide what it decides, and stop at the spending limit."""
        self.journal.write(entry)
        reason = self.state.arrive(entry)
        self.note(entry)
        if self.config.estimate:
            prompt, completion = entry["tokens"]
            self.sample.append(estimate.Reply(prompt, completion, clean=not reason))
        limit = self.config.llm.max_cost
        if limit is not None and self.cost >= limit and not self.state.done:
            raise UserError(
                f"The spending limit llm.max_cost={limit} US dollars is reached: {self.cost:.4f} spent, "
                f"{self.state.accepted} of {self.state.size} examples accepted. All replies are kept; "
                f"go on with llm.max_cost={2 * limit:g}"
            )


def check_shortfall(config: GenerateConfig, state: acceptance.Acceptor) -> None:
    """Raise UserError with a line per label and reason if more than max_shortfall of the examples are missing."""
    missing = state.size - state.accepted
    if missing <= config.max_shortfall * state.size:
        return
    share = -(-100 * missing // state.size) / 100
    lines = [
        f"  {label}: {count} missing; rejected: {acceptance.counts_text(state.rejected[label])}"
        for label, count in state.missing.items()
    ]
    raise UserError(
        f"{missing} of {state.size} examples are missing after {config.max_attempts} attempts each:\n"
        + "\n".join(lines)
        + f"\nGo on with more attempts: add max_attempts={2 * config.max_attempts}; or accept the shortfall: add max_shortfall={share}"
    )


def record(
    config: GenerateConfig, manifest: dict[str, Any], track: tracking.Run, anew: bool
) -> None:
    """Metrics, samples and files of a finished dataset go to its run; the end is printed."""
    path = identity.of(config).folder
    samples = console.samples(rows(asked(identity.of(config)), config.task), config.task)
    extended = manifest["num_per_label"] > config.num_per_label
    accepted = sum(1 for _ in asked(identity.of(config))) if extended else int(manifest["accepted"])
    # A run that found all there spent nothing: sums over runs must not count the same cost twice.
    spent = ("seconds", "examples_per_second", "cost") if anew else ()
    rejected = {
        f"rejected/{reason}": float(count)
        for reason, count in manifest["rejected_by_reason"].items()
    }
    totals = (*spent, "replies", "prompt_tokens", "completion_tokens", "acceptance_rate")
    verified = {f"verified/{label}": share for label, share in manifest.get("verified", {}).items()}
    verified |= {
        key: float(manifest[key]) for key in ("verify_tokens", "verify_seconds") if key in manifest
    }
    track.metrics(
        {
            "accepted": float(accepted),
            **{key: float(manifest[key]) for key in totals},
            **rejected,
            **verified,
        }
    )
    track.tags({"folder": str(path)})
    track.dataset(
        rows(asked(identity.of(config)), config.task), path.name, str(path / TABLE), "generation"
    )
    track.text(console.samples_markdown(samples, config.task), "samples.md")
    track.file(path / MANIFEST)
    if config.push_to_hub:
        push(path, config.push_to_hub)
    console.generated(config, samples, accepted, manifest, path, tracking.where(config, track))


def push(path: Path, name: str) -> None:
    """Upload the dataset, without its journal and lock, as the private hub dataset `name`; what is there already stays."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().create_repo(name, repo_type="dataset", private=True, exist_ok=True)
        files = [TABLE, SOFT, MANIFEST, CARD]
        HfApi().upload_folder(
            repo_id=name, repo_type="dataset", folder_path=path, allow_patterns=files
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        message = f"push_to_hub={name} failed: {error}\nThe dataset is whole in {path}. Log in with `hf auth login`, then type the same command."
        raise UserError(message) from error
    log.info("pushed to the hub as the private dataset %s", name)
