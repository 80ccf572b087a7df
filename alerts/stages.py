"""The stages between an alert and a mail; each does one thing and names its reasons.

A stage takes the envelopes that came so far and gives back those that go on, with a decision for every envelope
that it stopped or changed. The order is in ``pipeline.py``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from alerts.envelope import Cause, Decision, Envelope, Why
from alerts.routes import miss, quiet_until
from config.settings import Route
from domain.alert import Alert, AlertState, Change, Level
from domain.incident import Incident, IncidentStatus, highest_told
from store.ledger import ANEW, GROUPED, Ledger, Notification, Outbox, Silence

RECALLED = 100
"""Mails of a thread looked at, newest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """What a stage lets through, and what it decided."""

    envelopes: tuple[Envelope, ...]
    decisions: tuple[Decision, ...] = ()


class Stage(Protocol):
    """One step; calling it changes nothing outside."""

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        """Stop, change or pass on envelopes."""


def decide(stage: str, why: Why, envelope: Envelope, detail: str = "") -> Decision:
    """A decision about one envelope."""
    return Decision(
        stage=stage,
        why=why,
        alert=envelope.alert.id,
        revision=envelope.alert.revision,
        route=envelope.route.name,
        recipient=envelope.recipient,
        detail=detail,
    )


class Routing:
    """Alerts to envelopes: one for each route that wants it and each of its recipients."""

    name = "route"

    def __init__(self, *, routes: Sequence[Route], plan_of: Callable[[str], str]) -> None:
        self._routes = routes
        self._plan_of = plan_of

    def address(self, alert: Alert, incident: Incident | None, *, now: datetime) -> Passed:
        """Envelopes in the order of the routes; a decision for each, or one that no route wants it."""
        envelopes = tuple(
            Envelope(alert=alert, incident=incident, route=route, recipient=recipient, not_before=now)
            for route in self._routes
            if not miss(route, alert, plan_of=self._plan_of)
            for recipient in route.to
        )
        decisions = tuple(decide(self.name, Why.ROUTED, envelope) for envelope in envelopes)
        if not envelopes:
            misses = ", ".join(f"{r.name}: {miss(r, alert, plan_of=self._plan_of)}" for r in self._routes)
            nobody = Decision(
                stage=self.name, why=Why.NO_ROUTE, alert=alert.id, revision=alert.revision, detail=misses
            )
            decisions = (nobody,)
        return Passed(envelopes=envelopes, decisions=decisions)


class Silencing:
    """Holds what a person muted (静默) below its level until the silence ends; stops what a person closed since, and
    what was called false (误报) until the level rises above what it was.
    """

    name = "silence"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        active = self._ledger.silences.active(now)
        kept, decisions = [], []
        for envelope in envelopes:
            silence = next((s for s in active if _silences(s, envelope.alert)), None)
            if _closed_since(envelope):
                decisions.append(decide(self.name, Why.CLOSED, envelope, envelope.thread))
            elif silence:
                detail = f"{silence.id} by {silence.created_by}"
                decisions.append(decide(self.name, Why.SILENCED, envelope, detail))
            elif self._called_false(envelope):
                decisions.append(decide(self.name, Why.FALSE_ALARM, envelope, envelope.thread))
            else:
                kept.append(envelope)
        return Passed(envelopes=tuple(kept), decisions=tuple(decisions))

    def _called_false(self, envelope: Envelope) -> bool:
        incident, alert = envelope.incident, envelope.alert
        if incident is None or incident.status is not IncidentStatus.FALSE_ALARM:
            return False
        timeline = self._ledger.incidents.timeline(incident.id)
        return alert.level <= highest_told(timeline, self._ledger.journal.revisions(alert.id))


def _silences(silence: Silence, alert: Alert) -> bool:
    brand = not silence.brand or silence.brand == alert.brand
    # The topic that names the alert: side topics such as rumours come with every crisis.
    topic = not silence.topic or (silence.topic == alert.lead_topic and not _carried_by_another(alert))
    return brand and topic and alert.level < silence.below


def _carried_by_another(alert: Alert) -> bool:
    """A topic that joined later has met the hard trigger of the alert's level: nobody muted that."""
    found = {reason.topic for reason in alert.reasons if reason.topic and reason.level is alert.level}
    return bool(found) and alert.lead_topic not in found


def _closed_since(envelope: Envelope) -> bool:
    closed = envelope.incident.closed_at if envelope.incident else None
    return closed is not None and envelope.alert.at <= closed


