"""Small Japanese datasets, and faults planted in them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from japagen.config.task import Task
from japagen.gold.example import Example

TASK = Task(name="meals", inputs=["text"], labels=["good", "bad"])
PAIRS = Task(name="pairs", inputs=["first", "second"], labels=["same", "other"])
PLACES = ("駅前", "港町", "山奥", "市場", "大学", "会社", "公園", "劇場", "空港", "病院", "海岸")
MEALS = ("うどん", "焼き魚", "カレー", "天ぷら", "親子丼", "餃子", "煮物", "刺身", "寿司", "パン")
WHEN = ("昨日", "今朝", "先週", "夕方", "休日", "雨の日", "真夏", "年末", "春先", "深夜", "正午")
WHO = ("友人と", "家族と", "一人で", "同僚と", "先輩と", "母と", "弟と", "隣人と", "娘と")
PRAISE = (
    *("とてもおいしかった", "香りがよくて満足した", "値段も手ごろで得をした", "笑顔になれた"),
    *("また食べたいと思った", "心から温まった", "量も十分で助かった", "店員が親切だった"),
)
BLAME = (
    *("ひどくまずかった", "味が薄くて残念だった", "高すぎて損をした", "店員が無愛想だった"),
    *("二度と行かないと決めた", "冷めていて悲しかった", "量も少なくて困った", "腹を立てた"),
)
ENGLISH = "the soup was cold and the waiter forgot our second order again"


def varied(number: int, seed: int) -> list[Example]:
    """Rows of characters drawn at random: nothing in common."""
    draw = random.Random(seed)
    texts = ["".join(chr(draw.randrange(0x4E00, 0x9000)) for _ in range(30)) for _ in range(number)]
    return [Example(f"good-{n:06d}", (text,), "good") for n, text in enumerate(texts)]


def alike(number: int) -> list[Example]:
    """Rows that differ in a number."""
    texts = [f"駅前の店でうどんを{n}杯食べたが、おいしかった。" for n in range(number)]
    return [Example(f"good-{n:06d}", (text,), "good") for n, text in enumerate(texts)]


def meals(number: int, seed: int) -> list[Example]:
    """Rows about meals, half of them good; the same seed gives the same rows."""
    draw, rows = random.Random(seed), list[Example]()
    for place in range(number):
        label = TASK.labels[place % 2]
        end = draw.choice(PRAISE if label == "good" else BLAME)
        parts = [f"{draw.choice(WHEN)}、", draw.choice(WHO), f"{draw.choice(PLACES)}の店で"]
        draw.shuffle(parts)
        text = f"{''.join(parts)}{draw.choice(MEALS)}を食べたが、{end}。"
        rows.append(Example(f"{label}-{place:06d}", (text,), label))
    return rows


def flipped(rows: Sequence[Example], share: float, task: Task) -> tuple[list[Example], set[int]]:
    """The rows with another label in a share of them, and the places of these."""
    draw = random.Random(1)
    places = set(draw.sample(range(len(rows)), int(share * len(rows))))
    others = {label: [one for one in task.labels if one != label] for label in task.labels}
    found = [
        replace(row, label=draw.choice(others[row.label])) if place in places else row
        for place, row in enumerate(rows)
    ]
    return found, places


def copied(rows: Sequence[Example], share: float) -> list[Example]:
    """The rows, with a share of them replaced by near copies of the others."""
    number = int(share * len(rows))
    kept = list(rows[number:])
    return [
        *kept,
        *(
            replace(row, id=f"copy-{place}", texts=tuple(f"{text}！" for text in row.texts))
            for place, row in enumerate(kept[:number])
        ),
    ]


def english(rows: Sequence[Example], label: str) -> list[Example]:
    """The rows with English texts in one label."""
    draw = random.Random(2)
    return [
        replace(row, texts=tuple(" ".join(draw.sample(ENGLISH.split(), 8)) for _ in row.texts))
        if row.label == label
        else row
        for row in rows
    ]


def with_word(rows: Sequence[Example], label: str, word: str) -> list[Example]:
    """The rows with a word before each text of one label."""
    return [
        replace(row, texts=(*row.texts[:-1], word + row.texts[-1])) if row.label == label else row
        for row in rows
    ]


def pairs(number: int, seed: int) -> list[Example]:
    """Pairs whose second text repeats the first, or is about something else."""
    rows, found = meals(2 * number, seed), list[Example]()
    for place in range(number):
        label = PAIRS.labels[place // 2 % 2]
        first, second = rows[place].texts[0], rows[number + place].texts[0]
        texts = (first, first if label == "same" else second)
        found.append(Example(f"{label}-{place:06d}", texts, label))
    return found
