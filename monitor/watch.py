"""The watch: reads counts, compares them with what is usual, records signals and keeps alerts.

Every tick is a function of the stored counts, the stored state and ``now``: run again it changes nothing,
run by two processes it happens once (ids are derived, revisions conditional), killed anywhere it goes on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import numpy as np

from config.settings import Brand, Rules, Source, Topic
from domain.alert import Alert, Level
from domain.plan import Plan
from domain.signal import Signal, signal_id
from monitor.detectors import SLOW_HOURS, Finding, Look, crowded, finding, look, onset
from monitor.evidence import MOST_POSTS, PER_STORY, Evidence, concerns, gather, ranked_topics, sample
from monitor.keeper import Keeper
from monitor.levels import Judgement, grave_topic, judge
from monitor.listening import Listener, Voice
from monitor.operators import operator_alerts
from monitor.ports import TopPosts, WatchLedger
from monitor.revisions import OPEN, Situation, born, grown, matching, recounted, recovered, stopped
from monitor.rules import LIMITS
from monitor.series import (
    NEGATIVE,
    PER_DAY,
    PER_HOUR,
    STEP_S,
    Counts,
    Layout,
    StoredCounts,
    Window,
    bucket_of,
    time_of,
)
from monitor.sources import blind_sources
from store.posts import Judged, Posts

_LOOKBACK = 10 * PER_HOUR
"""Buckets read at least: an onset may lie so far back."""
_DELAY_MIN = 10
"""Minutes that judging may take on top of a source's crawl interval."""
_MOST_OPEN = 10_000


@dataclass(frozen=True, kw_only=True)
class Tick:
    """What a tick found: signals recorded and alert revisions stored by this very call."""

    signals: tuple[Signal, ...]
    alerts: tuple[Alert, ...]


