"""``yujing detect``: a CSV of counts → the same with anomaly scores, row by row, never looking ahead."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from monitor.text_files import csv_rows, opened
from monitor.volume import VolumeDetector, VolumeScore

_STEP_ROWS = 20
"""The step is the median spacing of so many first rows; nothing is judged before them."""
MOST = 1e15
"""No count is larger; sums of what is would overflow."""


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
        for line, (timestamp, value) in csv_rows(path, file, ("timestamp", "value")):
            yield line, timestamp, value


def parse_time(text: str) -> float:
    """Seconds since the epoch; a time without zone counts as UTC. Raises ``ValueError``."""
    at = datetime.fromisoformat(text.strip())
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def parse_value(text: str) -> float:
    """A count ≥ 0 that can be. Raises ``ValueError``."""
    value = float(text.strip())
    if not 0 <= value <= MOST:
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
