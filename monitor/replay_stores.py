"""Stores in memory for a replay: the watch runs on them unchanged, and nothing of it stays."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np

from domain.alert import Alert, AlertState
from domain.assessment import Sentiment
from domain.errors import StoreError
from domain.signal import Signal
from domain.source_run import SourceRun
from monitor.series import NEGATIVE, POSTS, STORIES, Floats, Layout, Window, bucket_of
from store.posts import Judged


class ReplayStates:
    """``store.ledger.States``."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, dict[str, object]]] = {}

    def load(self, kind: str) -> Mapping[str, dict[str, object]]:
        """All documents of a kind."""
        return self._kinds.get(kind, {})

    def save(self, kind: str, documents: Mapping[str, dict[str, object]]) -> None:
        """Replace the named documents."""
        self._kinds.setdefault(kind, {}).update(documents)

    def replace(self, kind: str, documents: Mapping[str, dict[str, object]]) -> None:
        """Replace everything of a kind."""
        self._kinds[kind] = dict(documents)


class ReplaySignals:
    """``store.ledger.Signals``."""

    def __init__(self) -> None:
        self._brands: dict[str, dict[str, Signal]] = {}

    def record(self, signals: Sequence[Signal]) -> list[Signal]:
        """Store those not stored yet."""
        new = []
        for signal in signals:
            known = self._brands.setdefault(signal.brand, {})
            if signal.id not in known:
                known[signal.id] = signal
                new.append(signal)
        return new

    def get(self, ids: Sequence[str]) -> list[Signal]:
        """By id."""
        return [known[id_] for id_ in ids for known in self._brands.values() if id_ in known]

    def since(self, at: datetime, *, brand: str = "") -> list[Signal]:
        """Newest first."""
        found: list[Signal] = []
        for name, known in self._brands.items():
            if not brand or name == brand:
                # In order of time by the way they came: stop at the first that is too old.
                for signal in reversed(known.values()):
                    if signal.at < at:
                        break
                    found.append(signal)
        return sorted(found, key=lambda signal: signal.at, reverse=True)


