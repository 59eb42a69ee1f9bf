"""The report as Markdown."""

from __future__ import annotations

from japagen.report import markdown, summary


def test_markdown_says_the_same(full: summary.Summary) -> None:
    text = markdown.report(
        full, "", [("scores-1-jnli.svg", "score"), ("scaling-1-jnli.svg", "curve")]
    )
    assert (
        "| method | jcola (mcc) | jnli (accuracy) | jsts (spearman) | 天気 \\<b\\> (accuracy) |"
        in text
    )
    assert "![curve](scaling-1-jnli.svg)" in text.split("## Scaling")[1]
    assert "## Scores\n\n![score](scores-1-jnli.svg)\n\n| method" in text
    assert text.count("([run](http://127.0.0.1:5000/#/experiments/") == len(full.runs)
    for _, cell in full.columns[1].cells.items():
        assert f"{cell.mean:.3f}" in text
