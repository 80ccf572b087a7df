"""``yujing detect``: a CSV of counts → the same with anomaly scores, row by row, never looking ahead."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TextIO

from domain.errors import InputError
from monitor.text_files import opened
from monitor.volume import VolumeDetector, VolumeScore

_STEP_ROWS = 20
"""The step is the median spacing of so many first rows; nothing is judged before them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredRow:
    """One row of the output; timestamp and value exactly as they came."""

    timestamp: str
    value: str
    score: VolumeScore


def read_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line number, timestamp and value of every row.

    Raises ``InputError`` for a file that is missing, no file, not text, empty or without those columns.
    """
    with opened(path) as file:
        try:
            yield from _rows(path, file)
        except csv.Error as error:
            raise InputError(f"{path}: 不是 CSV: {error}") from error


def _rows(path: Path, file: TextIO) -> Iterator[tuple[int, str, str]]:
    reader = csv.DictReader(line.replace("\0", "") for line in file)
    names = [name.strip() for name in reader.fieldnames or ()]
    if not names:
        raise InputError(f"{path}: 空文件")
    missing = [name for name in ("timestamp", "value") if name not in names]
    if missing:
        raise InputError(f"{path}: 缺少列 {'、'.join(missing)}")
    reader.fieldnames = names
    for row in reader:
        yield reader.line_num, row.get("timestamp") or "", row.get("value") or ""


def parse_time(text: str) -> float:
    """Seconds since the epoch; a time without zone counts as UTC. Raises ``ValueError``."""
    at = datetime.fromisoformat(text.strip())
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def parse_value(text: str) -> float:
    """A finite count ≥ 0. Raises ``ValueError``."""
    value = float(text.strip())
    if not math.isfinite(value) or value < 0:
        raise ValueError(text)
    return value


def judge_rows(
    rows: Iterator[tuple[int, str, str]], *, complain: Callable[[str], None]
) -> Iterator[ScoredRow]:
    """Every row with its score; a row that cannot be read gets score 0 and a complaint, and teaches nothing."""
    nothing = VolumeScore(ratio=0.0, alert=False)
    detector: VolumeDetector | None = None
    early: list[tuple[float, float]] = []
    newest = -math.inf
    for line, timestamp, text in rows:
        try:
            at, value = parse_time(timestamp), parse_value(text)
        except (ValueError, OverflowError):
            complain(f"第 {line} 行：时间或数值读不出来（{_shown(timestamp)}，{_shown(text)}），记 0 分")
            yield ScoredRow(timestamp=timestamp, value=text, score=nothing)
            continue
        newest = max(newest, at)
        if detector is None:
            early.append((newest, value))
            yield ScoredRow(timestamp=timestamp, value=text, score=nothing)
            if len(early) == _STEP_ROWS:
                detector = VolumeDetector(step_s=_step(early))
                for when, count in early:
                    detector.judge(when, count)
            continue
        yield ScoredRow(timestamp=timestamp, value=text, score=detector.judge(newest, value))


def _step(early: list[tuple[float, float]]) -> float:
    gaps = [b[0] - a[0] for a, b in pairwise(early) if b[0] > a[0]]
    return statistics.median(gaps) if gaps else 300.0


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:40] or "空"