class Recalling:
    """Looks up what this recipient was told about this incident, and what waits to be told."""

    name = "recall"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        return Passed(envelopes=tuple(map(self._recall, envelopes)))

    def _recall(self, envelope: Envelope) -> Envelope:
        ident, who = envelope.incident, envelope.recipient
        mails = self._outbox.find(alert=envelope.alert.id, recipient=who, limit=RECALLED)
        beside = self._beside(mails)
        if ident is not None:
            mails += self._outbox.find(incident=ident.id, recipient=who, limit=RECALLED)
        unique = {mail.id: mail for mail in mails}
        ordered = sorted(unique.values(), key=lambda mail: (mail.created_at, mail.revision))
        told = tuple(mail for mail in ordered if mail.sent_at)
        mine = [mail for mail in told if mail.alert == envelope.alert.id]
        last = max((ordered.index(mail) for mail in told), default=-1)
        waiting = {mail.id: mail for mail in (*ordered, *beside) if mail.state == "waiting"}
        return replace(
            envelope,
            told=told,
            replaces=tuple(waiting.values()),
            unread=any(mail.state in ("waiting", "dropped") for mail in ordered[last + 1 :]),
            enqueued=any(_same(mail, envelope.alert) for mail in ordered),
            was=mine[-1].level if mine else Level.NONE,
            cause=_cause(envelope.alert, mine[-1].level if mine else None),
        )

    def _beside(self, mails: Sequence[Notification]) -> list[Notification]:
        """Waiting mails of the same recipient that these are grouped into."""
        leads = {mail.error for mail in mails if mail.error.startswith(GROUPED) and not mail.sent_at}
        if not leads:
            return []
        waiting = self._outbox.find(recipient=mails[0].recipient, state="waiting")
        return [mail for mail in waiting if f"{GROUPED}{mail.id}" in leads]


def _same(mail: Notification, alert: Alert) -> bool:
    return (mail.alert, mail.revision) == (alert.id, alert.revision) and mail.error != ANEW


def _cause(alert: Alert, was: Level | None) -> Cause:
    if over(alert):
        return Cause.RECOVERED
    if was is None:
        return Cause.NEW
    if alert.level == was:
        return Cause.UPDATE
    return Cause.ESCALATED if alert.level > was else Cause.LOWERED


def over(alert: Alert) -> bool:
    """The alert has ended."""
    return alert.change is Change.RECOVERED or alert.state is AlertState.RESOLVED


class Deduping:
    """One mail a person and revision: what is in the outbox already stops, and of several routes to one person all
    but the one that reaches them first (the first named, where they are equal).
    """

    name = "dedupe"

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        ways: dict[tuple[str, str], list[Envelope]] = defaultdict(list)
        kept, decisions = [], []
        for envelope in envelopes:
            if envelope.enqueued:
                decisions.append(decide(self.name, Why.ALREADY_ENQUEUED, envelope))
            else:
                ways[envelope.alert.id, envelope.recipient].append(envelope)
        for several in ways.values():
            first = min(several, key=lambda envelope: _due(envelope, now=now))
            kept.append(first)
            decisions += [
                decide(self.name, Why.SAME_RECIPIENT, other, first.route.name)
                for other in several
                if other is not first
            ]
        return Passed(envelopes=tuple(kept), decisions=tuple(decisions))


def _due(envelope: Envelope, *, now: datetime) -> datetime:
    """When a mail by this envelope's route would go out."""
    for stage in (Cooling(), Escalating(), Quieting()):
        [envelope] = stage([envelope], now=now).envelopes
    return envelope.not_before


class Grouping:
    """One mail where several would tell the same person of the same brand at once.

    Alerts of one incident always share a mail; incidents of one brand of which nothing was told, and that only
    have new alerts, do under the gravest of them. A first
    mail below red waits ``group_wait_s`` from its alert's birth for companions; ``wait=False`` ends the waiting.
    """

    name = "group"

    def __init__(self, *, wait: bool = True) -> None:
        self._wait = wait

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        kept: list[Envelope] = []
        decisions: list[Decision] = []
        for members in _groups(envelopes):
            lead, *rest = sorted(members, key=_gravest_first)
            until = min(e.alert.first_at for e in members) + timedelta(seconds=lead.route.group_wait_s)
            fresh = lead.cause is Cause.NEW and not lead.told
            if self._wait and fresh and now < until and lead.alert.level < Level.RED:
                decisions += [decide(self.name, Why.GROUP_WAIT, e, until.isoformat()) for e in members]
                continue
            kept.append(_joined(lead, rest))
            decisions += [decide(self.name, Why.GROUPED, other, lead.alert.id) for other in rest]
        return Passed(envelopes=tuple(kept), decisions=tuple(decisions))


