from __future__ import annotations

from japagen.student import batch


def test_a_bucket_epoch_has_every_row_once_and_another_order_than_the_last() -> None:
    lengths = [n % 37 for n in range(1003)]
    buckets = batch.Buckets(lengths, 16, seed=1)
    first = list(buckets)
    assert len(first) == len(buckets) == 63
    assert sorted(row for batch in first for row in batch) == list(range(1003))
    assert first == list(buckets) == list(batch.Buckets(lengths, 16, seed=1))
    buckets.set_epoch(1)
    assert first != list(buckets)
    assert sorted(row for batch in buckets for row in batch) == list(range(1003))
    assert first != list(batch.Buckets(lengths, 16, seed=2))


def test_buckets_pad_less_than_random_batches() -> None:
    lengths = [5 + n * 7919 % 60 for n in range(2000)]
    padded = sum(
        max(lengths[row] for row in batch) * len(batch)
        for batch in batch.Buckets(lengths, 32, seed=0)
    )
    assert padded < 1.2 * sum(lengths)


def test_phases_are_synthetic_rows_then_gold_ones() -> None:
    phases = batch.Phases(
        [5] * 50, late=[False] * 40 + [True] * 10, switch=11, batch_size=8, seed=0
    )
    found = []
    for epoch in range(3):
        phases.set_epoch(epoch)
        found += list(phases)
        assert list(phases) == found[-7:]
    assert len(found) == 21
    assert all(row < 40 for rows in found[:11] for row in rows)
    assert all(row >= 40 for rows in found[11:] for row in rows)
    assert sorted(row for rows in found[:5] for row in rows) == list(range(40))
    assert sorted(row for rows in found[11:13] for row in rows) == list(range(40, 50))


def test_late_rows_may_lie_anywhere() -> None:
    late = [row % 3 == 0 for row in range(30)]
    phases = batch.Phases([row % 7 + 1 for row in range(30)], late, 6, batch_size=5, seed=1)
    batches = list(phases)
    phases.set_epoch(1)
    batches += list(phases)
    assert not any(late[row] for rows in batches[:6] for row in rows)
    assert all(late[row] for rows in batches[6:] for row in rows)
    assert sorted(row for rows in batches[6:8] for row in rows) == [
        row for row in range(30) if late[row]
    ]


def test_chunks_have_the_rows_once_and_in_order() -> None:
    assert batch.chunks([3, 1, 2, 5, 4], 2) == [[3, 1], [2, 5], [4]]
    assert batch.chunks([], 2) == []
