"""A saved student's tokenizer without transformers, whose import takes most of a start.

`exports.write` compares it with transformers' own and notes in japagen.json whether it may be used.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from japagen.student.predictor import Predictor

log = logging.getLogger(__name__)

FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"


class PlainTokenizer:
    """tokenizer.json, opened with the library `tokenizers` alone.

    It is called as transformers' tokenizers are, as far as `predictor.tokens` does.
    """

    pad_token_type_id = 0

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer: Any = Tokenizer.from_file(str(folder / FILE))
        self.tokenizer.no_padding()
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        pad = settings.get("pad_token") or ""
        pad = pad.get("content", "") if isinstance(pad, dict) else pad
        self.pad_token_id = self.tokenizer.token_to_id(pad) or 0
        self.length = 0
        self.side = settings.get("truncation_side") or "right"

    def __call__(
        self,
        first: Sequence[str],
        second: Sequence[str] | None = None,
        *,
        max_length: int,
        **_: object,
    ) -> dict[str, list[list[int]]]:
        """Return the model's inputs by name, not padded: a list of numbers for each example."""
        if self.length != max_length:
            self.tokenizer.enable_truncation(max_length, direction=self.side)
            self.length = max_length
        given = list(first) if second is None else list(zip(first, second, strict=True))
        found = self.tokenizer.encode_batch(given)
        return {
            "input_ids": [one.ids for one in found],
            "token_type_ids": [one.type_ids for one in found],
            "attention_mask": [one.attention_mask for one in found],
        }


def equal(student: Predictor, examples: Sequence[Sequence[str]]) -> bool:
    """Return whether a PlainTokenizer reads `examples` exactly as transformers' tokenizer does.

    One more is so long that it is cut on both sides of a pair.
    """
    from japagen.student.predictor import tokens

    texts = [*examples, *([["".join(part) for part in zip(*examples, strict=True)]])]
    long = [text * (1 + 4 * student.max_length // max(1, len(text))) for text in texts[-1]]
    given = [*texts, long]
    try:
        plain = tokens(PlainTokenizer(student.folder), given, student.prefix, student.max_length)
    except Exception:  # `tokenizers` raises a bare Exception for a file that it cannot open
        log.info("exports of %s start with transformers' tokenizer", student.folder, exc_info=True)
        return False
    theirs = tokens(student.tokenizer, given, student.prefix, student.max_length)
    return all([list(ids) for ids in theirs[name]] == plain.get(name) for name in theirs)
