"""The Numenta Anomaly Benchmark on the series of ``$YUJING_DATA/nab_realtweets``, as ``yujing detect`` sees them.

    YUJING_DATA=… python -m bench.nab

Scoring (Lavin & Ahmad 2015, "Evaluating real-time anomaly detection algorithms", with the constants of
NAB 1.1): the earliest hit inside a window earns 2·sigmoid(−5y) − 1 over 0.98661, y from −1 at the left edge
to 0 at the right; a missed window costs 1 (2 under low-FN); each flagged row outside costs 0.11 (0.22 under
low-FP) times the same sigmoid of its distance to the window before, in widths, and all of it beyond three
widths or before the first window; the first min(15 %, 750) rows are not scored; 0 is the detector that says
nothing, 100 the perfect one. Windows are judged, so NAB is a regression test and not a proof.
"""

from __future__ import annotations

import csv
import json
import math
import os
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What hits, false rows and misses are worth."""

    hit: float = 1.0
    false_row: float = 0.11
    miss: float = 1.0


PROFILES = {
    "standard": Profile(),
    "low_fp": Profile(false_row=0.22),
    "low_fn": Profile(miss=2.0),
}
_PERFECT_HIT = 0.98661


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One series with its windows (inclusive row numbers)."""

    name: str
    timestamps: tuple[str, ...]
    values: tuple[float, ...]
    windows: tuple[tuple[int, int], ...]


Detector = Callable[[Sequence[str], Sequence[float]], list[bool]]
"""Timestamps and values of a series → an alert or none for every row."""


def load(folder: Path) -> list[Labelled]:
    """All labelled series of a folder holding ``windows.json`` beside the CSV files."""
    windows = json.loads((folder / "windows.json").read_text())
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        stamps = tuple(row["timestamp"] for row in rows)
        position = {stamp: i for i, stamp in enumerate(stamps)}
        spans = tuple((position[a.split(".")[0]], position[b.split(".")[0]]) for a, b in windows[path.name])
        values = tuple(float(row["value"]) for row in rows)
        found.append(
            Labelled(name=path.stem.rsplit("_", 1)[-1], timestamps=stamps, values=values, windows=spans)
        )
    return found


def _sigmoid(y: float) -> float:
    return 2 / (1 + math.exp(5 * y)) - 1


def raw_score(series: Labelled, alerts: Sequence[bool], profile: Profile) -> float:
    """Unnormalised score of one series: hits − misses − false rows."""
    unscored = min(int(0.15 * len(series.values)), 750)
    total = 0.0
    for left, right in series.windows:
        hits = [i for i in range(max(left, unscored), right + 1) if alerts[i]]
        if not hits:
            total -= profile.miss
            continue
        y = -(right - hits[0] + 1) / (right - left + 1)
        total += profile.hit * _sigmoid(y) / _PERFECT_HIT
    for i in range(unscored, len(alerts)):
        if alerts[i] and not any(left <= i <= right for left, right in series.windows):
            total += profile.false_row * _false_weight(series.windows, i)
    return total


def _false_weight(windows: Sequence[tuple[int, int]], row: int) -> float:
    before = [(left, right) for left, right in windows if right < row]
    if not before:
        return -1.0
    left, right = before[-1]
    distance = (row - right) / (right - left)
    return -1.0 if distance > 3 else _sigmoid(distance)


def score(pairs: Sequence[tuple[Labelled, Sequence[bool]]], profile: Profile) -> float:
    """Normalised score of a detector over series: 100·(s − null)/(perfect − null)."""
    windows = sum(len(series.windows) for series, _ in pairs)
    raw = sum(raw_score(series, alerts, profile) for series, alerts in pairs)
    null = -profile.miss * windows
    return 100 * (raw - null) / (profile.hit * windows - null)


def ours(timestamps: Sequence[str], values: Sequence[float]) -> list[bool]:
    """The code of ``yujing detect``."""
    from monitor.volume_file import judge_rows

    rows = ((i, stamp, repr(value)) for i, (stamp, value) in enumerate(zip(timestamps, values, strict=True)))
    return [row.score.alert for row in judge_rows(rows, complain=lambda _: None)]


def window_gaussian(_: Sequence[str], values: Sequence[float]) -> list[bool]:
    """More than five standard deviations over the last two days."""
    found = []
    for i, value in enumerate(values):
        past = values[max(0, i - 576) : i]
        found.append(
            len(past) > 100 and value > statistics.fmean(past) + 5 * (statistics.pstdev(past) or 1.0)
        )
    return found


def spike_rule(_: Sequence[str], values: Sequence[float]) -> list[bool]:
    """ElastAlert 2's spike rule on adjacent hours: ratio 3, floor 10, an hour of silence after an alert."""
    found, last = [False] * len(values), -12
    for i in range(24, len(values)):
        now, before = sum(values[i - 11 : i + 1]), sum(values[i - 23 : i - 11])
        if now >= 10 and now > 3 * before and i - last >= 12:
            found[i], last = True, i
    return found


def chance(_: Sequence[str], values: Sequence[float]) -> list[bool]:
    """One row in a thousand, at random."""
    rng = random.Random(0)
    return [rng.random() < 0.001 for _ in values]


PEERS: dict[str, Detector] = {
    "yujing detect": ours,
    "windowed gaussian": window_gaussian,
    "spike rule 3x, 1 h": spike_rule,
    "random": chance,
}


def leave_one_out(series: Sequence[Labelled], profile: Profile) -> list[tuple[str, float, float]]:
    """For each series: the quantile best on the others, and the score it brings on the one left out."""
    from monitor import volume

    table: dict[float, list[list[bool]]] = {}
    kept = volume.QUANTILE
    for quantile in (0.99, 0.995, 0.9965, 0.9975, 0.9985, 0.999):
        volume.QUANTILE = quantile
        table[quantile] = [ours(each.timestamps, each.values) for each in series]
    volume.QUANTILE = kept
    found = []
    for out, left in enumerate(series):
        others = [i for i in range(len(series)) if i != out]
        best = max(table, key=lambda q: score([(series[i], table[q][i]) for i in others], profile))
        found.append((left.name, best, score([(left, table[best][out])], profile)))
    return found


def main() -> int:
    """Print the scores; 1 when ours is under the pass mark, 2 without data."""
    root = os.environ.get("YUJING_DATA", "")
    folder = Path(root) / "nab_realtweets"
    if not root or not folder.is_dir():
        print("skipped: YUJING_DATA names no folder with nab_realtweets", file=sys.stderr)
        return 2
    series = load(folder)
    standard = PROFILES["standard"]
    mark = 0.0
    for name, detector in PEERS.items():
        pairs = [(each, detector(each.timestamps, each.values)) for each in series]
        total = " ".join(f"{key} {score(pairs, profile):5.1f}" for key, profile in PROFILES.items())
        each = " ".join(f"{s.name} {score([(s, a)], standard):.0f}" for s, a in pairs)
        print(f"{name:20s} {total}   rows {sum(sum(a) for _, a in pairs):3d}   {each}")
        mark = mark or score(pairs, standard)
    for name, quantile, value in leave_one_out(series, standard):
        print(f"leave one out: {name:5s} quantile {quantile} from the others → {value:.1f}")
    return 0 if mark >= 68 else 1


if __name__ == "__main__":
    raise SystemExit(main())
