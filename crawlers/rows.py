"""Rows of exported files: JSON Lines, NDJSON and CSV, plain or gzipped, read as a stream.

No file, however large, broken or hostile, takes more memory than one line may; what is wrong with a line is
that line's fault, and reading goes on with the next.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from domain.errors import InputError

MAX_LINE = 50 * 1024 * 1024
"""Bytes of one line."""
MAX_RATIO = 200
"""Bytes out of one byte of gzip, above which it is taken for a bomb once ``BOMB_FROM`` bytes came out."""
BOMB_FROM = 64 * 1024 * 1024
MAX_ROW_LINES = 300
"""Lines over which one quoted CSV row may go; more means that a quote was never closed."""

_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a file: its values, or why it has none."""

    number: int
    """Line of the file on which it starts, from 1."""
    values: dict[str, Any] | None = None
    error: str = ""
    raw: str = ""
    """The line itself (its beginning), for a row with an error."""


def read_rows(path: Path, *, needs: Collection[str]) -> Iterator[Row]:
    """Rows of a file, in order; ``needs`` are the columns without which a CSV is of no use.

    Raises ``InputError`` (one line, naming the file) when the file cannot be opened or goes on unreadably:
    missing, a directory, no permission, broken gzip, a gzip bomb, UTF-16, a CSV without one of those columns.
    """
    try:
        with path.open("rb") as raw:
            lines = _Lines(_unpacked(path, raw), path)
            yield from _csv_rows(lines, path, needs) if _is_csv(path, lines.head) else _json_rows(lines)
    except IsADirectoryError as error:
        raise InputError(f"{path}：是目录，不是文件") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}：文件不存在") from error
    except PermissionError as error:
        raise InputError(f"{path}：没有读取权限") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}：gzip 数据损坏或不完整") from error
    except OSError as error:
        raise InputError(f"{path}：无法读取（{error.strerror or error}）") from error


class _Unpacked(io.RawIOBase):
    """A gzip stream that stops a bomb."""

    def __init__(self, packed: BinaryIO, path: Path) -> None:
        self._packed, self._path, self._out = packed, path, 0
        self._gzip = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._gzip.read(len(buffer))
        self._out += len(data)
        if self._out > BOMB_FROM and self._out > MAX_RATIO * max(1, self._packed.tell()):
            raise InputError(f"{self._path}：gzip 解压后异常地大，已停止读取")
        buffer[: len(data)] = data
        return len(data)


def _unpacked(path: Path, raw: BinaryIO) -> io.BufferedReader:
    head = raw.read(2)
    raw.seek(0)
    stream = _Unpacked(raw, path) if head == _GZIP else raw
    return io.BufferedReader(cast(io.RawIOBase, stream), 1 << 20)


class _Lines:
    """Lines of bytes with their numbers; a line that is too long comes as None."""

    def __init__(self, stream: io.BufferedReader, path: Path) -> None:
        self._stream = stream
        self.head = stream.peek(4096)[:4096]
        if self.head[:2] in _UTF16:
            raise InputError(f"{path}：是 UTF-16 编码，请另存为 UTF-8")
        if self.head.startswith(b"\xef\xbb\xbf"):
            stream.read(3)
            self.head = self.head[3:]

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        number = 0
        while line := self._stream.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                self._skip()
                yield number, None
            else:
                yield number, line

    def _skip(self) -> None:
        while chunk := self._stream.readline(1 << 20):
            if chunk.endswith(b"\n"):
                return


def _is_csv(path: Path, head: bytes) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if any(suffix in (".jsonl", ".ndjson", ".json") for suffix in suffixes[-2:]):
        return False
    if any(suffix in (".csv", ".tsv") for suffix in suffixes[-2:]):
        return True
    return not head.lstrip().startswith((b"{", b"["))


def _text(line: bytes) -> str | None:
    """A line in UTF-8 or GB18030; None when it is neither. Line by line, since exports are glued together."""
    for name in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return line.decode(name)
    return None


def _broken(number: int, reason: str, line: bytes | str) -> Row:
    raw = line[:8000].decode("utf-8", "replace") if isinstance(line, bytes) else line[:8000]
    return Row(number=number, error=reason, raw=raw)


# --- JSON Lines --------------------------------------------------------------------------------------------


def _json_rows(lines: _Lines) -> Iterator[Row]:
    for number, line in lines:
        if line is None:
            yield _broken(number, f"一行超过 {MAX_LINE >> 20} MB", "")
        elif line.strip():
            yield _json_row(number, line)


