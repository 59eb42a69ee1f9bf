"""Clean a reply into the text of an example, or give the reason to reject it; pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from japagen.config.task import Clean
from japagen.llm.finish import rejection
from japagen.synthesis.sentences import completed, first_sentences, is_open
from japagen.text import normal
from japagen.text.japanese import KANJI, has_simplified
from japagen.text.ngram import grams
from japagen.text.visible import without_lone_marks

REASONS = {
    **normal.REASONS,
    "empty": "nothing was left after trimming",
    "truncated": "cut off at the token limit",
    "refused": "a content filter of the LLM's server refused the prompt or stopped the reply",
    "unfinished": "the LLM did not say that the reply is complete (finish reason)",
    "chatter": "the assistant talks to the user instead of writing the text",
    "leak": "words of the prompt or of task.clean.forbidden are in the text",
    "repetition": "the same words are repeated several times",
    "too_short": "fewer characters than task.clean.min_chars",
    "too_long": "more characters than task.clean.max_chars",
    "not_japanese": "too few Japanese characters, or characters of another language",
    "same": "sentence 2 is a verbatim copy of sentence 1",
    "copied": "verbatim copy of a few-shot example",
    "duplicate": "the same example was accepted before",
    "near_duplicate": "nearly the same example was accepted before (task.clean.near_duplicate)",
    "not_json": "prompt.joint: not the JSON object that was asked for",
    "disagreed": "filter=verified: the LLM, asked again, or filter.student gave another label",
    "no_verdict": "filter=verified: asked again, the LLM gave no label",
    "unselected": "select=...: accepted, and left out of the dataset",
}

# With these an assistant answers the user or talks about the text.
CHATTER = re.compile(
    r"^(はい、|もちろん、|承知|かしこまり|了解(し|です)|申し訳|すみませんが|以下(の|に|は)"
    r"|次の(よう|文)|たとえば、)|^(Sure|Certainly|Here|I |I'm|As an)|言語モデル|AIアシスタント"
    r"|お手伝い(でき|いたし|させ|しま|はあり|が必要)|この文(は|章|の形)|元の文|という文"
)
HEAD = re.compile(
    r"^((写真の)?説明文?|文|例文?|回答|答え|出力|写真|レビュー|感想|ツイート|投稿|本文|見出し"
    r"|タイトル|題名|記事|商品(の名前|名)?|形(の例)?)\s*[0-9０-９]*\s*[:：]\s*"
)
# 1.5倍 and ２、３人 begin with no bullet, #東京 is a hashtag.
BULLET = re.compile(
    r"^(?:[-*+>]\s+|#{1,6}\s+|[・●■]\s*|[(（][0-9０-９]{1,2}[)）]\s*"
    r"|[0-9０-９]{1,2}[.)．）](?![0-9０-９])\s*)"
)
QUOTES = {"「": "」", "『": "』", '"': '"', "“": "”", "'": "'", "`": "`", "【": "】"}
CLOSING = frozenset(QUOTES.values())
JAPANESE = re.compile(rf"[ぁ-ゖァ-ヺー{KANJI}、。「」『』・！？（）〜…ｦ-ﾟ０-９Ａ-Ｚａ-ｚ：]+")
KANA = re.compile(r"[ぁ-ゖァ-ヺ]+")
# Chinese words whose characters Japanese character sets have, too: eyes, picnic, clothes, pond;
# pronouns, particles and 說 (say); cloud and leaf as nouns.
CHINESE = re.compile(r"眼睛|野餐|衣着|水塘|[你您她妳嗎呢說]|[云叶](?=[がをにはのとも、。])")
# Korean syllables, and words of other scripts; kaomoji have single letters of these: Дฅ.
FOREIGN = re.compile(r"[\uac00-\ud7a3]|[\u0400-\u10ff]{3}")
# A chunk of three or more characters three times in a row, one of two four times, one character
# six times; not 1000000 or ……
LONGEST = 40
LOOP = re.compile(rf"([^\s\d]{{3,{LONGEST}}}?)\1{{2}}")
SHORT_LOOP = re.compile(r"([^\W\d]{2})\1{3}|([^\W\d])\2{5}")
BRACKETS = re.compile(r"[（）()【】]")
# What follows is a form to fill in, with blanks such as （場所）.
FORM = "形："
BLANK = re.compile(r"（[^（）]{2,}）")
SAME = re.compile(r"[\s、。，．,.!?！？「」『』]")
ENDING = re.compile(r"(?:ます|る)$")
ECHO = 12  # characters of an instruction in a row that are no coincidence
GRAM = 4
VARIED = 0.6  # more than this share of the 4-grams of a text without loops are different


@dataclass(frozen=True)
class Cleaned:
    """The text, and the reason to reject it: a key of REASONS, or "" for an accepted text."""

    text: str
    reason: str


def clean(
    reply: str, finish: str, rules: Clean, asked: str = "", earlier: Sequence[str] = ()
) -> Cleaned:
    """Normalise and trim a reply and judge it by `rules`.

    `asked` is the instruction it answers, `earlier` are the system message and the instructions of
    the turns before.
    """
    stopped = rejection(finish)
    if stopped not in ("", "truncated"):
        return Cleaned("", stopped)
    answer, damage = normal.normalise(reply)
    if damage:
        return Cleaned("", damage)
    text, cut = trim(answer, rules.lines)
    if rules.sentences is not None:
        text = text if stopped else completed(text, rules.sentences)
        text, more = first_sentences(text, rules.sentences)
        cut = cut or more
    # A stop string inside a quotation leaves half of it.
    truncated = (stopped == "truncated" and not cut) or bool(rules.sentences and is_open(text))
    if truncated and rules.lines > 1:
        # The beginning of a longer text is worth keeping up to its last whole sentence.
        text = text[: last_end(text)]
        truncated = not text
    why = next(reasons(text, truncated, rules, [asked, *earlier]), "")
    return Cleaned(fill(text) if blanks(asked) else text, why)


def reasons(text: str, truncated: bool, rules: Clean, asked: Sequence[str]) -> Iterator[str]:
    """The reasons to reject `text`. Lazy: later checks run only if the first reason is wanted."""
    if truncated:
        yield "truncated"
    if not text:
        yield "empty"
    if CHATTER.search(text):
        yield "chatter"
    words = any_of(tuple(rules.forbidden))
    if any(leaks(text, instruction, words) for instruction in asked):
        yield "leak"
    if repeats(text):
        yield "repetition"
    if len(text) > rules.max_chars:
        yield "too_long"
    if not is_japanese(text, rules.min_japanese):
        yield "not_japanese"
    if len(text) < rules.min_chars:
        yield "too_short"


def trim(reply: str, lines: int) -> tuple[str, bool]:
    """(the first `lines` lines without bullets, headings and quotes, whether there were more)."""
    unwrapped = [unwrap(line) for line in reply.strip().split("\n")]
    texts = [line for line in unwrapped if line and not line.startswith("```")]
    return "\n".join(texts[:lines]), len(texts) > lines


def unwrap(line: str) -> str:
    """`line` without bold marks, bullets, a heading such as 例文： and quotes around all of it."""
    before, line = "", line.replace("**", "").strip()
    while line != before:
        before = line
        line = unquote(HEAD.sub("", BULLET.sub("", line)).strip())
        line = without_lone_marks(line)  # of a bullet or quote that is gone
    return line


def unquote(line: str) -> str:
    """`line` without quotes around all of it, and without one that lacks its other half."""
    if line[:1] not in QUOTES and line[-1:] not in CLOSING:
        return line
    for left, right in QUOTES.items():
        inner = line.removeprefix(left).removesuffix(right)
        if len(inner) < len(line) and left not in inner and right not in inner:
            return inner.strip()
    return line


def last_end(text: str) -> int:
    """The length of `text` up to its last whole sentence."""
    return max(text.rfind(mark) for mark in "。！？") + 1


@functools.lru_cache(maxsize=1024)
def blanks(asked: str) -> tuple[str, ...]:
    """The blanks of the form in an instruction; none where it has no form."""
    return tuple(BLANK.findall(asked.partition(FORM)[2]))


def fill(text: str) -> str:
    """A filled-in form without its brackets: （公園）で（犬）が to 公園で犬が."""
    return BRACKETS.sub("", text)


@functools.cache
def any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern that matches any of `words`; without words it matches nothing."""
    return re.compile("|".join(map(re.escape, words)) or r"(?!)")


