"""The page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from japagen.report import page, summary
from tests.report.stores import Store, reported


class Page(HTMLParser):
    """Tags that are open, ids, links, and the text of a page."""

    VOID = ("meta", "link", "path", "rect", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID or tag == "path":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_is_whole_escaped_and_needs_no_network(full: summary.Summary) -> None:
    text = page.html(full, "sqlite:///mlflow.db")
    found = Page(text)
    assert not found.open
    assert "<script" not in text.lower()
    assert "ValueError: <script>alert(1)</script>" in found.words
    outside = [
        value
        for _, given in found.seen
        for key, value in given.items()
        if key in ("src", "href") and str(value).startswith("http")
    ]
    assert len(outside) == len(full.runs) + len(full.failed)
    assert all(
        re.fullmatch(r"http://127\.0\.0\.1:5000/#/experiments/\d+/runs/run\d+", str(link))
        for link in outside
    )
    assert '<span lang="ja">天気 &lt;b&gt;</span>' in text
    ids = [given["id"] for _, given in found.seen if "id" in given]
    assert len(ids) == len(set(ids))
    assert {
        str(given["href"])[1:]
        for tag, given in found.seen
        if tag == "a" and str(given["href"]).startswith("#")
    } <= set(ids)
    drawings = [given for tag, given in found.seen if tag == "svg"]
    assert len(drawings) == len(full.headlines) + len(full.scaling) + len(full.quality) == 20
    assert text.index("accuracy of each method") < text.index("<table")
    assert all(given["role"] == "img" and given["aria-label"] for given in drawings)
    assert "2026-09-21" in found.words
    assert "url(" not in text


def test_links_lead_to_the_server_where_there_is_one(full: summary.Summary) -> None:
    text = page.html(full, "http://me:hush@tracking:8080/")
    assert "http://me:***@tracking:8080/#/experiments/" in text
    assert "hush" not in text


@pytest.mark.parametrize(
    "text",
    [
        '"><script>alert(1)</script>',
        "{{ 7 * 7 }}",
        "</style></svg><b>",
        "' onload='x",
        "\x00\x1b[1m",
    ],
)
def test_text_from_outside_is_text_everywhere(text: str) -> None:
    store = Store()
    for size in (5, 50):
        store.train(
            text, text, 0, size / 100, llm=text, student=text, params={"num_per_label": size}
        )
    tags = {"stage": "evaluate", "subject": "prompting", "method": text, "llm": f"other {text}"}
    store.add(text, tags, {"score": 0.5, "cost/seconds_per_1000": 4.0}, {"task.metric": text})
    store.add(text, {"stage": "train", "error": text}, status="FAILED")
    shown = page.html(reported(store), "http://host")
    found = Page(shown)
    assert not found.open
    assert {tag for tag, _ in found.seen} & {"script", "b", "img"} == set()
    assert not [key for _, given in found.seen for key in given if key.startswith("on")]
    assert "\x00" not in shown
    assert "\x1b" not in shown
    assert "49" not in "".join(found.words.split("Runs")[0])
    if text.isprintable():
        assert text in found.words


def test_an_old_error_is_shown_without_its_secrets() -> None:
    store = Store()
    store.train("jnli", "zero-shot", 0, 0.5)
    store.add("jnli", {"stage": "train", "error": "\npassword=hush"}, status="FAILED")
    store.add("jnli", {"stage": "train", "error": " \n"}, status="FAILED")
    shown = page.html(reported(store), "")
    assert "hush" not in shown
    assert "no error recorded" in shown
