"""The volume detector: total posts, without sentiment (step 5 of docs/detection.md).

Score = max over 15 and 60 min of log(1 + mean count per row) ÷ the series' own 99.75 % quantile of the same,
with a memory of 14 days; 1 is "as high as one row in 400". An alert is a new 24 h high at or above 1 that
is at least 30 % above the last alerted score when that one is younger than 24 h. Nothing looks ahead and
nothing is tuned to a series: scale, seasonality and burstiness come from its own quantile (self-calibration),
the choices were made leaving one ticker out (bench/nab.py).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from monitor.series import STEP_S, Floats

_BINS_PER_E = 40
"""Resolution of the quantile sketch: bins of 1/40 in log(1 + count), 2.5 % of the count."""


@dataclass(kw_only=True)
class QuantileSketch:
    """Decaying histogram of log(1 + mean count): quantiles in O(bins), memory of ``days``."""

    rows_per_day: float
    days: float = 14.0
    bins: dict[int, float] = field(default_factory=dict)
    weight: float = 0.0
    """Sum of the bins, in rows."""
    scale: float = 1.0
    """Weight of the next row: grows so that older rows need not be touched."""

    def add(self, value: float) -> None:
        """Take in one value of log(1 + count)."""
        key = round(value * _BINS_PER_E)
        self.scale *= math.exp(1 / (self.days * self.rows_per_day))
        self.bins[key] = self.bins.get(key, 0.0) + self.scale
        self.weight += self.scale
        if self.scale > 1e9:
            self._rescale()

    def _rescale(self) -> None:
        kept = {key: mass / self.scale for key, mass in self.bins.items() if mass / self.scale > 1e-9}
        self.bins, self.weight, self.scale = kept, sum(kept.values()), 1.0

    def quantile(self, q: float) -> float:
        """The q-quantile; 0 when empty."""
        if not self.bins:
            return 0.0
        wanted, key = (1 - q) * self.weight, max(self.bins)
        seen, lowest = self.bins[key], min(self.bins)
        while seen < wanted and key > lowest:
            key -= 1
            seen += self.bins.get(key, 0.0)
        return key / _BINS_PER_E


WINDOWS_S = (900, 3600)
QUANTILE = 0.9975
_FLOOR = 0.3
"""Least quantile in log(1 + count): in a series that is nearly always silent one post is nothing."""
_LEAST = 5.0
"""Least count in an hour for an alert."""
_LOUDER = 1.3
_ABOVE_MEAN = 1.5
"""Least multiple of the series' own mean: in steady noise the highest row of the day is no event."""
_DAY_S = 86400.0