class ReplayAlerts:
    """``store.ledger.Alerts``; open alerts are kept apart, for there are few."""

    def __init__(self) -> None:
        self._newest: dict[str, Alert] = {}
        self._open: dict[str, Alert] = {}

    def put(self, alert: Alert) -> bool:
        """Store a revision when it is the next one."""
        known = self._newest.get(alert.id)
        if alert.revision != (known.revision + 1 if known else 1):
            return False
        if any(o.fingerprint == alert.fingerprint and o.id != alert.id for o in self._open.values()):
            return False
        self._newest[alert.id] = alert
        self._open.pop(alert.id, None)
        if alert.state is not AlertState.RESOLVED:
            self._open[alert.id] = alert
        return True

    def get(self, id_: str) -> Alert | None:
        """The newest revision."""
        return self._newest.get(id_)

    def find(
        self,
        *,
        brand: str | None = None,
        states: Iterable[AlertState] = (),
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        """Newest first."""
        wanted = set(states)
        alerts = self._newest.values() if not wanted or AlertState.RESOLVED in wanted else self._open.values()
        found = [
            alert
            for alert in alerts
            if (brand is None or alert.brand == brand)
            and (not wanted or alert.state in wanted)
            and (since is None or alert.at >= since)
        ]
        return sorted(found, key=lambda alert: alert.at, reverse=True)[:limit]

    def pending(self) -> list[Alert]:
        """Nobody handles a replay's alerts: all of them, oldest first."""
        return sorted(self._newest.values(), key=lambda alert: alert.at)

    def handled(self, alert: Alert, *, at: datetime) -> bool:
        """Never: a replay sends nothing."""
        raise StoreError(f"重放不处理预警 {alert.id}（{at.isoformat()}）")

    def set_state(self, id_: str, state: AlertState, *, expect: Iterable[AlertState]) -> bool:
        """Never: nobody acknowledges in a replay."""
        raise StoreError(f"重放不改预警状态 {id_}（{state}，{list(expect)}）")


class ReplayRuns:
    """``store.ledger.SourceRuns`` without any run: in a replay no source is blind."""

    def record(self, run: SourceRun) -> None:
        """Never: a replay crawls nothing."""
        raise StoreError(f"重放不记录抓取 {run.source}")

    def last(self) -> Mapping[str, SourceRun]:
        """None."""
        return {}

    def last_seeing(self, *, until: datetime | None = None) -> Mapping[str, datetime]:
        """None."""
        del until
        return {}

    def history(self, source: str, *, limit: int = 50) -> list[SourceRun]:
        """None."""
        del source, limit
        return []

    def seen(self, source: str, keys: Sequence[str]) -> Mapping[str, str]:
        """None."""
        del source, keys
        return {}

    def mark(self, source: str, marks: Mapping[str, str], *, at: datetime) -> None:
        """Never: a replay crawls nothing."""
        raise StoreError(f"重放不记录抓取 {source}（{len(marks)} 条，{at.isoformat()}）")


class ReplayLedger:
    """What the watch needs of the ledger."""

    def __init__(self) -> None:
        self.states = ReplayStates()
        self.signals = ReplaySignals()
        self.alerts = ReplayAlerts()
        self.source_runs = ReplayRuns()


class TableCounts:
    """``Counts`` from one array over the whole time; outside of it there is nothing."""

    def __init__(self, *, layout: Layout, first: int, counts: Floats) -> None:
        self.layout = layout
        self.first = first
        self._counts = counts

    @property
    def end(self) -> int:
        """The bucket after the last."""
        return self.first + int(self._counts.shape[2])

    def read(self, layout: Layout, since: int, until: int) -> Window:
        """A slice, padded with zeros where it leaves the table. Raises ``ValueError`` for another layout."""
        if layout != self.layout:
            raise ValueError("the table has another layout")
        low, high = max(since, self.first), min(until, self.end)
        if low == since and high == until:
            return Window(first=since, counts=self._counts[:, :, since - self.first : until - self.first])
        counts = np.zeros((3, layout.size, max(0, until - since)))
        if low < high:
            counts[:, :, low - since : high - since] = self._counts[
                :, :, low - self.first : high - self.first
            ]
        return Window(first=since, counts=counts)


class ReplayPosts:
    """The posts of a replay, by time of publication: what ``Watch`` asks of the posts store."""

    def __init__(self, posts: Iterable[tuple[Judged, dict[str, Sentiment]]]) -> None:
        """Posts, each with its sentiment towards every brand it names."""
        self._posts = sorted(posts, key=lambda pair: pair[0].post.published_at)
        self._times = [judged.post.published_at for judged, _ in self._posts]

    def top(
        self,
        *,
        brand: str,
        since: datetime,
        until: datetime,
        topic: str = "",
        sentiment: Sentiment | None = Sentiment.NEGATIVE,
        limit: int = 10,
        per_story: int = 1,
    ) -> list[Judged]:
        """The most influential posts, at most ``per_story`` of one story."""
        found = [
            judged
            for judged, brands in self._posts[
                bisect_left(self._times, since) : bisect_left(self._times, until)
            ]
            if brand in brands
            and (sentiment is None or brands[brand] is sentiment)
            and (not topic or any(each.id == topic for each in judged.assessment.topics))
        ]
        found.sort(key=lambda judged: (-judged.assessment.influence, judged.post.id))
        stories: dict[str, int] = {}
        kept = []
        for judged in found:
            stories[judged.story] = stories.get(judged.story, 0) + 1
            if stories[judged.story] <= per_story:
                kept.append(judged)
        return kept[:limit]

    def table(self, layout: Layout) -> TableCounts:
        """Counts of every brand and topic in buckets from the first post to the last."""
        if not self._posts:
            return TableCounts(layout=layout, first=0, counts=np.zeros((3, layout.size, 0)))
        first, end = bucket_of(self._times[0]), bucket_of(self._times[-1]) + 1
        counts = np.zeros((3, layout.size, end - first))
        place = {layout.key(i): i for i in range(layout.size)}
        stories: set[tuple[int, int, str]] = set()
        for judged, brands in self._posts:
            if judged.post.date_only:
                continue
            at = bucket_of(judged.post.published_at) - first
            for brand, sentiment in brands.items():
                for topic in ("", *(each.id for each in judged.assessment.topics)):
                    index = place.get((brand, topic))
                    if index is None:
                        continue
                    counts[POSTS, index, at] += 1
                    if sentiment is Sentiment.NEGATIVE:
                        counts[NEGATIVE, index, at] += 1
                        story = (index, at, judged.story)
                        if story not in stories:
                            stories.add(story)
                            counts[STORIES, index, at] += 1
        return TableCounts(layout=layout, first=first, counts=counts)
