"""Incidents injected into synthetic counts, found by the code of ``yujing backtest --counts``.

    python -m bench.injection [--seed N] [--weeks N] [--hard]

48 brands at 6, 30, 150 and 900 posts an hour over ten weeks of 5-minute buckets: day and night, weekdays and
weekend, negative-binomial noise, 12 % negative, 1.5 positive campaigns a brand-week (volume × 3–6 for 2–6 h, 3 %
negative). From the second week on incidents: extra posts, 80 % negative, with intensity (t/τ)·exp(1 − t/τ), peak
after τ = 0.5–6 h (Weibo cascades of the reference data peak within 1 h in 52–79 %), peak height 1–3 × the brand's
mean, at least 15 posts an hour. ``--hard``: 0.4–1.5 ×, at least 8, slower start ((t/τ)²), noisier volume.
Exit code 0 when the pass marks are met (without --hard): recall ≥ .97, median delay ≤ 45 min, ≤ .5 false a
brand-week.

Peers in the same run: ElastAlert 2's spike rule on the negatives (adjacent hours, ratio 3, floor 10), and an
oracle that knows the true mean and variance of every bucket and uses the same windows, threshold and gate.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from config.settings import Brand, Rules
from domain.alert import Alert, AlertState, Change, Level
from domain.local_time import SHANGHAI, iso
from monitor.backtest import Known, Raised, Summary, brand_weeks, replay, summarise
from monitor.detectors import tail
from monitor.replay_files import read_counts, read_incidents
from monitor.replay_stores import ReplayPosts
from monitor.series import time_of

Floats = npt.NDArray[np.float64]
LEVELS = (6, 30, 150, 900)
WEEK = 2016
START = int(datetime(2025, 1, 6, tzinfo=SHANGHAI).timestamp()) // 300
_HOURS = np.array(
    [
        25,
        15,
        10,
        8,
        8,
        12,
        25,
        50,
        90,
        120,
        140,
        140,
        130,
        125,
        130,
        135,
        140,
        140,
        140,
        150,
        170,
        180,
        140,
        70,
    ]
)


@dataclass(frozen=True, kw_only=True)
class World:
    """Synthetic counts [brand, bucket] and what was put into them."""

    posts: Floats
    negative: Floats
    mean: Floats
    """True mean of all posts without campaigns and incidents."""
    size: float
    """Size parameter of the negative binomial of all posts."""
    incidents: list[tuple[int, int, int]]
    """brand, first bucket, bucket after the last."""


def make(*, seed: int, weeks: int, hard: bool, brands: int = 48) -> World:
    """The synthetic world of a seed."""
    rng = np.random.default_rng(seed)
    n, size = weeks * WEEK, 8.0 if hard else 20.0
    at = np.arange(n)
    profile = (_HOURS / _HOURS.mean())[(at // 12) % 24] * np.where((at // 288) % 7 >= 5, 0.75, 1.1)
    mean = np.array([LEVELS[brand % 4] / 12 * profile for brand in range(brands)])
    posts = rng.poisson(mean * rng.gamma(size, 1 / size, mean.shape)).astype(float)
    negative = rng.binomial(posts.astype(int), 0.12).astype(float)
    incidents = []
    for brand in range(brands):
        for _ in range(rng.poisson(1.5 * weeks)):
            start, length = int(rng.integers(0, n)), int(rng.integers(24, 73))
            part = slice(start, min(n, start + length))
            extra = rng.poisson(mean[brand, part] * rng.uniform(2, 5))
            posts[brand, part] += extra
            negative[brand, part] += rng.binomial(extra, 0.03)
        incidents += _incidents(rng, posts, negative, brand, hard=hard)
    return World(posts=posts, negative=negative, mean=mean, size=size, incidents=incidents)


def _incidents(
    rng: np.random.Generator, posts: Floats, negative: Floats, brand: int, *, hard: bool
) -> list[tuple[int, int, int]]:
    n, found = posts.shape[1], []
    least, low, high, power = (8, 0.4, 1.5, 2) if hard else (15, 1.0, 3.0, 1)
    start = WEEK + int(rng.integers(0, WEEK))
    while start < n - 288:
        tau = float(np.exp(rng.uniform(np.log(6), np.log(72))))
        length = min(int(6 * tau), n - start)
        x = (np.arange(length) + 0.5) / tau
        peak = max(least, LEVELS[brand % 4] * rng.uniform(low, high)) / 12
        extra = rng.poisson(peak * (x * np.exp(1 - x)) ** power)
        seen = np.flatnonzero(extra)
        if len(seen):
            posts[brand, start : start + length] += extra
            negative[brand, start : start + length] += rng.binomial(extra, 0.8)
            found.append((brand, start + int(seen[0]), start + int(seen[-1]) + 1))
        start += length + int(rng.integers(WEEK // 2, 2 * WEEK))
    return found


def write(world: World, folder: Path) -> tuple[Path, Path]:
    """The world as the two files that ``yujing backtest`` reads."""
    counts, incidents = folder / "counts.csv", folder / "incidents.jsonl"
    stamps = [iso(time_of(START + at)) for at in range(world.posts.shape[1])]
    with counts.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "brand", "posts", "negative"])
        for brand in range(len(world.posts)):
            rows = zip(stamps, world.posts[brand].astype(int), world.negative[brand].astype(int), strict=True)
            writer.writerows((stamp, f"b{brand:02d}", posts, negative) for stamp, posts, negative in rows)
    with incidents.open("w") as file:
        for each in known(world):
            row = {"brand": each.brand, "start": iso(each.start), "end": iso(each.end)}
            file.write(json.dumps(row) + "\n")
    return counts, incidents


def known(world: World) -> list[Known]:
    """The incidents of a world."""
    return [
        Known(brand=f"b{brand:02d}", start=time_of(START + first), end=time_of(START + end))
        for brand, first, end in world.incidents
    ]


def sums(values: Floats, width: int) -> Floats:
    """Sum of the last ``width`` buckets at every bucket."""
    total = np.cumsum(np.pad(values, ((0, 0), (width, 0))), axis=1)
    return np.asarray(total[:, width:] - np.pad(total, ((0, 0), (width, 0)))[:, width:-width])


def oracle(world: World) -> npt.NDArray[np.bool_]:
    """The detector with the true mean, variance and share."""
    best = np.zeros_like(world.negative)
    mean = world.mean * 0.12
    for width in (1, 3, 12):
        m = sums(mean, width)
        phi = 1 + sums(mean**2, width) / world.size / m
        best = np.maximum(best, tail(sums(world.negative, width), m, phi, np.zeros_like(m)))
    k, posts = sums(world.negative, 12), sums(world.posts, 12)
    z = (k - 0.12 * posts) / np.sqrt(np.maximum(posts, 1) * 0.12 * 0.88)
    return np.asarray((best >= 3) & (z > 2) & (k >= 5))


def spike_rule(world: World) -> npt.NDArray[np.bool_]:
    """ElastAlert 2: this hour against the hour before, ratio 3, floor 10."""
    now = sums(world.negative, 12)
    before = np.pad(now, ((0, 0), (12, 0)))[:, :-12]
    return np.asarray((now >= 10) & (now > 3 * before))


def as_raised(fires: npt.NDArray[np.bool_]) -> list[Raised]:
    """Firing buckets as alerts: a new one after six quiet hours."""
    found = []
    for brand, row in enumerate(fires):
        last = -WEEK
        for at in np.flatnonzero(row).tolist():
            if at - last > 72:
                found.append(Raised(alert=_alert(f"b{brand:02d}", START + at + 1), detector="peer"))
            last = at
    return found


def _alert(brand: str, bucket: int) -> Alert:
    at = time_of(bucket)
    return Alert(
        id=f"{brand}-{bucket}", fingerprint=brand, revision=1, change=Change.NEW, brand=brand, topics=(),
        level=Level.BLUE, score=0, reasons=(), state=AlertState.FIRING, onset=at, at=at, first_at=at, explanation="",
    )  # fmt: skip


def ours(folder: Path) -> tuple[list[Raised], list[Known], float]:
    """What the service raises over the files, the incidents, brand-weeks."""
    counts, incidents = folder / "counts.csv", folder / "incidents.jsonl"

    def complain(text: str) -> None:
        raise ValueError(text)

    table = read_counts(counts, complain=complain)
    brands = [Brand(id=id_, name=id_) for id_ in table.layout.brands]
    raised = list(replay(counts=table, posts=ReplayPosts([]), brands=brands, topics=(), rules=Rules()))
    return raised, read_incidents(incidents, complain=complain), brand_weeks(table)


def show(name: str, raised: Sequence[Raised], incidents: list[Known], weeks: float) -> Summary:
    """Print a detector's scores, over all and by volume."""
    total = summarise(raised, weeks, incidents)
    print(f"{name:22s} {_scores(total)}")
    for level, posts in enumerate(LEVELS):
        mine = {f"b{brand:02d}" for brand in range(level, 48, 4)}
        part = summarise(
            [each for each in raised if each.alert.brand in mine],
            weeks / 4,
            [i for i in incidents if i.brand in mine],
        )
        print(f"  {posts:4d} posts/h          {_scores(part)}")
    return total