class Watch:
    """Watches all brands. Counts come from the posts store unless ``counts`` are given."""

    def __init__(
        self,
        *,
        posts: TopPosts,
        ledger: WatchLedger,
        brands: Sequence[Brand],
        topics: Sequence[Topic],
        rules: Rules,
        sources: Sequence[Source] = (),
        plans: Mapping[str, Plan] | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._posts = posts
        self._ledger = ledger
        self._brands = tuple(brands)
        self._rules = rules
        self._sources = tuple(source for source in sources if source.enabled)
        self._weights = {topic.id: topic.weight for topic in topics}
        self._names = {topic.id: topic.name for topic in topics}
        known = plans or {}
        self._layout = Layout(brands=tuple(b.id for b in brands), topics=tuple(t.id for t in topics))
        self._counts = counts or StoredCounts(cast(Posts, posts))
        self._keeper = Keeper(
            counts=self._counts, states=ledger.states, layout=self._layout, settings=rules.baselines
        )
        # A post counts at its time of publication but is known only after the next crawl: windows that ended
        # so long ago are judged again. Older ones never are, so late arrivals raise no alert.
        late = max((source.every_min + _DELAY_MIN for source in self._sources), default=0)
        self._late = min(PER_HOUR, math.ceil(late * 60 / STEP_S))
        self._listener = Listener(
            keeper=self._keeper,
            layout=self._layout,
            brands=self._brands,
            names=self._names,
            red={t.id for t in topics if t.plan in known and known[t.plan].level >= Level.RED},
            rules=rules.detection,
            late=self._late,
            top=self._top,
        )

    # ---------------------------------------------------------------------- what others call

    def tick(self, now: datetime) -> Tick:
        """Look at everything up to the last whole bucket before ``now``. Raises ``StoreError``."""
        end = bucket_of(now)
        at = time_of(end)
        blind = blind_sources(self._sources, self._ledger.source_runs, now) if self._sources else {}
        signals, alerts = operator_alerts(
            self._ledger.signals, self._ledger.alerts, self._sources, blind, at=at
        )
        if self._layout.brands:
            self._keeper.advance(end)
            first = min(self._keeper.baseline.absorbed_until, end - _LOOKBACK)
            window = self._counts.read(self._layout, first, end)
            seen = look(self._keeper.baseline, window, end)
            voices = self._listener.voices(window, seen)
            open_alerts = self._open_by_brand()
            alerts += self._stop(open_alerts, at)
            for index, brand in enumerate(self._brands):
                heard, known = voices.get(index, []), open_alerts.get(brand.id, [])
                if heard or known:
                    found = self._brand(index, heard, known, window, seen, tuple(sorted(blind)))
                    signals += found.signals
                    alerts += found.alerts
        return Tick(signals=tuple(signals), alerts=tuple(alerts))

    def rebuild(self, now: datetime) -> None:
        """Learn the baselines anew from the stored counts. Raises ``StoreError``."""
        self._keeper.rebuild(bucket_of(now))

    def recount(self, now: datetime, *, why: str) -> None:
        """Baselines anew, and open alerts brought to the counts of another model, without telling anybody.

        Without it the next tick would compare the new counts with what was told of the old ones, and mail the
        difference as a new high. Raises ``StoreError``.
        """
        end = bucket_of(now)
        self._keeper.rebuild(end, why=why)
        if not self._layout.brands:
            return
        seen = look(self._keeper.baseline, self._counts.read(self._layout, end - _LOOKBACK, end), end)
        known = self._open_by_brand()
        for index, brand in enumerate(self._brands):
            for alert in known.get(brand.id, []):
                series = index * self._layout.width + self._lead_place(alert)
                now_counted = finding(seen, series, "negative_tail")
                hours = self._rules.detection.new_high_hours
                revision = recounted(alert, now_counted, at=time_of(end), new_high_hours=hours)
                if revision is not None and self._ledger.alerts.put(revision):
                    self._ledger.alerts.handled(revision, at=time_of(end))

    def _lead_place(self, alert: Alert) -> int:
        """Which series of its brand an alert's numbers are of: 0, the whole brand, or a topic's place."""
        for signal in self._ledger.signals.get(alert.signals[:1]):
            if signal.topic in self._layout.topics:
                return 1 + self._layout.topics.index(signal.topic)
        return 0

    def band(
        self, brand: str, topic: str, since: datetime, until: datetime, step_s: int
    ) -> list[tuple[datetime, float, float, float]]:
        """Usual negatives: (bucket start, mean, low, high), low and high two standard deviations away.

        Buckets start at ``since + i · step_s``. Empty for a brand that is not watched or whose history is thin.
        """
        if not self._keeper.load() or brand not in self._layout.brands:
            return []
        baseline = self._keeper.baseline
        index = self._layout.brands.index(brand)
        if baseline.history_hours(index) < self._rules.detection.min_history_hours:
            return []
        series = index * self._layout.width
        if topic:
            if topic not in self._layout.topics:
                return []
            series += 1 + self._layout.topics.index(topic)
        found = []
        start = since
        while start < until:
            expected = baseline.expect(
                bucket_of(start), max(bucket_of(start) + 1, bucket_of(start) + step_s // STEP_S)
            )
            mean = float(expected.mean[NEGATIVE, series].sum()) * min(1.0, step_s / STEP_S)
            phi = float(expected.phi[2 if step_s >= 3600 else 0][NEGATIVE, series])
            spread = 2 * math.sqrt(phi * mean + float(expected.doubt[NEGATIVE, series]) * mean**2)
            found.append((start, mean, max(0.0, mean - spread), mean + spread))
            start += timedelta(seconds=step_s)
        return found

    # ----------------------------------------------------------------------------- a brand

    def _brand(
        self,
        index: int,
        voices: list[Voice],
        open_alerts: list[Alert],
        window: Window,
        seen: Look,
        blind: tuple[str, ...],
    ) -> Tick:
        brand = self._brands[index]
        at = time_of(seen.end)
        rules = self._rules.detection
        alarming = [
            voice
            for voice in voices
            if voice.finding.detector != "volume"
            or (voice.finding.share_z > rules.share_z and voice.finding.negatives >= rules.min_negatives)
        ]
        silent = [voice for voice in voices if voice not in alarming]
        if not brand.alerts:
            silent, alarming = voices, []
        recorded = self._record_new_highs(brand.id, silent, at)
        stored: list[Alert] = []
        touched: set[str] = set()
        for group in self._groups(brand, alarming, seen.end):
            situation = self._situation(brand.id, group, window, seen.end, blind)
            alert = matching(open_alerts, situation, self._weights)
            if alert is not None:
                touched.add(alert.id)
            if alert is None:
                revision: Alert | None = born(situation, at=at)
            else:
                revision = grown(alert, situation, at=at, new_high_hours=rules.new_high_hours)
            if revision is not None:
                recorded += self._ledger.signals.record(situation.signals)
                stored += [revision] if self._ledger.alerts.put(revision) else []
        leads = {alert.lead_topic for alert in (*open_alerts, *stored)}
        for alert in open_alerts:
            if alert.id not in touched:
                apart = leads - {alert.lead_topic}
                stored += self._carry_on(index, alert, window, seen, blind, apart)
        return Tick(signals=tuple(recorded), alerts=tuple(stored))

    def _open_by_brand(self) -> dict[str, list[Alert]]:
        """Open alerts, newest first."""
        found: dict[str, list[Alert]] = {}
        for alert in self._ledger.alerts.find(states=OPEN, limit=_MOST_OPEN):
            found.setdefault(alert.brand, []).append(alert)
        return found

    def _stop(self, open_alerts: dict[str, list[Alert]], at: datetime) -> list[Alert]:
        """Take out and end the alerts of brands that raise none any more: switched off, or not in the settings."""
        alerting = {brand.id for brand in self._brands if brand.alerts}
        gone = sorted(open_alerts.keys() - alerting - {""})
        ended = [stopped(alert, at=at) for brand in gone for alert in open_alerts.pop(brand)]
        return [alert for alert in ended if self._ledger.alerts.put(alert)]

    def _record_new_highs(self, brand: str, voices: Iterable[Voice], at: datetime) -> list[Signal]:
        """Signals that raise no alert are kept once a day unless they grow."""
        found = [self._signal(brand, voice, at, ()) for voice in voices]
        if not found:
            return []
        since = at - timedelta(hours=self._rules.detection.new_high_hours)
        known = self._ledger.signals.since(since, brand=brand)
        new = [
            signal
            for signal in found
            if not any(
                old.detector == signal.detector
                and old.topic == signal.topic
                and old.observed >= signal.observed / 1.25
                for old in known
            )
        ]
        return self._ledger.signals.record(new)

    def _groups(self, brand: Brand, voices: list[Voice], end: int) -> list[list[Voice]]:
        """Findings that belong together: all of them beside one of the whole brand, else by shared posts."""
        if len(voices) < 2 or any(not self._layout.key(voice.finding.series)[1] for voice in voices):
            return [voices] if voices else []
        posts = self._top(brand.id, end - PER_HOUR - self._late, end)
        carriers = [{topic.id for topic in judged.assessment.topics} for judged in posts]
        groups: list[list[Voice]] = []
        for voice in voices:
            topic = self._layout.key(voice.finding.series)[1]
            linked = [
                group
                for group in groups
                if any(
                    topic == other or any({topic, other} <= each for each in carriers)
                    for other in (self._layout.key(member.finding.series)[1] for member in group)
                )
            ]
            groups = [group for group in groups if group not in linked]
            groups.append([*(member for group in linked for member in group), voice])
        return groups

    def _situation(
        self, brand: str, group: list[Voice], window: Window, end: int, blind: tuple[str, ...]
    ) -> Situation:
        lead = self._lead(group)
        began = min(onset(self._keeper.baseline, window, lead.finding.series, end), end - 1)
        evidence = self._evidence(brand, min(began, end - PER_HOUR), end)
        spoken = tuple(t for t in (self._layout.key(v.finding.series)[1] for v in group) if t)
        ranked = ranked_topics(evidence, self._weights)
        topics = (*ranked, *dict.fromkeys(topic for topic in spoken if topic not in ranked))
        if spoken and not any(not self._layout.key(v.finding.series)[1] for v in group):
            # Only topics spoke: one of them leads.
            topics = tuple(sorted(topics, key=lambda topic: topic not in spoken))
        usual = self._usual(brand, window, began, end)
        grave = grave_topic(self._judge(lead.finding, evidence, topics, usual=usual), topics)
        if grave:
            topics = (grave, *(topic for topic in topics if topic != grave))
        posts = tuple(judged.post.id for judged in evidence.posts)
        signals = tuple(
            self._signal(brand, voice, time_of(end), posts)
            for voice in [lead, *(v for v in group if v is not lead)]
        )
        return Situation(
            brand=brand,
            topics=topics,
            finding=lead.finding,
            judgement=self._judge(lead.finding, evidence, topics, usual=usual),
            explanation=lead.text,
            signals=signals,
            posts=posts,
            onset=time_of(began),
            incomplete=blind,
            grave=grave,
        )

    def _lead(self, group: list[Voice]) -> Voice:
        """The finding of the whole brand, else the strongest; learned ones before limits."""
        return min(
            group,
            key=lambda v: (
                v.finding.detector in LIMITS,
                self._layout.key(v.finding.series)[1] != "",
                -v.finding.tail,
            ),
        )

    def _judge(
        self,
        each: Finding,
        evidence: Evidence,
        topics: tuple[str, ...],
        *,
        usual: Collection[str],
        fired: bool = True,
    ) -> Judgement:
        return judge(
            each,
            evidence,
            topics,
            weights=self._weights,
            names=self._names,
            thresholds=self._rules.levels,
            fired=fired,
            usual=usual,
        )

    def _usual(self, brand: str, window: Window, since: int, end: int) -> frozenset[str]:
        """Topics of a brand of which no more has been said since then than at other times."""
        first = self._layout.brands.index(brand) * self._layout.width + 1
        more = crowded(self._keeper.baseline, window, since, end)
        return frozenset(t for i, t in enumerate(self._layout.topics, first) if not more[i])

    def _carry_on(
        self,
        index: int,
        alert: Alert,
        window: Window,
        seen: Look,
        blind: tuple[str, ...],
        apart: Collection[str],
    ) -> list[Alert]:
        """An open alert of which no detector speaks now: its level may still rise, or it is over.

        ``apart``: lead topics of the brand's other alerts; what is said of these raises them and not this one.
        """
        at = time_of(seen.end)
        whole = index * self._layout.width
        series = [whole]
        series += [whole + 1 + self._layout.topics.index(t) for t in alert.topics if t in self._layout.topics]
        now = finding(seen, whole + self._lead_place(alert), "negative_tail")
        revision = None
        if not blind and self._over(alert, series, window, seen, at):
            topic, hours = self._listener.topic_of(now), self._rules.levels.downgrade_after_hours
            revision = recovered(alert, now, topic=topic, at=at, hours=hours)
        elif seen.negatives[whole] > 0:
            since = max(bucket_of(alert.onset), seen.end - PER_DAY)
            evidence = self._evidence(alert.brand, since, seen.end)
            evidence = gather([each for each in evidence.posts if concerns(each, alert.lead_topic, apart)])
            usual = self._usual(alert.brand, window, since, seen.end)
            judgement = self._judge(now, evidence, alert.topics, usual=usual, fired=False)
            situation = Situation(
                brand=alert.brand,
                topics=alert.topics,
                finding=now,
                judgement=judgement,
                explanation=self._listener.rise(now, judgement),
                signals=(),
                posts=tuple(judged.post.id for judged in evidence.posts),
                onset=alert.onset,
                incomplete=blind,
            )
            hours = self._rules.detection.new_high_hours
            revision = grown(alert, situation, at=at, new_high_hours=hours)
        return [revision] if revision is not None and self._ledger.alerts.put(revision) else []

    def _over(self, alert: Alert, series: Sequence[int], window: Window, seen: Look, at: datetime) -> bool:
        """A < 1 and the share normal now, and nothing firing for ``downgrade_after_hours``."""
        rules, hours = self._rules.detection, self._rules.levels.downgrade_after_hours
        if at - alert.at < timedelta(hours=hours):
            return False
        calm = (seen.tail[series] < 1) | (seen.negatives[series] < rules.min_negatives)
        normal = (seen.share_z[series] <= rules.share_z) | (seen.negatives[series] < rules.min_negatives)
        if not bool(np.all(calm & normal)):
            return False
        first = seen.end - int(hours * PER_HOUR)
        if first - SLOW_HOURS * PER_HOUR < window.first:
            window = self._counts.read(self._layout, first - SLOW_HOURS * PER_HOUR, seen.end)
        return not self._listener.fired(series, window, first)

    # ------------------------------------------------------------------------------ pieces

    def _evidence(self, brand: str, since: int, until: int) -> Evidence:
        topics = self._layout.topics
        return gather(sample(self._posts, brand, topics, since=time_of(since), until=time_of(until)))

    def _top(self, brand: str, since: int, until: int) -> list[Judged]:
        return self._posts.top(
            brand=brand, since=time_of(since), until=time_of(until), limit=MOST_POSTS, per_story=PER_STORY
        )

    def _signal(self, brand: str, voice: Voice, at: datetime, posts: tuple[str, ...]) -> Signal:
        each, topic = voice.finding, self._layout.key(voice.finding.series)[1]
        volume = each.detector == "volume"
        return Signal(
            id=signal_id(at=at, brand=brand, topic=topic, detector=each.detector),
            at=at,
            brand=brand,
            topic=topic,
            detector=each.detector,
            window_min=60 if volume else each.window_min,
            observed=each.posts if volume else each.observed,
            expected=round(each.expected, 3),
            tail=round(each.tail, 2),
            share=round(each.share, 4),
            usual_share=round(each.usual_share, 4),
            share_z=round(each.share_z, 2),
            explanation=voice.text,
            posts=posts[:20],
        )