def _json_row(number: int, line: bytes) -> Row:
    text = _text(line)
    if text is None:
        return _broken(number, "编码既不是 UTF-8 也不是 GB18030", line)
    try:
        values = json.loads(text)
    except RecursionError:
        return _broken(number, "JSON 嵌套过深", text)
    except ValueError as error:
        column = getattr(error, "colno", None)
        return _broken(number, f"不是合法的 JSON{f'（第 {column} 列）' if column else ''}", text)
    if not isinstance(values, dict):
        hint = "；如果是 JSON 数组，请改为每行一条" if isinstance(values, list) else ""
        return _broken(number, f"不是 JSON 对象{hint}", text)
    return Row(number=number, values=values, raw=text[:8000])


# --- CSV ---------------------------------------------------------------------------------------------------


def _csv_rows(lines: _Lines, path: Path, needs: Collection[str]) -> Iterator[Row]:
    delimiter = _delimiter(path, lines.head)
    rows = _assembled(lines, delimiter)
    first = next((row for row in rows if row[1] is None or row[1].strip()), None)
    if first is None:
        return
    number, text = first
    if text is None:
        raise InputError(f"{path}：表头无法读取")
    try:
        header = [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])]
    except csv.Error as error:  # lines that end with CR alone, too
        raise InputError(f"{path}：表头不是合法的 CSV（换行应为 LF 或 CRLF）") from error
    named = [name for name in header if name]  # a spreadsheet saves cleared columns, too
    if len(set(named)) < len(named):
        raise InputError(f"{path}：表头里有重名的列")
    missing = [name for name in needs if name not in header]
    if missing:
        raise InputError(
            f"{path}：表头里没有 {'、'.join(missing)} 列（有：{'、'.join(named)[:200]}），可用 --map text=列名 这样指定"
        )
    for number, text in rows:
        if text is None:
            yield _broken(number, "引号不成对、编码无法识别，或一行过长", "")
        elif text.strip("\r\n"):
            yield _csv_row(number, text, header, delimiter)


def _csv_row(number: int, text: str, header: list[str], delimiter: str) -> Row:
    csv.field_size_limit(MAX_LINE)
    try:
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error as error:
        return _broken(number, f"不是合法的 CSV（{error}）", text)
    if len(cells) > len(header):
        return _broken(number, f"有 {len(cells)} 列，表头只有 {len(header)} 列", text)
    cells += [""] * (len(header) - len(cells))
    values = {name: cell for name, cell in zip(header, cells, strict=True) if name}
    return Row(number=number, values=values, raw=text[:8000])


def _delimiter(path: Path, head: bytes) -> str:
    if ".tsv" in [suffix.lower() for suffix in path.suffixes]:
        return "\t"
    header = head.lstrip(b"\r\n").partition(b"\n")[0]
    return next((d for d in (",", "\t", ";") if d.encode() in header), ",")


def _assembled(lines: _Lines, delimiter: str) -> Iterator[tuple[int, str | None]]:
    """Rows as text: a line, or several while a quote is open. (number, None): a line that cannot be used.

    csv's own reader would swallow the rest of the file after a quote that is never closed, or all up to another
    row's quote; here that line alone is given up, and those after it are looked at again.
    """
    fresh = ((number, None if line is None else _text(line)) for number, line in lines)
    again = deque[tuple[int, str | None]]()
    stream = iter(lambda: again.popleft() if again else next(fresh, None), None)
    for number, text in stream:
        held = [(number, text)]
        quoted = text is not None and _ends_quoted(text, delimiter, False)
        while quoted and len(held) < MAX_ROW_LINES and (more := next(stream, None)):
            held.append(more)
            if more[1] is None:
                break
            quoted = _ends_quoted(more[1], delimiter, True)
        row = None if quoted else _joined([line for _, line in held], delimiter)
        yield number, row
        if row is None:
            again.extendleft(reversed(held[1:]))


def _joined(lines: list[str | None], delimiter: str) -> str | None:
    """The row that lines make; None where it took the quote of another row to close the first one's."""
    if None in lines:
        return None
    text = "".join(line for line in lines if line is not None)
    if len(lines) > 1:
        try:
            list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error:
            return None
    return text


def _ends_quoted(line: str, delimiter: str, quoted: bool) -> bool:
    """Whether a quote is open behind the line; ``quoted``: one was before it.

    As csv reads it, a quote opens only as the first character of a cell: in 5" it is one like any other.
    """
    at = 0
    while True:
        if not quoted:
            if at == 0 and line.startswith('"'):
                at = 1
            elif (cell := line.find(f'{delimiter}"', at)) >= 0:
                at = cell + 2
            else:
                return False
        at = line.find('"', at)
        if at < 0:
            return True
        quoted = line.startswith('""', at)
        at += 2 if quoted else 1
