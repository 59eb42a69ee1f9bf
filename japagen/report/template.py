"""The templates of the report, rendered with everything from outside escaped."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.report import format
from japagen.tracking import printable

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).parent
LONGEST = 22  # characters of a name that stays on one line
JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def render(name: str, folder: Path = HERE, **values: Any) -> str:
    """The template `name` with `values`; it may include templates of `folder` and of the report."""
    return environment(folder).get_template(name).render(**values)


@functools.lru_cache(maxsize=2)
def environment(folder: Path) -> Environment:
    """Jinja with the report's filters; a name that a template does not get is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalized,
    )
    made.filters["words"] = words
    for function in (format.score, format.spread, format.amount, format.date, format.p_value):
        made.filters[function.__name__] = function
    return made


def finalized(value: object) -> object:
    """Every printed value: text without control characters."""
    from markupsafe import Markup

    return printable(value) if type(value) is str and not isinstance(value, Markup) else value


def whole(word: str) -> Markup:
    """A word that does not break at its hyphens; a long one breaks at underscores, if it must."""
    from markupsafe import Markup, escape

    if len(word) <= LONGEST:
        return Markup('<span class="whole">{}</span>').format(word) if "-" in word else escape(word)
    return escape(word).replace("_", Markup("_<wbr>"))


def words(value: object) -> Markup:
    """Escaped text, marked as Japanese if it has kana or kanji."""
    from markupsafe import Markup

    # A line begins with the dot rather than ends with it.
    text = printable(str(value)).replace("· ", "·\N{NO-BREAK SPACE}")
    shown = Markup(" ").join(whole(word) for word in text.split(" "))
    return Markup('<span lang="ja">{}</span>').format(shown) if JAPANESE.search(shown) else shown