def volume_ratios(rows: Floats, scales: Floats) -> Floats:
    """Ratios of many series at once: rows [series, 5-minute row], scales [series, window].

    Returned from the first row on that has an hour behind it: [series, row].
    """
    sums = np.cumsum(np.concatenate([np.zeros((len(rows), 1)), rows], axis=1), axis=1)
    widths = [int(seconds // STEP_S) for seconds in WINDOWS_S]
    most = max(widths)
    parts = [
        np.log1p((sums[:, most:] - sums[:, most - width : sums.shape[1] - width]) / width)
        / scales[:, i : i + 1]
        for i, width in enumerate(widths)
    ]
    return cast(Floats, np.max(parts, axis=0))


@dataclass(frozen=True, kw_only=True, slots=True)
class VolumeScore:
    """What the detector says about one row."""

    ratio: float
    """log(1 + mean count) ÷ own quantile; 1 is the threshold; 0 while too little is known."""
    alert: bool

    @property
    def anomaly(self) -> float:
        """``ratio`` folded into 0..1: one half at the threshold."""
        return 1 / (1 + math.exp(-10 * (self.ratio - 1))) if self.ratio > 0 else 0.0


class VolumeDetector:
    """Judges a series row by row; rows may have any spacing."""

    def __init__(self, *, step_s: float = 300.0, days: float = 14.0) -> None:
        """Raises ``ValueError`` for a step that is not positive."""
        if step_s <= 0:
            raise ValueError("step_s must be positive")
        per_day = max(1.0, _DAY_S / step_s)
        self._step = step_s
        self._widths = tuple(max(1, round(seconds / step_s)) for seconds in WINDOWS_S)
        self._sketches = tuple(QuantileSketch(rows_per_day=per_day, days=days) for _ in WINDOWS_S)
        self._warm = max(20, min(100, round(per_day)))
        self._renew = max(1, round(3600 / step_s))
        self._recent: deque[float] = deque(maxlen=max(self._widths))
        self._highs: deque[tuple[float, float]] = deque()
        self._rows = 0
        self._level = 0.0
        self._forget = 1 / (days * per_day)
        self._scales = tuple(0.0 for _ in WINDOWS_S)
        self._told = (-math.inf, 0.0)

    def judge(self, at_s: float, value: float) -> VolumeScore:
        """Judge the next row (seconds, count ≥ 0), then learn from it."""
        self._recent.append(value)
        logs = [math.log1p(self._mean(width)) for width in self._widths]
        ratio = self._ratio(logs)
        alert = self._high(at_s, ratio) and self._worth_telling(at_s, ratio)
        if alert:
            self._told = (at_s, ratio)
        for sketch, log in zip(self._sketches, logs, strict=True):
            sketch.add(log)
        self._rows += 1
        self._level += (value - self._level) * max(1 / self._rows, self._forget)
        return VolumeScore(ratio=ratio, alert=alert)

    @property
    def scales(self) -> tuple[float, ...]:
        """The quantiles in force, a window each; infinite while too little is known."""
        return self._scales if self._rows > self._warm else tuple(math.inf for _ in WINDOWS_S)

    def highest(self, since_s: float) -> float:
        """Greatest ratio judged at or after a time; 0 when none was."""
        return max((ratio for at, ratio in self._highs if at >= since_s), default=0.0)

    def _mean(self, width: int) -> float:
        rows = list(self._recent)[-width:]
        return sum(rows) / len(rows)

    def _ratio(self, logs: list[float]) -> float:
        if self._rows < self._warm:
            return 0.0
        if self._rows == self._warm or self._rows % self._renew == 0:
            self._scales = tuple(max(_FLOOR, sketch.quantile(QUANTILE)) for sketch in self._sketches)
        return max(log / scale for log, scale in zip(logs, self._scales, strict=True))

    def _high(self, at_s: float, ratio: float) -> bool:
        """A new 24 h high; the deque falls, so that its head is the greatest of the last day."""
        while self._highs and self._highs[0][0] < at_s - _DAY_S:
            self._highs.popleft()
        new = not self._highs or ratio > self._highs[0][1]
        while self._highs and self._highs[-1][1] <= ratio:
            self._highs.pop()
        self._highs.append((at_s, ratio))
        return new

    def _worth_telling(self, at_s: float, ratio: float) -> bool:
        if ratio < 1 or sum(list(self._recent)[-self._widths[-1] :]) < _LEAST:
            return False
        if max(self._mean(width) for width in self._widths) < _ABOVE_MEAN * self._level:
            return False
        told_at, told = self._told
        return at_s - told_at > _DAY_S or ratio > told * _LOUDER

    # --------------------------------------------------------------------- state

    def document(self) -> dict[str, object]:
        """JSON-able state."""
        return {
            "sketches": [[sorted(s.bins.items()), s.weight, s.scale] for s in self._sketches],
            "recent": list(self._recent),
            "highs": [list(pair) for pair in self._highs],
            "rows": self._rows,
            "level": self._level,
            "scales": list(self._scales),
            "told": [self._told[0] if math.isfinite(self._told[0]) else None, self._told[1]],
            "step_s": self._step,
        }

    @classmethod
    def of(cls, document: Mapping[str, object]) -> VolumeDetector:
        """From ``document()``. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for anything else."""
        raw = cast("dict[str, list[Any]]", document)
        made = cls(step_s=float(cast(float, document["step_s"])))
        for sketch, (bins, weight, scale) in zip(made._sketches, raw["sketches"], strict=True):
            sketch.bins = {int(key): float(mass) for key, mass in bins}
            sketch.weight, sketch.scale = float(weight), float(scale)
        made._recent.extend(float(value) for value in raw["recent"])
        made._highs.extend((float(at), float(ratio)) for at, ratio in raw["highs"])
        made._rows = int(cast(int, document["rows"]))
        made._level = float(cast(float, document["level"]))
        made._scales = tuple(float(scale) for scale in raw["scales"])
        at, ratio = raw["told"]
        made._told = (-math.inf if at is None else float(at), float(ratio))
        return made
