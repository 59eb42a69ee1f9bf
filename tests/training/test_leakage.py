from __future__ import annotations

from japagen.gold.example import Example
from japagen.training import leakage


def test_of_a_pair_both_texts_must_be_the_same() -> None:
    test = [Example("t", ("犬が走る。", "猫が寝る。"), "0")]
    pairs = [("犬が走る", "猫が寝る"), ("犬が走る", "猫が起きる"), ("猫が寝る", "犬が走る")]
    kept, counts = leakage.without(
        [Example(str(n), pair, "0") for n, pair in enumerate(pairs)], test, 0
    )
    assert [row.id for row in kept] == ["1", "2"]
    assert counts == {"same": 1, "near": 0}


def test_texts_without_letters_differ() -> None:
    test, other = Example("t", ("！？", "ＡＢ c。"), "0"), Example("0", ("？！", "ABc"), "0")
    assert leakage.without([other], [test], 0)[0] == [other]
    same = Example("1", ("!?", "AB c！"), "0")
    assert leakage.without([same], [test], 0) == ([], {"same": 1, "near": 0})
