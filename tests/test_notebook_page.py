"""docs/notebook.ipynb runs, here with the fake LLM and a random student."""

from __future__ import annotations

from pathlib import Path

import pytest

from japagen.config.schema import CONF

nbformat = pytest.importorskip("nbformat", reason="pip install -e '.[dev]'")
nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[dev]'")

PAGE = CONF.parent / "docs" / "notebook.ipynb"
REPLACED = {
    '"llm": "qwen2_5_coder_1_5b"': '"llm": "fake"',
    '"filter": "verified"': '"filter": "none"',
    'student="e5_small_ja"': 'student="tiny", trainer="cpu"',
}


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(CONF.parent))
    monkeypatch.setenv("JAPAGEN_CACHE", str(tmp_path / "cache"))
    book = nbformat.read(PAGE, as_version=4)
    text = "\n".join(cell.source for cell in book.cells)
    assert all(text.count(old) == 1 for old in REPLACED)
    for cell in book.cells:
        for old, new in REPLACED.items():
            cell.source = cell.source.replace(old, new)
    nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [cell.outputs for cell in book.cells if cell.cell_type == "code"]
    assert any("image/png" in output.get("data", {}) for one in outputs for output in one)
    assert (tmp_path / "students").is_dir()
    assert [path.name for path in (tmp_path / "synthetic").iterdir()] == ["hotel_reviews"]


def test_the_page_shows_what_it_computed() -> None:
    book = nbformat.read(PAGE, as_version=4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
