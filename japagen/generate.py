"""The synthesis loop: plan, prompt, llm, clean, store."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from japagen import accept, clean, gold, llm, prompt, show, store, tracking
from japagen.check import check
from japagen.config import GenerateConfig, UserError
from japagen.gold import Example

log = logging.getLogger(__name__)

TRIES = 5  # of one request whose engine fails, with pauses of 1, 2, 4 ... seconds between them


def run(cfg: DictConfig) -> None:
    """Make the synthetic dataset that `cfg` names, or go on with it, and record the run."""
    config = check(cfg, GenerateConfig)
    plan = make_plan(config)
    if config.dry_run:
        show.prompts(config, [(label, plan.request(k, 0, [])) for k, label in enumerate(config.task.labels)])
        return
    with tracking.run(config, "generate", {"fingerprint": store.fingerprint(config)}) as track:
        manifest = store.read_manifest(store.folder(config))
        if manifest is not None and manifest["num_per_label"] >= config.num_per_label:
            log.info("%s is complete already; nothing was generated", store.folder(config))
        else:
            manifest = synthesise(config, plan)
        record(config, manifest, track)


@dataclass(frozen=True)
class Plan:
    """The dataset as an enumeration: example k has label k mod L, and its own seed, slot value and shots."""

    config: GenerateConfig
    shots: dict[str, list[Example]]
    slots: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many examples are asked for."""
        return len(self.config.task.labels) * self.config.num_per_label

    def label(self, k: int) -> str:
        """The label of example k."""
        return self.config.task.labels[k % len(self.config.task.labels)]

    def name(self, k: int) -> str:
        """The id of example k: its label and its number within the label."""
        return f"{self.label(k)}-{k // len(self.config.task.labels):06d}"

    def asked(self, k: int) -> list[str]:
        """The instruction for each turn of example k."""
        slot = self.slots[k // len(self.config.task.labels) % len(self.slots)] if self.slots else ""
        return prompt.instructions(self.config.task, self.config.prompt, self.label(k), slot)

    def request(self, k: int, attempt: int, replies: Sequence[str]) -> llm.Request:
        """What is sent for the next turn of example k."""
        task, label = self.config.task, self.label(k)
        shots = [(prompt.instructions(task, self.config.prompt, label), shot) for shot in self.shots.get(label, [])]
        digest = hashlib.blake2b(f"{self.config.seed} {self.name(k)} {attempt}".encode(), digest_size=4).digest()
        seed = int.from_bytes(digest, "big") >> 1
        if self.config.llm.chat:
            return llm.Request(messages=tuple(prompt.messages(self.asked(k), replies, shots, task.wording.system)), seed=seed)
        text = prompt.completion_text(self.asked(k), replies, shots, task.wording.system)
        return llm.Request(text=text, seed=seed, stop=("\n",))


def make_plan(config: GenerateConfig) -> Plan:
    """The plan, with its shots drawn from gold and its slot values in an order of their own by seed."""
    shots: dict[str, list[Example]] = {}
    if config.shots:
        try:
            rows = gold.load(config.task, "train", config.gold_dir)
        except gold.GoldMissing as error:
            raise gold.GoldMissing(f"shots={config.shots} needs gold examples to show to the LLM. {error}\nWithout gold: shots=0") from error
        shots = gold.draw_shots(rows, config.task, config.shots, config.seed)
    slots = prompt.slot_values(config.task, config.prompt)
    random.Random(config.seed).shuffle(slots)
    return Plan(config, shots, slots)


def synthesise(config: GenerateConfig, plan: Plan) -> dict[str, Any]:
    """Draw replies until every example of the plan is accepted or given up; returns the manifest."""
    path = store.folder(config)
    shown = {label: [shot.id for shot in shots] for label, shots in plan.shots.items()}
    head = {"fingerprint": store.fingerprint(config), "shots": shown}
    with store.Journal(path / store.JOURNAL, head) as journal, (path / f"{store.TABLE}.part").open("w", encoding="utf-8") as table:
        keep = store.writer(table, plan.name, config.task)
        state = accept.Acceptor(plan.size, plan.label, config.max_attempts, keep, config.task.clean.near_duplicate)
        begin = time.monotonic()
        for entry in journal.lines():
            state.replay(entry)
        if state.replies:
            log.info("going on with %s: %d of %d examples accepted from %d replies", path, state.accepted, plan.size, state.replies)
        if not state.done:
            engine = llm.load(config.llm)
            try:
                asyncio.run(draw_all(config, plan, engine, journal, state))
            finally:
                engine.close()
        report = {"seconds": round(time.monotonic() - begin, 2), "shots": shown, **state.report()}
        check_shortfall(config, state)
        return store.finish(config, table, report)


async def draw_all(config: GenerateConfig, plan: Plan, engine: llm.Engine, journal: store.Journal, state: accept.Acceptor) -> None:
    """Keep `llm.concurrency` examples in flight until the plan is done; the first failure stops them all."""
    changed = asyncio.Event()

    async def worker() -> None:
        while not state.done:
            work = state.take()
            if work is None:
                await changed.wait()
                continue
            entry = await draw(plan, engine, *work)
            journal.write(entry)
            state.arrive(entry)
            progress.update(state)
            changed.set()
            changed.clear()

    with show.Progress(plan.size) as progress:
        workers = [asyncio.ensure_future(worker()) for _ in range(config.llm.concurrency)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def draw(plan: Plan, engine: llm.Engine, k: int, attempt: int) -> dict[str, Any]:
    """One attempt at example k, all its turns: the journal's entry for it."""
    task, asked = plan.config.task, plan.asked(k)
    texts: list[str] = []
    raw: list[str] = []
    tokens, reason = [0, 0], ""
    while not reason and len(texts) < len(task.inputs):
        reply = await answer(engine, plan.request(k, attempt, texts))
        raw.append(reply.text)
        tokens = [tokens[0] + reply.prompt_tokens, tokens[1] + reply.completion_tokens]
        cleaned = clean.clean(reply.text, reply.finish, task.clean, asked[len(texts)], task.labels)
        reason = cleaned.reason
        if not reason and any(clean.same(cleaned.text, text) for text in texts) and plan.label(k) not in task.clean.same_allowed:
            reason = "same"
        texts.append(cleaned.text)
    entry = {"k": k, "attempt": attempt, "label": plan.label(k), "reason": reason, "texts": texts, "tokens": tokens}
    return entry if raw == texts else {**entry, "raw": raw}


async def answer(engine: llm.Engine, request: llm.Request) -> llm.Completion:
    """The engine's completion, tried TRIES times."""
    for tried in range(TRIES):
        try:
            return await engine.complete(request)
        except llm.EngineError as error:
            if tried == TRIES - 1:
                raise UserError(f"The LLM failed {TRIES} times on one request: {error}\nAll replies so far are kept; mend the cause and type the same command.") from error
            log.warning("the LLM failed, trying again: %s", error)
            await asyncio.sleep(min(60.0, 2.0**tried))
    raise AssertionError("unreachable: the last try returns or raises")


def check_shortfall(config: GenerateConfig, state: accept.Acceptor) -> None:
    """Raise UserError with a line per label and reason if more than max_shortfall of the examples are missing."""
    missing = state.size - state.accepted
    if missing <= config.max_shortfall * state.size:
        return
    lines = [f"  {label}: {count} missing; rejected: {accept.counts_text(state.rejected[label])}" for label, count in state.missing.items()]
    raise UserError(
        f"{missing} of {state.size} examples are missing after {config.max_attempts} attempts each:\n" + "\n".join(lines) + "\n"
        f"Go on with more attempts: add max_attempts={2 * config.max_attempts}; or accept the shortfall: add max_shortfall={-(-100 * missing // state.size) / 100}"
    )


def record(config: GenerateConfig, manifest: dict[str, Any], track: tracking.Run) -> None:
    """Metrics, samples and files of a finished dataset go to its run; the end is printed."""
    path = store.folder(config)
    rows = list(store.rows(store.read(config), config.task))
    rejected = {f"rejected/{reason}": float(count) for reason, count in manifest["rejected_by_reason"].items()}
    totals = {key: float(manifest[key]) for key in ("seconds", "replies", "prompt_tokens", "completion_tokens", "examples_per_second")}
    track.metrics({"accepted": float(len(rows)), **totals, **rejected})
    track.tags({"folder": str(path)})
    track.dataset(rows, name=path.name, source=str(path / store.TABLE), context="generation")
    track.text(show.samples_markdown(rows, config.task), "samples.md")
    track.file(path / store.MANIFEST)
    show.generated(config, rows, manifest, path, tracking.where(config, track))
