"""N examples per final label, for any confusion of labels, order of arrival and kill."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from japagen.dataset.reply import Reply, Verification
from japagen.synthesis.acceptance import FIRST_BLOCK, Acceptor

LABELS = ["a", "b", "c"]
Kept = list[tuple[int, str, tuple[str, ...]]]
Confusion = dict[str, list[float]]

# For each asked label the weights of the labels that the verifier gives.
confusions = st.fixed_dictionaries(
    {label: st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3) for label in LABELS}
)


def make(number: int, max_attempts: int = 8, near_duplicate: float = 0.0) -> tuple[Acceptor, Kept]:
    kept: Kept = []

    def keep(k: int, reply: Reply) -> None:
        kept.append((k, reply.label, reply.texts))

    return Acceptor(LABELS, number, max_attempts, keep, near_duplicate, pooled=True), kept


def reply(k: int, attempt: int, confusion: Confusion) -> Reply:
    """Return a reply that depends on k and attempt alone: rejected, relabelled, or a duplicate."""
    draw, asked = random.Random(f"{k} {attempt}"), LABELS[k % 3]
    if draw.random() < 0.1:
        return Reply(k, attempt, asked, asked, (), "empty")
    text = f"text {draw.randrange(4000)}"
    (label,) = draw.choices(LABELS, confusion[asked])
    return Reply(k, attempt, asked, label, (text,), verification=Verification(label))


def drive(
    state: Acceptor, confusion: Confusion, seed: int, journal: list[Reply], stop: int
) -> None:
    """Answer up to 8 requests at once in a random order, up to `stop` replies."""
    draw, flying = random.Random(seed), []
    while not state.done and len(journal) < stop:
        while len(flying) < 8 and (work := state.take()) is not None:
            flying.append(work)
        got = reply(*flying.pop(draw.randrange(len(flying))), confusion)
        journal.append(got)
        state.arrive(got)


@settings(max_examples=25, deadline=None)
@given(confusion=confusions, number=st.integers(1, 40), seed=st.integers(0, 99), data=st.data())
def test_n_per_final_label_for_any_confusion_order_and_kill(
    confusion: Confusion, number: int, seed: int, data: st.DataObject
) -> None:
    whole, kept = make(number)
    drive(whole, confusion, 0, journal := [], 10**6)
    assert whole.accepted + sum(whole.missing.values()) == 3 * number
    counts = Counter(label for _, label, _ in kept)
    assert counts == {x: number - whole.missing.get(x, 0) for x in LABELS if counts[x]}
    assert all(LABELS[k % 3] == label for k, label, _ in kept), "the id says the final label"
    assert len({texts for *_, texts in kept}) == len(kept), "no text twice"

    cut = data.draw(st.integers(0, len(journal)))
    resumed, again = make(number)
    for line in journal[:cut]:
        resumed.replay(line)
    drive(resumed, confusion, seed, list(journal[:cut]), 10**6)
    assert again == kept
    assert resumed.report()["accepted"] == whole.report()["accepted"]


@settings(max_examples=12, deadline=None)
@given(confusion=confusions, number=st.integers(1, 40), more=st.integers(1, 40))
def test_raising_the_number_keeps_what_was_there(
    confusion: Confusion, number: int, more: int
) -> None:
    small, first = make(number)
    drive(small, confusion, 1, journal := [], 10**6)
    large, both = make(number + more)
    for line in journal:
        large.replay(line)
    drive(large, confusion, 2, journal, 10**6)
    assert set(first) <= set(both)
    fresh, alone = make(number + more)
    drive(fresh, confusion, 3, [], 10**6)
    assert alone == both, "the same dataset as if the larger number had been asked for at once"


def test_surplus_fills_the_next_block_before_it_is_drawn() -> None:
    """Texts for `b` and `c` are called `a` half of the time: `a` soon needs no draws of its own."""
    half: Confusion = {"a": [1.0, 0.0, 0.0], "b": [0.5, 0.5, 0.0], "c": [0.5, 0.0, 0.5]}
    state, kept = make(2 * FIRST_BLOCK, max_attempts=40)
    drive(state, half, 0, journal := [], 10**6)
    asked = Counter(line.asked for line in journal if not line.reason)
    assert Counter(label for _, label, _ in kept) == dict.fromkeys(LABELS, 2 * FIRST_BLOCK)
    assert asked["a"] < FIRST_BLOCK + 8
    report = state.report()
    unused = report["rejected_by_reason"].get("surplus", 0)
    assert state.tally.replies == len(journal)
    duplicates = report["rejected_by_reason"].get("duplicate", 0)
    empty = report["rejected_by_reason"].get("empty", 0)
    assert state.tally.replies == state.accepted + unused + duplicates + empty
    assert set(report["confusion"]["b"]) == {"a", "b"}


def test_an_example_without_a_reply_takes_the_first_text_that_others_give_to_its_label() -> None:
    state, kept = make(1, max_attempts=1)
    for k, label in ((0, "b"), (1, "a"), (2, "c")):
        assert state.take() == (k, 0)
        state.arrive(Reply(k, 0, LABELS[k], label, (f"text {k}",)))
    assert state.done
    assert not state.missing
    assert sorted(kept) == [(0, "a", ("text 1",)), (1, "b", ("text 0",)), (2, "c", ("text 2",))]


@settings(max_examples=25, deadline=None)
@example(
    confusion={"a": [0.5, 0.5, 0.25], "b": [1.0, 1.0, 1.0], "c": [1.0, 1.0, 1.0]}, number=35, few=2
)
@example(
    confusion={"a": [1.0, 1.0, 0.5], "b": [1.0, 1.0, 0.5], "c": [1.0, 0.75, 0.5]}, number=25, few=1
)
@given(confusion=confusions, number=st.integers(1, 40), few=st.integers(1, 3))
def test_another_number_of_attempts_on_resuming_loses_no_text(
    confusion: Confusion, number: int, few: int
) -> None:
    """Raised or lowered, every clean text of the journal is an example, surplus or a duplicate."""
    for first, then in ((few, 40), (40, few)):
        begun, _ = make(number, max_attempts=first)
        drive(begun, confusion, 0, journal := [], 10**6)
        resumed, kept = make(number, max_attempts=then)
        for line in journal:
            resumed.replay(line)
        drive(resumed, confusion, 1, journal, 10**6)
        counts = Counter(label for _, label, _ in kept)
        assert counts == {x: number - resumed.missing.get(x, 0) for x in LABELS if counts[x]}
        assert len({k for k, *_ in kept}) == len(kept), "no example twice"
        rejected = sum(resumed.report()["rejected_by_reason"].values())
        assert resumed.tally.replies == resumed.accepted + rejected
