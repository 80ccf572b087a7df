"""What may be said in a scenario: JSON Lines with ``text`` and, if wanted, title, brand, offset_s, platform."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from config.references import folded
from domain.errors import InputError

MAX_LINE = 2_000_000
"""Bytes of a line above which it is not a post."""
MAX_NAME = 40
"""Characters of a brand or platform."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One post to be, without a place in time yet."""

    text: str
    title: str = ""
    brand: str = ""
    """Name of the brand it is about; empty: the brand of the scenario."""
    offset_s: float | None = None
    """Scenario seconds from the onset (crisis); None: to be spread."""
    platform: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """What a file held."""

    rows: tuple[Row, ...]
    skipped: tuple[str, ...] = ()
    """One line for each row left out: its number and why."""


class _Unusable(ValueError):
    """A row cannot be used; the message says why."""


def read_rows(path: Path) -> Rows:
    """The rows of a file.

    A row that is no JSON object, has no text or a field of the wrong type is left out and counted. Raises
    ``InputError`` when the file cannot be read or nothing is left.
    """
    try:
        with path.open("rb") as lines:
            found = parse_rows(_bounded(lines))
    except OSError as error:
        raise InputError(f"{path}：{error.strerror or error}") from error
    if not found.rows:
        first = f"（{found.skipped[0]}）" if found.skipped else "（文件是空的）"
        raise InputError(f"{path}：没有可用的行{first}")
    return found


def built_in(name: str) -> Rows:
    """The posts that come along: ``crisis``, ``calm`` or ``campaign``."""
    return parse_rows(files("app.sandbox").joinpath("posts", f"{name}.jsonl").read_bytes().splitlines())


def parse_rows(lines: Iterable[bytes]) -> Rows:
    """Rows of JSON Lines; blank lines are nothing."""
    rows: list[Row] = []
    skipped: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            rows.append(_row(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line))
        except _Unusable as error:
            skipped.append(f"第 {number} 行：{error}")
    return Rows(rows=tuple(rows), skipped=tuple(skipped))


def _bounded(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of a file object, read in pieces: what exceeds the limit is dropped, its head makes the row fail."""
    reader = lines
    while line := reader.readline(MAX_LINE + 1):  # type: ignore[attr-defined]
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = reader.readline(MAX_LINE + 1)  # type: ignore[attr-defined]
        yield line


def _row(line: bytes) -> Row:
    if len(line) > MAX_LINE:
        raise _Unusable("过长")
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise _Unusable("不是 UTF-8") from None
    except (ValueError, RecursionError):
        raise _Unusable("不是 JSON") from None
    if not isinstance(value, dict):
        raise _Unusable("不是 JSON 对象")
    text = _words(value, "text")
    if not text.strip():
        raise _Unusable("缺少 text")
    return Row(
        text=text,
        title=_words(value, "title").strip(),
        brand=_name(value, "brand"),
        offset_s=_offset(value.get("offset_s")),
        platform=_name(value, "platform").lower(),
    )


def _words(value: dict[str, object], key: str) -> str:
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise _Unusable(f"{key} 不是文字")
    # Halves of surrogate pairs have no UTF-8; NUL has no place in a page.
    return found.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _name(value: dict[str, object], key: str) -> str:
    name = " ".join("".join(c if c.isprintable() else " " for c in _words(value, key)).split())
    if len(name) > MAX_NAME:
        raise _Unusable(f"{key} 超过 {MAX_NAME} 字")
    if key == "brand" and len(folded(name)) == 1:
        raise _Unusable("brand 太短，至少两个字")
    return name


def _offset(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Unusable("offset_s 不是数字")
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise _Unusable("offset_s 不是数字")
    return seconds
