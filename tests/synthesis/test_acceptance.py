"""Acceptance in plan order."""

from __future__ import annotations

import random

from japagen.dataset.reply import Reply
from japagen.synthesis.acceptance import WINDOW, Acceptor
from japagen.synthesis.counts import counts_text

LABELS = ["a", "b"]


def make(size: int, max_attempts: int = 5) -> tuple[Acceptor, list[tuple[int, tuple[str, ...]]]]:
    kept: list[tuple[int, tuple[str, ...]]] = []

    def keep(k: int, reply: Reply) -> None:
        kept.append((k, reply.texts))

    return Acceptor(LABELS, size // 2, max_attempts, keep), kept


def entry(k: int, attempt: int, text: str = "", reason: str = "") -> Reply:
    asked, texts = LABELS[k % 2], (text or f"text {k} {attempt}",)
    return Reply(k, attempt, asked, asked, texts, reason, (2, 3), texts)


def reply(k: int, attempt: int) -> Reply:
    """A deterministic model: some replies are rejected, many are equal."""
    draw = random.Random(f"{k} {attempt}")
    if draw.random() < 0.2:
        return entry(k, attempt, reason="empty")
    return entry(k, attempt, text=f"text {draw.randrange(40)}")


def drive(acceptor: Acceptor, seed: int, journal: list[Reply], stop_after: int = 10**9) -> None:
    """Answer up to 8 requests at once in a random order, as an engine would."""
    draw, flying = random.Random(seed), []
    while not acceptor.done and len(journal) < stop_after:
        while len(flying) < 8 and (work := acceptor.take()) is not None:
            flying.append(work)
        got = reply(*flying.pop(draw.randrange(len(flying))))
        journal.append(got)
        acceptor.arrive(got)


def test_result_does_not_depend_on_arrival_order() -> None:
    results = []
    for seed in range(6):
        acceptor, kept = make(30)
        drive(acceptor, seed, [])
        results.append(kept)
    assert all(result == results[0] for result in results)
    assert [k for k, _ in results[0]] == sorted({k for k, _ in results[0]})


def test_no_example_twice_and_counts_add_up() -> None:
    acceptor, kept = make(30)
    drive(acceptor, 1, journal := [])
    texts = [texts for _, texts in kept]
    assert len(texts) == len(set(texts)) == acceptor.accepted
    assert acceptor.accepted + sum(acceptor.missing.values()) == 30
    assert (
        acceptor.tally.replies
        == len(journal)
        == acceptor.accepted
        + acceptor.report()["rejected_by_reason"].get("empty", 0)
        + sum(counts["duplicate"] for counts in acceptor.tally.rejected.values())
    )


def test_replaying_any_part_of_a_journal_gives_the_same_end() -> None:
    whole, kept = make(30)
    drive(whole, 3, journal := [])
    for cut in range(0, len(journal), 3):
        acceptor, resumed = make(30)
        for line in journal[:cut]:
            acceptor.replay(line)
        drive(acceptor, 99, list(journal[:cut]))
        assert resumed == kept, f"cut after {cut} replies"


def test_extending_keeps_what_was_there() -> None:
    small, first = make(20)
    drive(small, 5, journal := [])
    large, both = make(30)
    for line in journal:
        large.replay(line)
    drive(large, 6, journal)
    assert both[: len(first)] == first
    assert len(both) > len(first)


def test_an_example_is_given_up_after_max_attempts() -> None:
    acceptor, kept = make(2, max_attempts=3)
    for attempt in range(3):
        assert acceptor.take() == (0, attempt)
        acceptor.arrive(entry(0, attempt, reason="leak"))
    assert acceptor.take() == (1, 0)
    acceptor.arrive(entry(1, 0))
    assert acceptor.done
    assert dict(acceptor.missing) == {"a": 1}
    assert [k for k, _ in kept] == [1]
    assert acceptor.report()["rejected"] == {"a": {"leak": 3}}


def test_memory_is_bounded_while_the_first_reply_is_late() -> None:
    acceptor, _ = make(10 * WINDOW)
    taken = []
    while (work := acceptor.take()) is not None:
        taken.append(work)
    assert len(taken) == WINDOW
    for k, attempt in taken[1:]:
        acceptor.arrive(entry(k, attempt))
    assert acceptor.take() is None, "nothing more is asked for until example 0 is there"
    acceptor.arrive(entry(0, 0))
    assert acceptor.take() == (WINDOW, 0)
    assert not acceptor.ready
    assert not acceptor.attempts


def test_counts_text_has_the_most_frequent_first() -> None:
    assert counts_text({"leak": 1, "empty": 3}) == "empty 3, leak 1"
    assert counts_text({}) == "none"


def test_after_a_restart_nothing_is_handed_out_twice() -> None:
    acceptor, kept = make(4)
    acceptor.replay(entry(1, 0, text="A"))
    assert acceptor.take() == (0, 0)
    acceptor.arrive(entry(0, 0, text="A"))
    taken = [acceptor.take(), acceptor.take(), acceptor.take(), acceptor.take()]
    assert taken == [(1, 1), (2, 0), (3, 0), None], (
        "example 1 is drawn again once, because the earlier one has its text"
    )
    for k, attempt in ((3, 0), (1, 1), (2, 0)):
        acceptor.arrive(entry(k, attempt))
    assert [k for k, _ in kept] == [0, 1, 2, 3]
    assert acceptor.report()["rejected_by_reason"] == {"duplicate": 1}


def test_any_restart_with_many_in_flight_ends_the_same() -> None:
    whole, kept = make(60)
    drive(whole, 0, journal := [])
    for cut in range(0, len(journal), 7):
        for seed in range(3):
            acceptor, resumed = make(60)
            for line in journal[:cut]:
                acceptor.replay(line)
            lines = list(journal[:cut])
            drive(acceptor, seed, lines)
            assert resumed == kept
            keys = [(line.k, line.attempt) for line in lines]
            assert len(keys) == len(set(keys))
