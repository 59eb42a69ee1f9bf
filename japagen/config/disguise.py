"""Known secrets in a text: whole in many spellings, and parts of them however they are disguised.

To find parts, only letters and digits of the text are compared, without case and with escapes such
as %41 or \\u0041 decoded. Spaces, line breaks and invisible characters inside a key change nothing.
"""

from __future__ import annotations

import base64
import html
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

PART = 8  # characters of a secret, one after the other, that are hidden without the rest
# Every part has PROBE characters that begin at a multiple of STEP: so few places are looked up.
STEP, PROBE = 4, 5
LONGEST = 4096  # characters of a secret whose parts are known
DIGITS = 10  # digits alone from which on they are hidden as a part
ORDINARY = 15  # letters of a secret that is made of words, up to which a part is ordinary text

# Letters and digits, without the four letters that are invisible, and escapes of one character.
RUN = r"[^\W_\u115f\u1160\u3164\uffa0]+"
TOKEN = re.compile(
    rf"{RUN}|%(?:25)*[0-9A-Fa-f]{{2}}"
    r"|(?<!\\)\\+(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[abfnrtv0])"
    r"|&(?:amp;)*(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
)
FULL_WIDTH = {code + 0xFEE0: code for code in range(0x21, 0x7F)}
ONLY_WORDS = re.compile(r"[\W_]*(?:(?:[A-Z]?[a-z]{1,14}|[A-Z]{1,14})(?:[\W_]+|$))+")
WORDS = re.compile(r"(?:\b(?:[A-Z]?[a-z]{1,14}|[A-Z]{1,14})\b[\W_]*)+")


