"""Replays history through the watch itself and scores what it raised against known incidents."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.settings import Brand, Rules, Topic
from domain.alert import Alert, Change
from monitor.replay_stores import ReplayLedger, ReplayPosts, TableCounts
from monitor.series import PER_DAY, time_of
from monitor.watch import Watch

_GRACE = timedelta(hours=6)
"""An alert so soon after an incident belongs to it: posts about it are still being written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """An incident that is known to have happened."""

    brand: str
    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """A revision of an alert."""

    alert: Alert
    detector: str
    """Detector of its lead signal."""

    @property
    def told(self) -> bool:
        """Whether people would be told of a crisis: what a backtest prints and scores. A recovery is none."""
        return self.alert.change is not Change.RECOVERED


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """Scores; None where there is nothing to divide by, or no incidents were given."""

    alerts: int
    """Alerts raised, updated and escalated."""
    brand_weeks: float
    recall: float | None = None
    """Incidents with an alert of their brand raised, updated or escalated between start and end ÷ incidents."""
    precision: float | None = None
    """Alerts told in an incident or up to 6 h after it ÷ alerts (updates and escalations are the same alert)."""
    median_delay_min: float | None = None
    """From the start to the first of these, over the incidents found."""
    false_per_brand_week: float | None = None


def replay(
    *,
    counts: TableCounts,
    posts: ReplayPosts,
    brands: Sequence[Brand],
    topics: Sequence[Topic],
    rules: Rules,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Iterator[Raised]:
    """Every revision that the watch makes, ticking through the whole table, in order of time."""
    detectors: dict[str, str] = {}
    watch = Watch(
        posts=posts, ledger=ReplayLedger(), brands=brands, topics=topics, rules=rules, counts=counts
    )
    step = max(1, rules.detection.tick_min // 5)
    total = counts.end - counts.first
    for done, bucket in enumerate(range(counts.first + 1, counts.end + 1, step)):
        tick = watch.tick(time_of(bucket))
        detectors |= {signal.id: signal.detector for signal in tick.signals}
        for alert in tick.alerts:
            yield Raised(alert=alert, detector=detectors.get(alert.signals[0], "") if alert.signals else "")
        progress(min(total, (done + 1) * step), total)


def brand_weeks(counts: TableCounts) -> float:
    """Weeks of the table × brands."""
    return len(counts.layout.brands) * (counts.end - counts.first) / (7 * PER_DAY)


def summarise(raised: Sequence[Raised], weeks: float, known: Sequence[Known] | None) -> Summary:
    """Scores of a replay."""
    episodes: dict[str, list[Alert]] = {}
    told = [each.alert for each in raised if each.told]
    for revision in told:
        episodes.setdefault(revision.id, []).append(revision)
    if known is None:
        return Summary(alerts=len(told), brand_weeks=weeks)
    delays = []
    for incident in known:
        times = [
            revision.at
            for revision in told
            if revision.brand == incident.brand and incident.start <= revision.at <= incident.end
        ]
        if times:
            delays.append((min(times) - incident.start).total_seconds() / 60)
    true = sum(any(_touches(revision, known) for revision in each) for each in episodes.values())
    return Summary(
        alerts=len(told),
        brand_weeks=weeks,
        recall=len(delays) / len(known) if known else None,
        precision=true / len(episodes) if episodes else None,
        median_delay_min=statistics.median(delays) if delays else None,
        false_per_brand_week=(len(episodes) - true) / weeks if weeks else None,
    )


def _touches(revision: Alert, known: Sequence[Known]) -> bool:
    return any(
        revision.brand == incident.brand and incident.start <= revision.at <= incident.end + _GRACE
        for incident in known
    )
