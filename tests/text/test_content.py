"""Content words of Japanese texts."""

from __future__ import annotations

from japagen.text.content import words


def test_nouns_and_stems_are_words_and_verbs_are_not() -> None:
    assert words("犬が公園を走っています。") == {"犬", "公園"}
    assert words("シャワーの水圧が弱く、少し残念でした。") == {"シャワー", "水圧", "残念"}
    assert words("とてもよかった。") == set()


def test_long_runs_of_one_script_are_no_words() -> None:
    assert words("一丁目二番三号地先東側で待つ。") == set()
    assert words("丁目二番三号地先東側で待つ。") == {"丁目二番三号地先東側"}
