"""The life of an alert: born, updated, escalated, recovered. Pure: what is known in, the next revision out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from domain.alert import RETIRED, Alert, AlertState, Change, Level, Reason
from domain.signal import Signal
from monitor.detectors import Finding
from monitor.evidence import COMMON
from monitor.levels import Judgement
from monitor.series import STEP_S
from monitor.wording import percent

OPEN = (AlertState.FIRING, AlertState.ACKNOWLEDGED, AlertState.SILENCED)
_LOUDER = 1.25
"""A new high is told when the last hour holds a quarter more negatives than any told in ``new_high_hours``."""
_MOST_POSTS = 50


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What one tick knows of one group of findings of a brand."""

    brand: str
    topics: tuple[str, ...]
    """Lead first."""
    finding: Finding
    """The lead finding."""
    judgement: Judgement
    explanation: str
    """One sentence with the numbers of ``finding``."""
    signals: tuple[Signal, ...]
    """Lead first; empty when no detector fired at this tick."""
    posts: tuple[str, ...]
    onset: datetime
    incomplete: tuple[str, ...]
    grave: str = ""
    """The lead topic, when a hard trigger rests on it."""


def alert_id(fingerprint: str, at: datetime) -> str:
    """Stable id of an alert born at a tick: 24 hex digits."""
    return hashlib.sha256(f"alert\0{fingerprint}\0{at.isoformat()}".encode()).hexdigest()[:24]


def matching(alerts: Iterable[Alert], situation: Situation, weights: Mapping[str, float]) -> Alert | None:
    """The open alert that findings belong to, one of their lead topic first; None when they are a new crisis."""
    lead = situation.topics[0] if situation.topics else ""
    known = sorted(alerts, key=lambda alert: alert.lead_topic != lead)
    return next(
        (a for a in known if a.state is not AlertState.RESOLVED and _belongs(lead, situation, a, weights)),
        None,
    )


def _belongs(lead: str, situation: Situation, alert: Alert, weights: Mapping[str, float]) -> bool:
    """Whether findings are the crisis of an alert: they share a topic or a post, or one of the two names no topic.

    Not when a graver topic meets a hard trigger that the alert was not raised for: that two or three posts had named
    the topic before is no reason to file a crisis under a lesser one. What people acknowledged, or called false, they
    did for what it was then: a topic that came later is not answered by that.
    """
    if not lead or lead in {alert.lead_topic, *(reason.topic for reason in alert.reasons)}:
        return True
    if alert.state is AlertState.ACKNOWLEDGED:
        known = not alert.topics or lead in alert.topics or lead in COMMON
        return known and lead != situation.grave
    if not alert.topics:
        return True
    if lead == situation.grave and weights.get(lead, 0) > weights.get(alert.lead_topic, 0):
        return False
    return bool({*alert.topics} & {lead, *situation.topics} or {*alert.posts} & {*situation.posts})


def born(situation: Situation, *, at: datetime) -> Alert:
    """Revision 1. What a detector fired for is blue at least."""
    fingerprint = f"{situation.brand}:{situation.topics[0] if situation.topics else ''}"
    level = max(Level.BLUE, situation.judgement.level)
    return Alert(
        id=alert_id(fingerprint, at),
        fingerprint=fingerprint,
        revision=1,
        change=Change.NEW,
        brand=situation.brand,
        topics=situation.topics,
        level=level,
        score=situation.judgement.score,
        reasons=situation.judgement.reasons,
        state=AlertState.FIRING,
        onset=situation.onset,
        at=at,
        first_at=at,
        explanation=situation.explanation,
        signals=tuple(signal.id for signal in situation.signals),
        posts=situation.posts[:_MOST_POSTS],
        peak=level,
        incomplete=situation.incomplete,
        numbers=numbers_of(situation.finding),
    )


def grown(alert: Alert, situation: Situation, *, at: datetime, new_high_hours: float) -> Alert | None:
    """The next revision when the level rose or, with a detector firing, a new high of so many hours; else None."""
    level = max(alert.level, situation.judgement.level)
    negatives = situation.finding.negatives
    highest, told_at = _highest_told(alert, at - timedelta(hours=new_high_hours))
    if level > alert.level:
        change = Change.ESCALATED
    elif situation.signals and negatives >= _LOUDER * max(1.0, highest):
        change = Change.UPDATE
    else:
        return None
    score, reasons = _why(alert, situation.judgement)
    return replace(
        alert,
        revision=alert.revision + 1,
        change=change,
        topics=_merged(alert, situation.topics),
        level=level,
        score=score,
        reasons=reasons,
        at=at,
        explanation=situation.explanation,
        signals=tuple(signal.id for signal in situation.signals) or alert.signals,
        posts=situation.posts[:_MOST_POSTS] or alert.posts,
        peak=max(alert.peak, level),
        incomplete=situation.incomplete,
        numbers=numbers_of(situation.finding) | _mark(*max((highest, told_at), (negatives, at))),
    )


