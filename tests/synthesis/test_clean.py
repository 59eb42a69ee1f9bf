"""Trimming, and every reason against a reply."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from japagen.config.task import Clean
from japagen.synthesis import clean
from japagen.text import ngram
from japagen.text.japanese import has_simplified

RULES = Clean(min_chars=5, max_chars=40, forbidden=["いまの文", "contradiction"])
FORM = (
    "次の形で、写真の説明文を一つ書いてください。\n"
    "形：（場所）で（人か動物か物）が（動作）ています。"
)

KEPT = [
    "芝生の上で白い犬がボールを追いかけている。",
    "２、３人の子供が砂場で遊んでいます。",
    "1.5倍の速さで電車が走り抜ける。",
    "#東京 は朝から雨が降っています。",
    "値段は1000000円だったそうです。",
    "わあ、すごい！！！と叫んだ……。",
    "ワンワンと犬が鳴いている。",
    "母のお手伝いをしている女の子。",
    "長い間の願いが叶うといいな。",
    "「はい」と「いいえ」で答えた。",
    # Kanji that CP932 lacks: of the Joyo list (叱 填 are its variants), common ones, names.
    "ペンキが剝げ、頰を塡めた人がいる。",
    "麵と醬油は噓のように売れた。",
    "鷗と蟬の声が聞こえます。",
    "𠮷野家で𩸽を食べ、草彅さんと会った。",
    "市民スポーツ大会に千人が出た。",
    "今朝はとても寒い;ﾟДﾟ",
    "ฅ＾・ω・＾ฅと鳴く猫がいた。",
]

REJECTED = [
    ("empty", ""),
    ("empty", "「」\n\n"),
    ("chatter", "もちろん、写真の紹介文を書きます。"),
    ("chatter", "かしこまりました。犬が走っています。"),
    ("chatter", "何かお手伝いできることはありますか。"),
    ("chatter", "言語モデルなので写真は見られません。"),
    ("chatter", "I cannot see any photo, sorry."),
    ("leak", "いまの文では犬が走っています。"),
    ("leak", "写真の説明文を一つ書いてください。"),
    ("leak", "（場所）で犬が走っています。"),
    ("leak", "contradiction だと思います。"),
    ("repetition", "大きな大きな大きな犬が走っている。"),
    ("repetition", "ああああああと言った人がいる。"),
    ("repetition", "教室で教室を教室に教室を教室で教室を教室に教室を見る。"),
    (
        "too_long",
        "公園で犬が走り、猫が眠り、鳥が歌い、子供が遊び、母親が見守り、父親が笑っています。",
    ),
    ("not_japanese", "一只小鸟在树叶间跳跃，似乎在寻找食物。"),
    ("not_japanese", "公园の中で犬が走っています。"),
    ("not_japanese", "彼女の眼睛がとても大きいです。"),
    ("not_japanese", "空に白い云が浮かんでいます。"),
    ("not_japanese", "我们は駅で待っています。"),
    ("not_japanese", "公園にいる母は、優しい表情를しています。"),
    ("not_japanese", "彼は駅でприветと言いました。"),
    ("not_japanese", "駅の前にสวัสดีと書いてあります。"),
    ("not_japanese", "彼は时间がないと言いました。"),
    ("not_japanese", "你はどこに行きますか。"),
    ("thoughts", "<think>犬のことを書こうと思う。"),
    ("damaged", "犬が走って\ufffdいます。"),
    ("damaged", "犬が走って\ue000います。"),
    ("damaged", "犬が[MASK]で走っています。"),
    ("damaged", "<|plan|>犬のことを書く。<|/plan|>犬が走っています。"),
    ("not_japanese", "개가 공원에서 달리고 있습니다"),
    ("not_japanese", "the dog is running in the park"),
    ("too_short", "犬です。"),
]


def judged(reply: str, finish: str = "stop", rules: Clean = RULES) -> clean.Cleaned:
    return clean.clean(reply, finish, rules, FORM)


@pytest.mark.parametrize("text", KEPT)
def test_innocent_text_is_kept_as_it_is(text: str) -> None:
    assert judged(text) == clean.Cleaned(text, "")


@pytest.mark.parametrize(("reason", "reply"), REJECTED)
def test_reasons(reason: str, reply: str) -> None:
    assert judged(reply).reason == reason


def test_every_reason_that_clean_gives_has_an_example() -> None:
    given_elsewhere = {"same", "duplicate", "truncated"}  # below, and by draw and accept
    assert {reason for reason, _ in REJECTED} | given_elsewhere <= set(clean.REASONS)
    assert {
        *("empty", "chatter", "leak", "repetition", "too_long", "too_short", "not_japanese"),
        *("thoughts", "damaged"),
    } == {reason for reason, _ in REJECTED}


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("「犬が走っている。」", "犬が走っている。"),
        ("『犬が走っている。』", "犬が走っている。"),
        ('"犬が走っている。"', "犬が走っている。"),
        ("「犬が走っている。", "犬が走っている。"),
        ("- 犬が走っている。", "犬が走っている。"),
        ("・犬が走っている。", "犬が走っている。"),
        ("1. 「犬が走っている。」", "犬が走っている。"),
        ("（1）犬が走っている。", "犬が走っている。"),
        ("**例文1：** 犬が走っている。", "犬が走っている。"),
        ("### 説明文：犬が走っている。", "犬が走っている。"),
        ("形2：犬が走っている。", "犬が走っている。"),
        ("```\n犬が走っている。\n```", "犬が走っている。"),
        ("犬が走っている。\n\n犬が走るのは公園です。", "犬が走っている。"),
        ("彼は「犬が走る」と言った。", "彼は「犬が走る」と言った。"),
        ("「犬」と「猫」", "「犬」と「猫」"),
        ("犬が走っている。」", "犬が走っている。"),
        ("「\u0301犬が走っている。」", "犬が走っている。"),
        ("・\u3099犬が走っている。", "犬が走っている。"),
    ],
)
def test_trim(reply: str, text: str) -> None:
    assert clean.trim(reply, 1)[0] == text


def test_trim_keeps_as_many_lines_as_asked() -> None:
    assert clean.trim("一行目\n\n二行目\n三行目", 2) == ("一行目\n二行目", True)
    assert clean.trim("一行目\n二行目", 2) == ("一行目\n二行目", False)


@pytest.mark.parametrize(
    ("reply", "finish", "reason"),
    [
        ("犬が走っている。", "content_filter", "refused"),
        ("犬が走っている。", "error", "unfinished"),
        ("<think>犬が走っている。", "stop", "thoughts"),
        ("犬が走って\ufffdいる。", "stop", "damaged"),
    ],
)
def test_a_reply_that_cannot_be_trusted_leaves_no_text(
    reply: str, finish: str, reason: str
) -> None:
    assert judged(reply, finish) == clean.Cleaned("", reason)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("content_filter", "refused"), ("error", "unfinished"), ("length", "truncated")],
)
def test_a_reply_that_may_end_anywhere_is_rejected(finish: str, reason: str) -> None:
    assert judged("犬が公園で走っていて、そ", finish).reason == reason


def test_an_ordinary_word_is_no_leak_because_it_is_a_label() -> None:
    rules = Clean(min_chars=5, max_chars=80)
    text = "市民スポーツ大会が東京で開かれた。"
    asked = "スポーツの記事を書いてください。"
    assert clean.clean(text, "stop", rules, asked) == clean.Cleaned(text, "")
    strict = Clean(min_chars=5, max_chars=80, forbidden=["スポーツ"])
    assert clean.clean(text, "stop", strict, asked).reason == "leak"


@pytest.mark.parametrize(
    "reply",
    [*KEPT, *(reply for _, reply in REJECTED), "- 「1. 例文：『犬が走る』」", "** 「犬」 **"],
)
@pytest.mark.parametrize("lines", [1, 3])
def test_trim_twice_is_trim_once(reply: str, lines: int) -> None:
    once, _ = clean.trim(reply, lines)
    assert clean.trim(once, lines)[0] == once


def test_a_blank_or_words_of_an_earlier_instruction_are_a_leak() -> None:
    first = "次の形で書いてください。形：（場所）で（動物）がいます。"
    second = "短い文を書いてください。"
    for text in ("（場所）で犬がいます。", "次の形で書いてください。犬がいます。"):
        assert clean.clean(text, "stop", RULES, second, [first]).reason == "leak"
        assert clean.clean(text, "stop", RULES, second).reason == ""
    kept = "公園（新宿）で犬が走っています。"  # the form of the turn before is not filled in here
    assert clean.clean(kept, "stop", RULES, second, [first]) == clean.Cleaned(kept, "")


def test_filled_in_form_loses_its_brackets() -> None:
    assert judged("（公園）で（白い犬）が（走っ）ています。") == clean.Cleaned(
        "公園で白い犬が走っています。", ""
    )
    text = "東京（新宿）で白い犬が走っています。"
    assert clean.clean(text, "stop", RULES, "写真（街の中）の紹介文をどうぞ。").text == text


def test_truncated_line_is_rejected_and_longer_text_ends_with_its_last_whole_sentence() -> None:
    assert judged("犬が公園で走っていて、そ", "length").reason == "truncated"
    assert judged("犬が公園で走っている。\nそして、猫も", "length") == clean.Cleaned(
        "犬が公園で走っている。", ""
    )
    longer = Clean(min_chars=5, max_chars=40, lines=3)
    assert judged("犬が走っている。\nそして、猫も", "length", longer) == clean.Cleaned(
        "犬が走っている。", ""
    )
    assert judged("犬が公園で走っていて、そ", "length", longer).reason == "truncated"


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("犬が走る。猫が眠る。そして", "犬が走る。猫が眠る。"),
        ("犬が走る！猫も眠るか？そして", "犬が走る！猫も眠るか？"),
        ("犬が走る。XLサイズの", "犬が走る。"),
    ],
)
def test_a_truncated_reply_of_two_lines_is_kept_up_to_its_last_sentence(
    reply: str, kept: str
) -> None:
    rules = Clean(min_chars=5, max_chars=40, lines=2)
    assert judged(reply, "length", rules) == clean.Cleaned(kept, "")


def test_same_looks_past_punctuation_and_politeness() -> None:
    assert clean.same("公園で、犬が走っている。", "公園で犬が走っています")
    assert not clean.same("公園で犬が走っている。", "公園で猫が走っている。")
    assert not clean.same("公園で犬が走っている。", "公園で犬が走っていない。")


def test_bare_text_has_no_punctuation_and_no_verb_ending() -> None:
    assert clean.bare("「公園で、犬が 走る。」") == "公園で犬が走"
    assert clean.bare("公園で犬が走ります！") == "公園で犬が走り"


@pytest.mark.parametrize("before", range(14))
@pytest.mark.parametrize("after", range(7))
def test_twelve_characters_of_the_instruction_are_a_leak_at_every_place(
    before: int, after: int
) -> None:
    asked = "写真の説明文を一つ書いてください"
    head, tail = "ぬ" * before, "ね" * after
    for at in range(len(asked) - 11):
        assert clean.leaks(head + asked[at : at + 12] + tail, asked, clean.any_of(()))
        assert not clean.leaks(head + asked[at : at + 11] + tail, asked, clean.any_of(()))


@pytest.mark.parametrize("before", [300, 301])
def test_the_longest_repeated_chunk_has_40_characters(before: int) -> None:
    varied = [chr(0x4E00 + at) for at in range(500)]
    start = "".join(varied[:before])
    assert clean.repeats(start + "".join(varied[400:440]) * 3)
    assert not clean.repeats(start + "".join(varied[400:441]) * 3)


def test_lengths_are_inclusive() -> None:
    text = "犬が走る。"
    assert judged(text, rules=Clean(min_chars=5, max_chars=5)).reason == ""
    assert judged(text, rules=Clean(min_chars=6)).reason == "too_short"
    assert judged(text, rules=Clean(min_chars=1, max_chars=4)).reason == "too_long"


def plain_repeats(text: str) -> bool:
    """What clean.repeats says, without its short cuts."""
    pieces = [text[at : at + clean.GRAM] for at in range(len(text) - clean.GRAM + 1)]
    circles = len(text) > 5 * clean.GRAM and len(set(pieces)) < clean.VARIED * len(pieces)
    return circles or any(pattern.search(text) for pattern in (clean.SHORT_LOOP, clean.LOOP))


def plain_leaks(text: str, asked: str) -> bool:
    return any(text[at : at + clean.ECHO] in asked for at in range(len(text) - clean.ECHO + 1))


def plain_is_japanese(text: str, share: float) -> bool:
    visible = len("".join(text.split()))
    japanese, kana = (
        sum(map(len, pattern.findall(text))) for pattern in (clean.JAPANESE, clean.KANA)
    )
    enough = visible > 0 and japanese >= share * visible and kana >= 0.1 * visible
    enough = enough and clean.FOREIGN.search(text) is None
    simplified = any(has_simplified(char) for char in text)
    return enough and clean.CHINESE.search(text) is None and not simplified


def random_texts(count: int) -> Iterator[str]:
    """Texts of few different characters and pieces, so that they repeat themselves in every way."""
    draw = random.Random(0)
    for _ in range(count):
        letters = draw.choice(
            [
                "あい",
                "あいう1 ",
                "犬が走る。",
                "園园云😀〜…あいうえおabc１２\n",
                "かきくけこさしすせそたちつてと",
            ]
        )
        pieces = [
            "".join(draw.choices(letters, k=draw.randrange(1, draw.choice([4, 12, 45]))))
            for _ in range(3)
        ]
        yield "".join(draw.choice(pieces) for _ in range(draw.randrange(1, 9)))


def test_the_short_cuts_change_no_verdict() -> None:
    verdicts = Counter[tuple[str, bool]]()
    for text in random_texts(6000):
        asked = text[::-1][3:40] + text[5 : 5 + random.Random(text).randrange(9, 16)] + FORM
        found = {
            "repeats": (clean.repeats(text), plain_repeats(text)),
            "leaks": (clean.leaks(text, asked, clean.any_of(())), plain_leaks(text, asked)),
            "japanese": (clean.is_japanese(text, 0.6), plain_is_japanese(text, 0.6)),
            "loop": (clean.LOOP.search(text) is not None, False),
        }
        for name, (fast, plain) in found.items():
            assert fast == plain or name == "loop", (name, text, asked)
            verdicts[name, fast] += 1
    assert len(verdicts) == 8
    assert min(verdicts.values()) > 100, verdicts


@pytest.mark.parametrize(
    "length", [0, 1, 3, 4, 5, ngram.CUT + 2, ngram.CUT + 3, ngram.CUT + 4, 1000]
)
@pytest.mark.parametrize("size", [3, 4])
def test_grams(length: int, size: int) -> None:
    text = "".join(chr(0x3041 + at % 80) for at in range(length))
    assert list(ngram.grams(text, size)) == [
        text[at : at + size] for at in range(max(1, length - size + 1))
    ]


@pytest.mark.parametrize("text", ["a(b", "犬がいる", "この記事は", "犬", ""])
def test_any_of_finds_every_word(text: str) -> None:
    words = ("この記事", "a(b", ".")
    assert bool(clean.any_of(words).search(text)) == any(word in text for word in words)
    assert not clean.any_of(()).search(text)