def leaks(text: str, asked: str, words: re.Pattern[str]) -> bool:
    """Whether `text` has one of `words`, a blank （場所） or ECHO characters of `asked`."""
    if words.search(text) or any(blank in text for blank in blanks(asked)):
        return True
    # ECHO characters in a row contain a whole block of half as many, wherever they begin.
    for i in range(0, len(text) - ECHO // 2 + 1, ECHO // 2):
        if text[i : i + ECHO // 2] in asked:
            break
    else:
        return False
    return any(text[i : i + ECHO] in asked for i in range(len(text) - ECHO + 1))


def repeats(text: str) -> bool:
    """Whether a chunk is repeated at once (大きな大きな大きな), or few 4-grams are different."""
    pieces = grams(text, GRAM)
    last = dict(zip(pieces, range(len(pieces)), strict=True))
    # The patterns are slow, and few texts need them.
    if (
        len(last) < len(pieces)
        and may_loop(text, pieces, last)
        and (SHORT_LOOP.search(text) or LOOP.search(text))
    ):
        return True
    return len(text) > 5 * GRAM and len(last) < VARIED * len(pieces)


def may_loop(text: str, pieces: Sequence[str], last: Mapping[str, int]) -> bool:
    """False only if neither LOOP nor SHORT_LOOP is in `text`.

    `pieces` are its 4-grams, `last` has the last place of each.

    In a loop of chunks of n characters, at least two 4-grams in a row occur again n places later,
    and one of the two is at an even place.
    """
    for at, place in zip(range(0, len(pieces), 2), map(last.__getitem__, pieces[::2]), strict=True):
        again = at
        while (
            again < place and (again := text.find(pieces[at], again + 1, at + LONGEST + GRAM)) >= 0
        ):
            chunk = text[at:again]
            # In a loop of n characters, the n before or the n after each place are repeated.
            if len(chunk) < 3 or text.startswith(chunk, again) or text.endswith(chunk, 0, at):
                return True
    return False


def is_japanese(text: str, share: float) -> bool:
    """Enough Japanese characters, some kana (Chinese has none), no word of another language.

    `share`: the least share of Japanese characters among those that are not white space.
    """
    visible = len("".join(text.split()))
    if not visible or sum(map(len, JAPANESE.findall(text))) < share * visible:
        return False
    if sum(map(len, KANA.findall(text))) < 0.1 * visible:
        return False
    if CHINESE.search(text) or FOREIGN.search(text):
        return False
    return not has_simplified(text)


def same(first: str, second: str) -> bool:
    """Whether two texts are equal but for punctuation, spaces and the last verb's politeness."""
    return bare(first) == bare(second)


def bare(text: str) -> str:
    """`text` without punctuation, spaces and its ending ます or る."""
    return ENDING.sub("", SAME.sub("", text))