def _why(alert: Alert, judgement: Judgement) -> tuple[float, tuple[Reason, ...]]:
    """Score and reasons of a level that does not fall: what made it is said as long as it holds."""
    if judgement.level >= alert.level:
        return judgement.score, judgement.reasons
    made = [reason for reason in alert.reasons if reason.level >= alert.level]
    if not made:
        return alert.score, alert.reasons
    earlier = (replace(reason, text=f"此前{reason.text.removeprefix('此前')}") for reason in made)
    return judgement.score, (*earlier, *judgement.reasons)


def recounted(alert: Alert, finding: Finding, *, at: datetime, new_high_hours: float) -> Alert | None:
    """The next revision when another model's counts top what was told: a mark that is not news; else None.

    Whoever makes it handles it at once: history that changed is told to nobody.
    """
    if finding.negatives <= _highest_told(alert, at - timedelta(hours=new_high_hours))[0]:
        return None
    return replace(
        alert,
        revision=alert.revision + 1,
        change=Change.UPDATE,
        at=at,
        numbers=alert.numbers | _mark(finding.negatives, at),
    )


def recovered(alert: Alert, finding: Finding, *, topic: str, at: datetime, hours: float) -> Alert:
    """The last revision: back to the usual for so many hours. ``topic``: name of the finding's, if any."""
    about = f"「{topic}」" if topic else ""
    text = (
        f"已连续 {hours:.0f} 小时没有异常：过去 1 小时{about}负面 {finding.negatives:.0f} 条，"
        f"负面占比 {percent(finding.share)}（平时 {percent(finding.usual_share)}）。"
    )
    return replace(_ended(alert, "recovered", text, at=at), numbers=numbers_of(finding))


def stopped(alert: Alert, *, at: datetime) -> Alert:
    """The last revision of an alert whose brand is not alerted any more: nobody looks any more, it is not over."""
    text = "这个品牌已停止预警；这不表示已经恢复。"
    return _ended(alert, RETIRED, text, at=at)


def _ended(alert: Alert, rule: str, text: str, *, at: datetime) -> Alert:
    return replace(
        alert,
        revision=alert.revision + 1,
        change=Change.RECOVERED,
        state=AlertState.RESOLVED,
        at=at,
        explanation=text,
        reasons=(Reason(rule=rule, points=0.0, text=text),),
        incomplete=(),
    )


def numbers_of(finding: Finding) -> dict[str, float]:
    """The lead finding in numbers, as ``Alert.numbers`` names them."""
    found = {
        "observed": finding.observed,
        "expected": finding.expected,
        "window_min": float(finding.window_min),
        "tail": finding.tail,
        "share": finding.share,
        "usual_share": finding.usual_share,
        "share_z": finding.share_z,
        "negatives": finding.negatives,
        "per_hour_usual": finding.usual,
        "until": float(finding.end * STEP_S),
    }
    return {name: round(value, 4) for name, value in found.items()}


def _highest_told(alert: Alert, since: datetime) -> tuple[float, datetime]:
    """Most negatives of an hour that were told after ``since``, and when; zero when that is longer ago.

    An escalation for another reason does not lower the mark. An alert may stay open for days: what was told
    before must not hide the next surge.
    """
    told_at = alert.at
    if "highest_at" in alert.numbers:
        told_at = datetime.fromtimestamp(alert.numbers["highest_at"], tz=UTC)
    if told_at <= since:  # what was told since then stays: it was less
        return (alert.numbers.get("negatives", 0.0), alert.at) if alert.at > since else (0.0, since)
    return alert.numbers.get("highest", alert.numbers.get("negatives", 0.0)), told_at


def _mark(highest: float, told_at: datetime) -> dict[str, float]:
    return {"highest": round(highest, 4), "highest_at": told_at.timestamp()}


def _merged(alert: Alert, new: tuple[str, ...]) -> tuple[str, ...]:
    """The lead topic stays: incident and thread hang on it. So do all once people decided about them."""
    old = alert.topics
    if not old:
        return new
    if alert.state is AlertState.ACKNOWLEDGED:
        return old
    return (*old, *(topic for topic in new if topic not in old))
