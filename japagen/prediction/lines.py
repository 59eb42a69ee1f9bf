"""Lines of a text file as bytes, with the position behind the last one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from japagen.config.error import UserError
from japagen.gold.source import decode, signature, wide_encoding

BOM = b"\xef\xbb\xbf"
MAX_LINE = 64 << 20  # bytes


class Lines:
    """The lines of `path` from `position` on. Only \\n ends a line: texts may contain U+2028."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self.path = path
        self.file = path.open("rb")
        if position == 0 and self.file.read(len(BOM)) == BOM:
            position = len(BOM)
        self.file.seek(position)
        self.position = position
        self.waiting = deque[bytes]()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        line = self.waiting.popleft() if self.waiting else self.file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.position += len(line)
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            raise UserError(
                f"{self.path}: the line at byte {self.position - len(line):,} is longer than "
                f"{MAX_LINE:,} bytes; allowed: one row per line, lines that end with \\n"
            )
        return line

    def back(self, lines: Sequence[bytes]) -> None:
        """Take back the last lines: they come again."""
        self.waiting.extendleft(reversed(lines))
        self.position -= sum(map(len, lines))

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def check_text(path: Path) -> None:
    """Raise UserError if the file is not text in an encoding like UTF-8."""
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if head.startswith(b"PAR1"):
        raise UserError(f"{path} is a parquet file. Give --format parquet")
    if signature(head) or wide_encoding(head):
        decode(head, str(path))
