"""Gold files that a two-layer model learns in seconds, and the student trained on them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FAST = ["student=tiny", "trainer=cpu", "trainer.max_epochs=4", "trainer.min_steps=100"]


def sentences(number: int, seed: int) -> list[tuple[str, int]]:
    """(sentence, label) pairs: label 1 if the sentence contains 犬, 0 if it contains 猫."""
    draw = random.Random(seed)
    words = ["赤い", "小さな", "公園の", "うちの", "かわいい", "遠くの"]
    return [
        (f"{draw.choice(words)}{draw.choice(words)}{'猫犬'[n % 2]}がいる。", n % 2)
        for n in range(number)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_toys(folder: Path) -> Path:
    """Write the files of JCoLA and JSTS into `folder` and return it."""
    for part, number, seed in (("train", 160, 0), ("valid", 40, 1)):
        toys = sentences(number, seed)
        jcola = [
            {"uid": n, "sentence": text, "label": label} for n, (text, label) in enumerate(toys)
        ]
        jsts = [
            {"sentence_pair_id": n, "sentence1": t, "sentence2": "犬。", "label": 1.0 + 3 * y}
            for n, (t, y) in enumerate(toys)
        ]
        write_rows(folder / f"jcola-v1.0/in_domain_{part}-v1.0.json", jcola)
        write_rows(folder / f"jsts-v1.3/{part}-v1.3.json", jsts)
    return folder


def saved() -> Path:
    """The only folder in students/. Fails if temporary folders are left beside it."""
    (folder,) = Path("students").iterdir()
    return folder