def _scores(found: Summary) -> str:
    return (
        f"recall {found.recall or 0:.3f}  precision {found.precision or 0:.3f}  "
        f"median delay {found.median_delay_min or 0:5.1f} min  false {found.false_per_brand_week or 0:.2f} a brand-week"
    )


def main() -> int:
    """Run it; 0 when the pass marks are met."""
    parser = argparse.ArgumentParser(description="incident injection")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weeks", type=int, default=10)
    parser.add_argument("--hard", action="store_true")
    args = parser.parse_args()
    world = make(seed=args.seed, weeks=args.weeks, hard=args.hard)
    print(
        f"{len(world.incidents)} incidents, {world.posts.size} buckets, seed {args.seed}, {datetime.now(UTC):%F}"
    )
    with tempfile.TemporaryDirectory() as name:
        write(world, Path(name))
        began = time.monotonic()
        raised, incidents, weeks = ours(Path(name))
        seconds = timedelta(seconds=round(time.monotonic() - began))
    total = show("yujing backtest", raised, incidents, weeks)
    print(f"  took {seconds}")
    show("oracle (true baseline)", as_raised(oracle(world)), incidents, weeks)
    show("spike rule 3x, 1 h", as_raised(spike_rule(world)), incidents, weeks)
    passed = (
        (total.recall or 0) >= 0.97
        and (total.median_delay_min or 999) <= 45
        and (total.false_per_brand_week or 0) <= 0.5
    )
    return 0 if passed or args.hard else 1


if __name__ == "__main__":
    sys.exit(main())
