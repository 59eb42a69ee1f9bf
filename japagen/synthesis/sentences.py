"""Japanese sentences: the first of a text, and the stop strings that end a reply after them."""

from __future__ import annotations

END = "。！？!?．｡"
OPEN, CLOSE = "「『（(【［[〈《“", "」』）)】］]〉》”"
STOP = "。"  # of a request for one sentence; engines leave a stop string out of the reply


def first_sentences(text: str, number: int) -> tuple[str, bool]:
    """Return (the first `number` sentences of a text, whether something was cut off).

    A sentence ends with 。, ！ or ？ outside quotes and brackets, together with further marks and
    closing quotes. A line that ends without such a mark is a headline, not a sentence.
    """
    depth, found, place = 0, 0, 0
    while place < len(text):
        character = text[place]
        depth += character in OPEN
        depth = max(0, depth - (character in CLOSE))
        place += 1
        if depth or character not in END:
            continue
        while place < len(text) and text[place] in END + CLOSE:
            place += 1
        found += bool(text[:place].strip())
        if found == number:
            kept = text[:place].rstrip()
            return kept, bool(text[place:].strip())
    return text, False


def stops(sentences: int | None) -> tuple[str, ...]:
    """Return the stop strings of a request for `sentences` sentences; None for any number."""
    return (STOP,) if sentences == 1 else ()


def is_open(text: str) -> bool:
    """Whether a quote or bracket of `text` is not closed, because a stop string ended the text."""
    depth = 0
    for character in text:
        depth += (character in OPEN) - (character in CLOSE)
    return depth > 0


def completed(text: str, sentences: int | None) -> str:
    """Return a complete reply with the 。 that its stop string took away.

    A reply that is one quotation has lost its closing quote as well: the opening one goes, too.
    """
    bare = text.rstrip()
    if bare and bare[0] in OPEN and is_open(bare) and not is_open(bare[1:]):
        bare = bare[1:]
    if not stops(sentences) or not bare or is_open(bare) or bare[-1] in END + CLOSE:
        return text
    return bare + STOP