def _groups(envelopes: Iterable[Envelope]) -> Iterable[list[Envelope]]:
    """Whole threads of one recipient, those of a brand together while all in them is fresh."""
    threads: dict[tuple[str, str], list[Envelope]] = defaultdict(list)
    for envelope in envelopes:
        threads[envelope.thread, envelope.recipient].append(envelope)
    groups: dict[tuple[str, str], list[Envelope]] = defaultdict(list)
    for (thread, recipient), members in threads.items():
        fresh = all(each.cause is Cause.NEW and not each.told and not each.operator for each in members)
        about = f"brand {members[0].alert.brand}" if fresh else f"thread {thread}"
        groups[about, recipient] += members
    return groups.values()


def _gravest_first(envelope: Envelope) -> tuple[bool, int, float, str]:
    alert = envelope.alert
    return (over(alert), -alert.level, -alert.score, alert.id)


def _joined(lead: Envelope, rest: Sequence[Envelope]) -> Envelope:
    mails = {mail.id: mail for envelope in (lead, *rest) for mail in envelope.replaces}
    unread = any(envelope.unread for envelope in (lead, *rest))
    return replace(lead, companions=tuple(rest), replaces=tuple(mails.values()), unread=unread)


class Cooling:
    """At most one mail an incident in ``cooldown_min``: what comes sooner waits for the window's end."""

    name = "cool_down"

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        kept, decisions = [], []
        for envelope in envelopes:
            end = _window_end(envelope)
            if end is not None and end > now:
                decisions.append(decide(self.name, Why.COOLING, envelope, end.isoformat()))
                kept.append(replace(envelope, not_before=end))
            else:
                kept.append(envelope)
        return Passed(envelopes=tuple(kept), decisions=tuple(decisions))


def _window_end(envelope: Envelope) -> datetime | None:
    if not envelope.told:
        return None
    return _last_sent(envelope) + timedelta(minutes=envelope.route.cooldown_min)


def _last_sent(envelope: Envelope) -> datetime:
    return max(mail.sent_at for mail in envelope.told if mail.sent_at)


class Escalating:
    """A level above the one last told about this incident breaks the cool-down."""

    name = "escalate"

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        kept, decisions = [], []
        for envelope in envelopes:
            last = _last_told(envelope)
            if envelope.cause is not Cause.RECOVERED and envelope.alert.level > last:
                detail = f"{last.id} → {envelope.alert.level.id}"
                decisions.append(decide(self.name, Why.LEVEL_ROSE, envelope, detail))
                kept.append(replace(envelope, not_before=now))
            else:
                kept.append(envelope)
        return Passed(envelopes=tuple(kept), decisions=tuple(decisions))


def _last_told(envelope: Envelope) -> Level:
    """The highest level in the last mail of the thread: one mail may tell several alerts, and the end of some."""
    if not envelope.told:
        return envelope.alert.level
    return max(mail.level for mail in envelope.told if mail.sent_at == _last_sent(envelope))


class Recovering:
    """The end is told to those who were told, or were about to be told, of the beginning."""

    name = "recover"

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        kept, decisions = [], []
        for envelope in envelopes:
            if envelope.cause is not Cause.RECOVERED:
                kept.append(envelope)
            elif _goes_on(envelope):
                decisions.append(decide(self.name, Why.GOES_ON, envelope))
            elif envelope.told or envelope.unread:
                decisions.append(decide(self.name, Why.RECOVERED, envelope))
                kept.append(envelope)
            else:
                decisions.append(decide(self.name, Why.NEVER_TOLD, envelope))
        return Passed(envelopes=tuple(kept), decisions=tuple(decisions))


def _goes_on(envelope: Envelope) -> bool:
    others = (mail for mail in envelope.told if mail.alert != envelope.alert.id and mail.level > Level.NONE)
    return any(mail.created_at >= envelope.alert.at for mail in others)


class Quieting:
    """At night, mails below the route's level wait for the morning."""

    name = "quiet_hours"

    def __call__(self, envelopes: Sequence[Envelope], *, now: datetime) -> Passed:
        kept, decisions = [], []
        for envelope in envelopes:
            quiet = envelope.route.quiet_hours
            until = quiet_until(quiet, envelope.not_before)
            if until and quiet and envelope.alert.level < Level.of(quiet.from_level):
                decisions.append(decide(self.name, Why.QUIET_HOURS, envelope, until.isoformat()))
                kept.append(replace(envelope, not_before=until))
            else:
                kept.append(envelope)
        return Passed(envelopes=tuple(kept), decisions=tuple(decisions))


def newest(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """The newest revision of each alert id."""
    found: dict[str, Alert] = {}
    for alert in alerts:
        if alert.id not in found or alert.revision > found[alert.id].revision:
            found[alert.id] = alert
    return found


def muted(alert: Alert, silences: Sequence[Silence]) -> bool:
    """Some silence holds the alert."""
    return any(_silences(silence, alert) for silence in silences)
