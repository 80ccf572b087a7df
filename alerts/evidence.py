"""Gathers what an alert mail shows: every number is a count of posts in the store, or says that it is not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerts.chosen import choose, post_line, spread_of
from alerts.claims import digest
from alerts.doubts import Blind, doubts
from alerts.stages import over
from alerts.view import AlertView, Companion, Duty, Hour, NextStep, Series, Step
from alerts.words import moment, plain
from domain.alert import Alert, Level
from domain.assessment import Sentiment
from domain.errors import StoreError
from domain.incident import Incident
from domain.plan import LegalClock, Plan, PlanRun, TaskStatus
from domain.post import Post
from store.ledger import Ledger
from store.posts import Judged, Posts, Query, Sort

HOURS = 24
MOST_POSTS = 500
"""Negative posts read for one mail, most influential first."""
MOST_TIMED = 40
"""Posts whose first fetch is looked up for the delay."""
STEPS = 3
"""Tasks named as the next step."""
TICK = timedelta(minutes=5)

Band = Callable[[str, str, datetime, datetime, int], Sequence[tuple[datetime, float, float, float]]]
"""(brand id, topic id or "", since, until, step in seconds) → (bucket start, mean, low, high) of usual negatives.

Buckets start at ``since + i · step``; those without enough history are left out.
"""


class Evidence:
    """Assembles an :class:`AlertView` from the posts and the ledger; names are handed in by id."""

    def __init__(
        self,
        *,
        posts: Posts,
        ledger: Ledger,
        band: Band,
        plan_for: Callable[[str, Level], Plan | None],
        brands: Mapping[str, str],
        brand_words: Mapping[str, Sequence[str]],
        topics: Mapping[str, str],
        sources: Mapping[str, str],
        platforms: Mapping[str, str],
    ) -> None:
        self._posts = posts
        self._ledger = ledger
        self._band = band
        self._plan_for = plan_for
        self._brands = brands
        self._brand_words = brand_words
        self._topics = topics
        self._sources = sources
        self._platforms = platforms

    def collect(self, alert: Alert, incident: Incident | None, *, now: datetime) -> AlertView:
        """What is known about an alert at ``alert.at``, with the incident's plan as it stands ``now``.

        A store of posts that refuses makes the mail thinner, never late: the mail says so.
        """
        view = self._frame(alert, incident)
        if not alert.brand:
            return replace(view, facts=self._crawls(alert.source))
        view = replace(view, next_step=self._next_step(alert, incident))
        try:
            return self._with_posts(view, now=now)
        except StoreError as error:
            return replace(view, unknowns=(f"帖子库读不出来（{error}），本邮件没有帖子和图", *view.unknowns))

    def companion(self, alert: Alert) -> Companion:
        """How a lesser alert of the same brand is told in another one's mail."""
        return Companion(
            word="已结束" if over(alert) else f"{alert.level.colour}色",
            topic=self._topic_name(alert.lead_topic),
            explanation=alert.explanation,
        )

    def _frame(self, alert: Alert, incident: Incident | None) -> AlertView:
        counted = self._series_topic(alert)
        return AlertView(
            alert=alert,
            incident=incident,
            brand=self._brands.get(alert.brand, alert.brand),
            topic=self._topic_name(alert.lead_topic),
            topics=tuple(self._topic_name(topic) for topic in alert.topics),
            counted=self._topic_name(counted) if counted != alert.lead_topic else "",
            source=self._sources.get(alert.source, alert.source),
            since=max(min(alert.onset, alert.at - timedelta(hours=1)), alert.at - timedelta(hours=HOURS)),
        )

    def _topic_name(self, topic: str) -> str:
        return self._topics.get(topic, topic)

    def _with_posts(self, view: AlertView, *, now: datetime) -> AlertView:
        alert = view.alert
        topic = self._series_topic(alert)
        series = self._series(alert, topic)
        read, total = self._negatives(alert, topic, view.since)
        if topic and all(judged.post.date_only for judged in read):
            read, total = self._negatives(alert, "", view.since)
        found = [judged for judged in read if not judged.post.date_only]
        names = (view.brand, *self._brand_words.get(alert.brand, ()))
        claims = digest(found, names=names)
        chosen = choose(found, claims)
        view = replace(view, series=series, claims=claims)
        if found:
            lines = tuple(post_line(pick, found, self._platforms, self._sources) for pick in chosen)
            view = replace(view, posts=lines, spread=spread_of(found, self._platforms, self._sources))
        undated = len(read) - len(found)
        return replace(view, unknowns=self._doubts(view, found, total=total, undated=undated, now=now))

    def _crawls(self, source: str) -> tuple[str, ...]:
        """How the last crawl of a source ended, and when one last saw anything."""
        last = self._ledger.source_runs.last().get(source)
        seeing = self._ledger.source_runs.last_seeing().get(source)
        facts = [f"上次看得见：{moment(seeing)}" if seeing else "从未成功采集过"]
        if last:
            detail = f"，{plain(last.detail)}" if last.detail else ""
            facts.append(f"最近一次采集：{moment(last.ended_at)} 结束，{last.word}{detail}")
        facts.append(f"查看全部数据源：yujing status；马上再采一次：yujing crawl {source}")
        return tuple(facts)

    def _series_topic(self, alert: Alert) -> str:
        """The topic of the series that the alert's numbers come from; empty for the whole brand."""
        lead = self._ledger.signals.get(alert.signals[:1])
        return lead[0].topic if lead else alert.lead_topic

    def _negatives(self, alert: Alert, topic: str, since: datetime) -> tuple[list[Judged], int]:
        """Negative posts in [since, alert.at), most influential first, at most ``MOST_POSTS``; how many there are.

        The earliest is always among them: who wrote first has rarely much influence yet.
        """
        query = Query(
            brand=alert.brand,
            topic=topic,
            sentiment=Sentiment.NEGATIVE,
            since=since,
            until=alert.at,
            sort=Sort.INFLUENCE,
            limit=100,
        )
        page = self._posts.search(query)
        found = list(page.found)
        while page.next and len(found) < MOST_POSTS:
            page = self._posts.search(replace(query, after=page.next))
            found.extend(page.found)
        if page.next:
            oldest = self._posts.search(replace(query, sort=Sort.OLDEST)).found
            first = next((judged for judged in oldest if not judged.post.date_only), None)
            if first and all(judged.post.id != first.post.id for judged in found):
                found[-1] = first
        return found, page.total

    def _series(self, alert: Alert, topic: str) -> Series:
        """24 whole hours that end at the alert, so that the newest bar is the number in the subject."""
        end = _floor(alert.at)
        start = end - timedelta(hours=HOURS)
        counted = [0] * HOURS
        rows = self._posts.counts(
            since=start,
            until=end,
            step_s=int(TICK.total_seconds()),
            brands=(alert.brand,),
            topics=bool(topic),
        )
        for row in rows:
            if row.topic == topic:
                counted[int((row.bucket - start) / timedelta(hours=1))] += row.negative
        usual = {at: rest for at, *rest in self._band(alert.brand, topic, start, end, 3600)}
        hours = []
        for index, negative in enumerate(counted):
            at = start + timedelta(hours=index)
            mean, low, high = usual.get(at, (None, None, None))
            hours.append(Hour(start=at, negative=negative, mean=mean, low=low, high=high))
        return Series(hours=tuple(hours), onset=alert.onset)

    def _next_step(self, alert: Alert, incident: Incident | None) -> NextStep | None:
        runs = self._ledger.plan_runs.find(incident=incident.id) if incident else []
        if runs:
            return _running(runs)
        plan = self._plan_for(alert.lead_topic, max(alert.level, alert.peak))
        if plan is None:
            return None
        tasks = sorted((t for t in plan.tasks if t.from_level <= alert.level), key=lambda task: task.due_min)
        steps = tuple(Step(title=t.title, role=t.role, due_at=None, due_min=t.due_min) for t in tasks[:STEPS])
        duties = tuple(map(_duty, plan.clocks))
        return NextStep(plan=plan.id, plan_name=plan.name, running=False, steps=steps, duties=duties)

    def _doubts(
        self, view: AlertView, found: Sequence[Judged], *, total: int, undated: int, now: datetime
    ) -> tuple[str, ...]:
        runs = self._ledger.source_runs
        then, lately = runs.last_seeing(until=view.alert.at), runs.last_seeing()
        blind = [
            Blind(name=self._sources.get(source, source), before=then.get(source), lately=lately.get(source))
            for source in view.alert.incomplete
        ]
        delays = [self._delay(judged.post) for judged in found[:MOST_TIMED]]
        return doubts(view, found, total=total, undated=undated, blind=blind, delays=delays, now=now)

    def _delay(self, post: Post) -> float:
        """Minutes from publication to the first fetch: ``fetched_at`` itself moves with every refresh."""
        versions = self._posts.engagement(post.id)
        first = min((at for at, _ in versions), default=post.fetched_at)
        return (min(first, post.fetched_at) - post.published_at) / timedelta(minutes=1)


def _floor(at: datetime) -> datetime:
    """The last 5-minute boundary at or before ``at``: counts are kept in such buckets."""
    step = int(TICK.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // step * step, tz=at.tzinfo)


def _running(runs: Sequence[PlanRun]) -> NextStep:
    """What is open in all plans that run, and the clocks of each as they were when it was started."""
    started = {run.id: run.started_at for run in runs}
    tasks = [task for run in runs for task in run.tasks if task.status is TaskStatus.OPEN]
    steps = tuple(
        Step(
            title=task.title,
            role=task.role,
            due_at=task.due_at,
            due_min=round((task.due_at - started[task.run]) / timedelta(minutes=1)),
        )
        for task in sorted(tasks, key=lambda task: task.due_at)[:STEPS]
    )
    return NextStep(
        plan=runs[0].plan,
        plan_name="、".join(run.name for run in runs),
        running=True,
        steps=steps,
        duties=tuple(dict.fromkeys(_duty(clock) for run in runs for clock in run.clocks)),
    )


def _duty(clock: LegalClock) -> Duty:
    return Duty(
        name=clock.name,
        due_min=clock.due_min,
        trigger=clock.trigger,
        source=clock.source,
        standing=clock.standing,
    )
