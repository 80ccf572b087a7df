"""Opens text files that people hand in: what is wrong with one is one clear line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TextIO

from domain.errors import InputError

_REASONS = {
    FileNotFoundError: "文件不存在",
    IsADirectoryError: "是目录，不是文件",
    PermissionError: "没有读取权限",
}

_MOST_LINES = 20
"""Of one record: a quote that is never closed may meet another far below."""


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A UTF-8 file, with or without BOM. Raises ``InputError`` when it cannot be opened or read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: {_REASONS.get(type(error), error.strerror or str(error))}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: 不是 UTF-8 文本") from error


def csv_rows(path: Path, file: TextIO, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line number and the cells of the named columns of every row; a cell that is not there is empty.

    A cell in quotes may have line breaks; a quote that is never closed spoils its own line and not the rest of the
    file. Raises ``InputError`` for a file that is empty or lacks a column.
    """
    rows = _records(line.replace("\0", "") for line in file)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    if not header:
        raise InputError(f"{path}: 空文件")
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"{path}: 缺少列 {'、'.join(missing)}")
    places = [header.index(name) for name in columns]
    for number, cells in rows:
        yield number, [cells[place] if place < len(cells) else "" for place in places]


def _records(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Number of the first line and the cells of every record that is not empty."""
    number, width = 1, 0
    window = deque(islice(lines, _MOST_LINES))
    while window:
        used, cells = _record(window, width)
        if window[0].strip("\r\n"):
            width = width or len(cells)
            yield number, cells
        for _ in range(used):
            window.popleft()
        window.extend(islice(lines, used))
        number += used


def _record(lines: Iterable[str], width: int) -> tuple[int, list[str]]:
    """How many lines the first record has, and its cells: more than one only where that gives ``width`` columns."""
    first = next(iter(lines))
    if first.count('"') % 2:
        reader = csv.reader(lines, strict=True)
        with suppress(csv.Error):
            cells = next(reader)
            if len(cells) == (width or len(cells)):
                return reader.line_num, cells
    return 1, _cells(first)


def _cells(line: str) -> list[str]:
    line = line.rstrip("\r\n")
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a cell is beyond csv's own limit
        return line.split(",")
