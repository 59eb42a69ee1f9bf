"""Exact and near duplicates."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest

from japagen.text.duplicate import Digests, Seen, digest, fewest_bands, short, similarity, sketch_of

TEXT = "公園の芝生の上で、白い犬が赤いボールを追いかけて走っています。"


def test_digests_behave_like_a_set() -> None:
    draw = random.Random(0)
    values = [draw.randrange(1, 2**64) for _ in range(5000)]
    ours = Digests()
    for value in values[:2500] * 2:
        ours.add(value)
    assert ours.count == 2500
    assert all(value in ours for value in values[:2500])
    assert not any(value in ours for value in values[2500:])


def test_exact_duplicates() -> None:
    seen = Seen(0)
    seen.add(["a", "b"])
    assert seen.reason(["a", "b"]) == "duplicate"
    assert seen.reason(["b", "a"]) == seen.reason(["ab"]) == ""


@pytest.mark.parametrize("near", [0, 0.7])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("犬が走る。", "犬\u180bが走\ufff5る\U000e0200。"),
        ("犬が 走る。", "犬が\u00a0走る。"),
        ("葛城市の犬。", "葛\U000e0100城市の犬。"),
        ("か\u3099ら。", "がら。"),
        ("犬❤が👩🚀と走る。", "犬❤\ufe0fが👩\u200d🚀と走る。"),
    ],
)
def test_texts_that_look_the_same_are_duplicates(near: float, one: str, other: str) -> None:
    seen = Seen(near)
    seen.add([one])
    assert seen.reason([other]) == "duplicate"


def test_near_duplicates() -> None:
    seen = Seen(0.7)
    seen.add([TEXT])
    assert seen.reason([TEXT.replace("赤い", "青い")]) == "near_duplicate"
    assert seen.reason(["台所で女性が夕食の野菜を切っているところです。"]) == ""
    exact = Seen(0)
    exact.add([TEXT])
    assert exact.reason([TEXT.replace("赤い", "青い")]) == ""


def test_short_texts_are_compared_too() -> None:
    seen = Seen(0.9)
    seen.add(["犬"])
    assert seen.reason(["犬"]) == "duplicate"
    assert seen.reason(["猫"]) == ""


def test_decisions_are_the_same_in_every_process() -> None:
    code = (
        "import sys; from japagen.text.duplicate import digest, sketch_of; t = sys.argv[1:]; "
        "print(digest(t), sketch_of(t).digest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code, TEXT], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1
    assert str(digest([TEXT])) in runs.pop()


@pytest.mark.parametrize(
    ("near", "bands"), [(1.0, 1), (0.97, 2), (0.95, 5), (0.9, 5), (0.85, 10), (0.7, 10), (0.1, 10)]
)
def test_fewest_bands(near: float, bands: int) -> None:
    assert fewest_bands(near) == bands


@pytest.mark.slow
@pytest.mark.parametrize("near", [0.95, 0.91, 0.85])
def test_fewer_bands_find_every_near_duplicate(near: float) -> None:
    draw, seen, accepted, found = random.Random(0), Seen(near), list[Any](), 0
    for _ in range(700):
        texts = (
            ["".join(draw.choices("あいうえお", k=60))]
            if draw.random() < 0.1 or not accepted
            else list(draw.choice(accepted)[0])
        )
        for _ in range(draw.randrange(6)):
            at = draw.randrange(60)
            texts[0] = texts[0][:at] + draw.choice("かきくけこ") + texts[0][at + 1 :]
        sketch = sketch_of(texts)
        near_one = any(similarity(short(sketch), short(other)) >= near for _, other in accepted)
        assert (seen.reason(texts) != "") == near_one
        found += near_one
        if not near_one:
            seen.add(texts)
            accepted.append((texts, sketch))
    assert 50 < found < 650


def test_at_the_limit_few_near_duplicates_are_missed() -> None:
    draw, limit, found = random.Random(0), 0, 0
    while limit < 150:
        one = "".join(draw.choices("あいうえおかきくけこさしすせそ", k=130))
        other = one[:60] + "".join(draw.choices("たちつてと", k=draw.randrange(1, 6))) + one[64:]
        first, second = sketch_of([one]), sketch_of([other])
        if first.jaccard(second) != 0.9:
            continue
        limit, seen = limit + 1, Seen(0.9)
        seen.add([one])
        found += seen.reason([other]) == "near_duplicate"
    assert 0.9 * limit <= found


def test_short_sketches_tell_the_jaccard_similarity() -> None:
    draw = random.Random(0)
    for _ in range(200):
        one, other = (["".join(draw.choices("あいうえお", k=200))] for _ in range(2))
        at = draw.randrange(200)
        other[0] = one[0][:at] + other[0][at:]
        first, second = sketch_of(one), sketch_of(other)
        assert (
            first.jaccard(second)
            <= similarity(short(first), short(second))
            <= first.jaccard(second) + 0.08
        )


def test_many_candidates_are_compared_as_one_by_one() -> None:
    seen = Seen(0.7)
    for n in range(40):
        seen.add((f"駅前の公園で犬が{n}匹走っている。",))
    own = short(sketch_of(("駅前の公園で猫が三匹鳴いている。",)))
    sketches = [seen.sketches[key * 50 : (key + 1) * 50] for key in range(40)]
    best = max(similarity(sketch, own) for sketch in sketches)
    assert 0 < best < 1
    for near in (best - 0.01, best, best + 0.01):
        seen.near = near
        keys = list(range(40))
        one_by_one = any(seen.any_near([key], own) for key in keys)
        assert seen.any_near(keys, own) == one_by_one == (near <= best)
