"""Vectors of texts from the embedded encoder, without any training."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from japagen.embedded import assemble
from japagen.embedded.e5 import no_progress

if TYPE_CHECKING:
    import numpy as np

ENCODER = "e5_small_ja"
# E5 was trained with prefixes; this is the one for comparing texts with each other.
PREFIX = "query: "
LONGEST = 128  # tokens of a text; the rest is cut off
BATCH = 32


def of(rows: Sequence[Sequence[str]]) -> np.ndarray:
    """Return (rows, texts of a row, 384): vectors of length 1, the mean of all last states.

    Source: Wang et al. 2024, "Multilingual E5 Text Embeddings".
    """
    import numpy as np

    texts = list(dict.fromkeys(text for row in rows for text in row))
    place = {text: number for number, text in enumerate(texts)}
    vectors = encoded(texts)
    return np.stack([vectors[[place[text] for text in row]] for row in rows])


def whole(vectors: np.ndarray) -> np.ndarray:
    """Return (rows, width) of length 1: the vectors of a row's texts side by side."""
    import numpy as np

    found: np.ndarray = vectors.reshape(len(vectors), -1) / np.sqrt(vectors.shape[1])
    return found


def cosines(texts: Sequence[str], others: Sequence[str]) -> list[list[float]]:
    """Return (texts, others): the cosine of each text to each other text."""
    own, theirs = (whole(of([(text,) for text in group])) for group in (texts, others))
    found: list[list[float]] = (own @ theirs.T).tolist()
    return found


def features(vectors: np.ndarray) -> np.ndarray:
    """Return (rows, features) for a classifier; for pairs with the differences and products.

    Source: Conneau et al. 2017, "Supervised Learning of Universal Sentence Representations".
    """
    import numpy as np

    parts = [vectors[:, place] for place in range(vectors.shape[1])]
    if len(parts) > 1:
        parts += [np.abs(parts[0] - parts[-1]), parts[0] * parts[-1]]
    return np.concatenate(parts, axis=1)


@functools.lru_cache(maxsize=1)
def encoder(folder: str) -> tuple[Any, Any]:
    """Return the tokenizer and the model in a folder."""
    from transformers import AutoModel, AutoTokenizer

    opened: Any = AutoTokenizer
    tokenizer = opened.from_pretrained(folder, local_files_only=True)
    with no_progress():
        model: Any = AutoModel.from_pretrained(
            folder, local_files_only=True, add_pooling_layer=False
        )
    return tokenizer, model.eval()


def encoded(texts: Sequence[str]) -> np.ndarray:
    """Return (texts, 384); texts of similar length share a batch."""
    import numpy as np
    import torch

    tokenizer, model = encoder(str(assemble.student(ENCODER)))
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    found = np.empty((len(texts), model.config.hidden_size), np.float32)
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        inputs = tokenizer(
            [PREFIX + texts[place] for place in places],
            padding=True,
            truncation=True,
            max_length=LONGEST,
            return_tensors="pt",
        )
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        mean = (states * mask).sum(1) / mask.sum(1)
        found[places] = torch.nn.functional.normalize(mean, dim=-1).numpy()
    return found
