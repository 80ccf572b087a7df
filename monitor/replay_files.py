"""Files of a replay: counts by bucket and brand (CSV), known incidents (JSON Lines)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from domain.errors import InputError
from domain.local_time import SHANGHAI
from monitor.backtest import Known
from monitor.replay_stores import TableCounts
from monitor.series import NEGATIVE, POSTS, STEP_S, STORIES, Layout
from monitor.text_files import csv_rows, opened
from monitor.volume_file import parse_value

_COLUMNS = ("timestamp", "brand", "posts", "negative")
_MOST_BUCKETS = 5 * 366 * 288
"""Five years: a longer span is a wrong date, and would fill the memory."""
Complain = Callable[[str], None]


def read_counts(path: Path, *, complain: Complain, brand_of: Callable[[str], str] = str) -> TableCounts:
    """Counts of a CSV with ``timestamp,brand,posts,negative``, one row a 5-minute bucket and brand.

    A time without zone is Asia/Shanghai; ``brand_of`` gives the id for a name; rows of the same bucket add up. A row
    that cannot be read is told and left out. Raises ``InputError`` when the file cannot be read at all.
    """
    rows: dict[str, list[tuple[int, float, float]]] = {}
    with opened(path) as file:
        for number, row in csv_rows(path, file, _COLUMNS):
            try:
                brand, counted = _counted(row)
            except (ValueError, OverflowError):
                complain(f"{path} 第 {number} 行：读不出来（{','.join(row)[:80]}），略过")
                continue
            rows.setdefault(brand_of(brand), []).append(counted)
    if not rows:
        raise InputError(f"{path}: 没有一行读得出来")
    return _table(path, rows)


_zero = datetime(1970, 1, 1, tzinfo=SHANGHAI).timestamp()


def _bucket(text: str) -> int:
    at = datetime.fromisoformat(text)
    if not 1990 <= at.year <= 2100:
        raise ValueError(text)
    if at.tzinfo is None:
        # Asia/Shanghai had summer time until 1991 only; timestamp() by zone would cost most of the reading.
        return int(((at - datetime(1970, 1, 1)).total_seconds() + _zero) // STEP_S)  # noqa: DTZ001
    return int(at.timestamp() // STEP_S)


def _counted(row: list[str]) -> tuple[str, tuple[int, float, float]]:
    """Brand, and (bucket, posts, negative). Raises ``ValueError``."""
    stamp, brand, posts, negative = (cell.strip() for cell in row)
    counted, bad = parse_value(posts), parse_value(negative)
    if not brand or bad > counted:
        raise ValueError("no brand, or more negatives than posts")
    return brand, (_bucket(stamp), counted, bad)


def _table(path: Path, rows: dict[str, list[tuple[int, float, float]]]) -> TableCounts:
    layout = Layout(brands=tuple(sorted(rows)), topics=())
    first = min(row[0] for each in rows.values() for row in each)
    end = max(row[0] for each in rows.values() for row in each) + 1
    if end - first > _MOST_BUCKETS:
        raise InputError(f"{path}: 时间跨度超过五年，请检查 timestamp")
    counts = np.zeros((3, layout.size, end - first))
    for index, brand in enumerate(layout.brands):
        table = np.array(rows[brand])
        at = table[:, 0].astype(np.int64) - first
        np.add.at(counts[POSTS, index], at, table[:, 1])
        np.add.at(counts[NEGATIVE, index], at, table[:, 2])
    counts[STORIES] = counts[NEGATIVE]
    return TableCounts(layout=layout, first=first, counts=counts)


def read_incidents(path: Path, *, complain: Complain) -> list[Known]:
    """Incidents of a JSONL file with ``brand``, ``start``, ``end``; a time without zone is Asia/Shanghai.

    A file without one line says that nothing happened. Raises ``InputError`` when it cannot be read, or no line can.
    """
    found, bad = [], 0
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                found.append(_incident(json.loads(line)))
            except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
                bad += 1
                complain(f"{path} 第 {number} 行：不是 {{brand,start,end}}，略过")
    if bad and not found:
        raise InputError(f"{path}: 没有一条读得出来的事件")
    return found


def _incident(row: Any) -> Known:
    start, end = _moment(row["start"]), _moment(row["end"])
    if not isinstance(row["brand"], str) or end < start:
        raise ValueError("brand or order")
    return Known(brand=row["brand"], start=start, end=end)


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise TypeError("a time is text")
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=SHANGHAI)
