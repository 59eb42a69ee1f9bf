"""Read a gold file as text: plain, .gz or .bz2, UTF-8 only, with a limit on the unpacked size."""

from __future__ import annotations

import bz2
import gzip
import re
import zlib
from pathlib import Path
from typing import Protocol

from japagen.config.error import UserError

# A few kilobytes can unpack to gigabytes. Text packs to a tenth, rarely to a thirtieth of its size.
MIN_UNPACKED = 64 << 20  # bytes that every packed file may have
MAX_RATIO = 100  # above that: bytes unpacked for each byte packed

# The first bytes of files that are often given the name of a text file -> (what it is, what to do).
SIGNATURES = {
    b"PK\x03\x04": ("a ZIP archive or an Excel workbook", "save it from Excel as 'CSV UTF-8'"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save it from Excel as 'CSV UTF-8'"),
    b"\x1f\x8b": ("packed with gzip", "add .gz to its name"),
    b"BZh": ("packed with bzip2", "add .bz2 to its name"),
    b"\xfd7zXZ": ("packed with xz", "unpack it: xz -d FILE"),
    b"\x28\xb5\x2f\xfd": ("packed with Zstandard", "unpack it: zstd -d FILE"),
    b"7z\xbc\xaf": ("a 7-Zip archive", "unpack it"),
    b"PAR1": ("a Parquet table", "convert it to JSONL"),
    b"%PDF": ("a PDF document", "convert it to JSONL"),
}
BYTE_ORDER_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
JAPANESE_ENCODINGS = {"cp932": "Shift_JIS (CP932)", "euc_jp": "EUC-JP"}
KANA = re.compile(r"[ぁ-ゖァ-ヺ]")


class Readable(Protocol):
    """A binary file, packed or not."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""


def read_text(path: Path) -> str:
    """Return the text of a file. Raises UserError if it is unreadable, cut off or not UTF-8."""
    try:
        data = path.read_bytes()
        if path.suffix in (".gz", ".bz2"):
            packed = gzip.GzipFile(path) if path.suffix == ".gz" else bz2.BZ2File(path)
            with packed as file:
                data = read_limited(file, unpacked_limit(len(data)), path)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise unreadable(path, error) from error
    return decode(data, str(path))


def unpacked_limit(packed: int) -> int:
    """The most bytes that a file of `packed` bytes may unpack to."""
    return max(MIN_UNPACKED, MAX_RATIO * packed)


def read_limited(file: Readable, limit: int, path: Path) -> bytes:
    """Read at most `limit` bytes. Raises UserError if there are more."""
    data = file.read(limit + 1)
    if len(data) > limit:
        raise too_large(path)
    return data


def too_large(path: Path) -> UserError:
    """The error for a packed file that unpacks to more than `unpacked_limit`."""
    return UserError(
        f"{path} unpacks to more than {MAX_RATIO} times its size; allowed: up to that, or "
        f"{MIN_UNPACKED:,} bytes. If you trust it, unpack it and name the plain file"
    )


def decode(data: bytes, where: str) -> str:
    """Decode UTF-8 with or without a byte order mark. Raises UserError that names the format."""
    if found := signature(data):
        kind, action = found
        raise UserError(f"{where} is {kind}, not text; allowed: UTF-8 text. {action}")
    if encoding := wide_encoding(data):
        raise UserError(f"{where} is {encoding}; allowed: UTF-8 only. {iconv(encoding)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        what = f"{where}, row {row}: byte 0x{data[error.start]:02x} is not UTF-8"
        raise UserError(f"{what}; allowed: UTF-8 only. {guess(data, error.start)}") from error


def signature(data: bytes) -> tuple[str, str] | None:
    """What a file is that is no text, and what to do about it; None for text."""
    return next((SIGNATURES[start] for start in SIGNATURES if data.startswith(start)), None)


def wide_encoding(data: bytes) -> str:
    """UTF-16, UTF-32 or ISO-2022-JP, or "". All three could pass as UTF-8 text."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            return encoding
    if b"\x1b$B" in data or b"\x1b$@" in data:
        return "ISO-2022-JP"
    # Without a byte order mark, every ASCII character of UTF-16 has a zero byte beside it. A few
    # zero bytes in UTF-8 are damage, which is named with its row.
    first = data[:1000]
    if 0 in first and (first.count(0) > len(first) // 4 or not is_utf8(data)):
        return "UTF-16LE" if 0 in first[1::2] else "UTF-16BE"
    return ""


def is_utf8(data: bytes) -> bool:
    """Whether UTF-8 text has these bytes."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def guess(data: bytes, start: int) -> str:
    """What the line with the bad byte at `start` is encoded in: the encoding with most kana."""
    line = data[data.rfind(b"\n", 0, start) + 1 :].split(b"\n", 1)[0]
    kana = {
        name: len(KANA.findall(line.decode(name, errors="replace"))) for name in JAPANESE_ENCODINGS
    }
    best = max(kana, key=lambda name: kana[name])
    if not kana[best]:
        return "Save the file as UTF-8"
    return f"It looks like {JAPANESE_ENCODINGS[best]}. {iconv(best.upper().replace('_', '-'))}"


def iconv(encoding: str) -> str:
    """The command that converts a file to UTF-8."""
    return f"Convert it: iconv -f {encoding} -t UTF-8 FILE > NEW"


def unreadable(path: Path, error: Exception) -> UserError:
    """The error for a file that exists and cannot be read."""
    action = f"it is damaged or cut off: get it again in place of {path.name}"
    if isinstance(error, PermissionError):
        action = f"give yourself the permission: chmod -R u+rX '{path}'"
    elif isinstance(error, IsADirectoryError):
        action = "a file is allowed here, a folder only in format livedoor"
    return UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}; {action}")


def exists(path: Path) -> bool:
    """Whether `path` exists. Raises UserError where a folder above it may not be read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True
