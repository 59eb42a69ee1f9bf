"""A damaged knowledge.yaml gives one message."""

from __future__ import annotations

from pathlib import Path

import pytest

from japagen.config.error import UserError
from japagen.dataset import knowledge


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"a: [", b'{"a": ' * 100_000])
def test_a_file_that_is_no_yaml_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / knowledge.KNOWLEDGE
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        knowledge.read(path)
    assert str(caught.value).startswith(f"{path} is not YAML in UTF-8: ")