class Finder:
    """Replaces secrets in texts, and parts of those that are not made of words alone."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.known = known = tuple(secrets)
        words = {one for one in known if ONLY_WORDS.fullmatch(one)}
        self.exact = alternatives(known)
        # Every spelling of the others has a part in it, and looking for parts is faster.
        self.unusual = alternatives(
            one
            for one in known
            if one in words or len(letters(one)) < 2 * PART or not one.isascii()
        )
        self.parts: set[str] = set()
        self.ordinary: set[str] = set()
        for one in set(known) - words:
            self.parts.update(parts(one[:LONGEST]))
            self.ordinary.update(ordinary(one[:LONGEST]))
        self.ordinary -= {letters(one) for one in known}
        self.probes = {part[at : at + PROBE] for part in self.parts for at in range(STEP)}

    def hide(self, text: str) -> str:
        """`text` with *** for every secret and every part of one."""
        if not any(True for _ in self.runs(letters(text))):
            return self.unusual.sub("***", text)
        text = self.exact.sub("***", text)
        plain = letters(text)
        places, shown, end = Places(text), list[str](), 0
        for first, last in self.runs(plain):
            start, stop = places.start(first), places.stop(last - 1)
            run = plain[first:last]
            number = run.isdigit() and (len(run) < DIGITS or stop - start != len(run))
            if number or run in self.ordinary:  # 0.12345678, or the numbers of a table
                continue
            shown += [text[end:start], "***"]
            end = stop
        return "".join([*shown, text[end:]])

    def runs(self, plain: str) -> Iterator[tuple[int, int]]:
        """(first, last + 1) of the places in `plain` that are parts of secrets."""
        probes, wanted = self.probes, self.parts
        places = range(0, len(plain) - PROBE + 1, STEP)
        first = last = -1
        for place in [place for place in places if plain[place : place + PROBE] in probes]:
            for begin in range(max(0, place - STEP + 1), place + 1):
                if plain[begin : begin + PART] in wanted:
                    if begin > last:
                        if last > 0:
                            yield first, last
                        first = begin
                    last = begin + PART
        if last > 0:
            yield first, last


def alternatives(secrets: Iterable[str]) -> re.Pattern[str]:
    """What finds every spelling of these secrets."""
    groups: dict[str, list[str]] = {}  # by first character, so that few are tried at each place
    for form in sorted({form for one in secrets for form in spellings(one)}, key=len, reverse=True):
        first = form[: 2 if form[0] == "\\" else 1]
        groups.setdefault(first, []).append(form[len(first) :])
    return re.compile(
        "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in groups.items()) or "(?!)"
    )


class Places:
    """Where the characters of `letters(text)` stand in `text`."""

    def __init__(self, text: str) -> None:
        self.offsets, self.spans, length = list[int](), list[tuple[int, int, bool]](), 0
        for token in TOKEN.finditer(text):
            word = token[0][0].isalnum()
            if word or decoded(token[0]):
                self.offsets.append(length)
                self.spans.append((*token.span(), word))
                length += len(token[0]) if word else 1

    def start(self, place: int) -> int:
        """Where a character begins."""
        at = bisect_right(self.offsets, place) - 1
        start, _, word = self.spans[at]
        return start + place - self.offsets[at] if word else start

    def stop(self, place: int) -> int:
        """Where a character ends."""
        at = bisect_right(self.offsets, place) - 1
        _, stop, word = self.spans[at]
        return self.start(place) + 1 if word else stop


def letters(text: str) -> str:
    """The letters and digits of `text` in lower case, with escapes decoded."""
    found = TOKEN.findall(text)
    if "%" in text or "\\" in text or "&" in text:
        found = [token if token[0].isalnum() else decoded(token) for token in found]
    plain = "".join(found)
    if not plain.isascii() and re.search("[０-ｚ]", plain):
        plain = plain.translate(FULL_WIDTH)
    lower = plain.lower()
    if len(lower) == len(plain):
        return lower
    # A few letters become two.
    return "".join(one if len(one.lower()) > 1 else one.lower() for one in plain)


@lru_cache(maxsize=1024)
def decoded(escape: str) -> str:
    """The letter or digit that an escape stands for; "" if it stands for another character."""
    if escape[0] == "%":
        code = int(escape[-2:], 16)
        found = chr(code) if code < 128 else ""
    elif escape[0] == "&":
        found = html.unescape(f"&{escape[1:-1].rpartition(';')[2]};")
    else:
        body = escape.lstrip("\\")
        found = chr(int(body[1:], 16)) if len(body) > 1 else ""
    return found if len(found) == 1 and found.isalnum() else ""


def parts(secret: str) -> Iterator[str]:
    """Every PART characters of `secret`, also reversed, in hex, base64 and base32."""
    plain = letters(secret)
    raw = secret.encode("utf-8", "surrogatepass")
    yield from pieces(plain)
    # Not of letters alone, which may be a word.
    yield from (piece for piece in pieces(plain[::-1]) if not piece.isalpha())
    for coded in (raw.hex(), *in_base64(raw), *in_base32(raw)):
        # Not of digits alone: 31 32 33 34 may be a table, and is also 1234 in hex.
        found = pieces(letters(coded))
        yield from (piece for piece in found if sum(map(str.isalpha, piece)) > 1)


def pieces(text: str) -> Iterator[str]:
    """Every PART characters of `text` that follow each other."""
    return (text[at : at + PART] for at in range(len(text) - PART + 1))


def ordinary(secret: str) -> Iterator[str]:
    """Parts of a secret that are words or a date, such as `development` in `my-development-key`."""
    for found in WORDS.findall(secret):
        words = letters(found)
        for length in range(PART, ORDINARY + 1):
            yield from (words[at : at + length] for at in range(len(words) - length + 1))
    yield from re.findall(r"(?<![^\W_])(?:19|20)\d{6}(?![^\W_])", secret)


def in_base64(raw: bytes) -> Iterator[str]:
    """`raw` in base64 after 0, 1 or 2 other bytes, on which its characters depend.

    Characters that also encode a neighbour are left out.
    """
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        yield coded[(0, 2, 3)[before] : -1]


def in_base32(raw: bytes) -> Iterator[str]:
    """`raw` in base32 after 0 to 4 other bytes; see in_base64."""
    for before in range(5):
        coded = base64.b32encode(b"\0" * before + raw).decode().rstrip("=")
        yield coded[-(-before * 8 // 5) : -1]


def spellings(secret: str) -> Iterator[str]:
    """Patterns of the ways in which the whole `secret` may be written in a text."""
    written = {
        secret,
        secret[::-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }
    yield from map(re.escape, written)
    raw = secret.encode("utf-8", "surrogatepass")
    if len(raw) >= PART:
        yield from (raw.hex(), raw.hex().upper())
    for core in in_base64(raw):
        # The rest of the run is hidden with the secret.
        if len(core) >= PART:
            for form in {core, core.replace("+", "-").replace("/", "_")}:
                yield rf"{re.escape(form)}[A-Za-z0-9+/_-]*=*"
