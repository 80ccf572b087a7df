"""The ledger's nouns as events; pure. ``mask`` hides personal data in text that people or servers wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime

from domain.alert import Alert, AlertState
from domain.incident import Incident, TimelineEvent
from domain.source_run import SourceRun
from store.events import Event
from store.inbox import DeadLetter
from store.ledger import Notification

Mask = Callable[[str], str]

SUPERSEDED = "superseded"
"""State of every revision but the newest: whoever asks for firing alerts counts each once."""
_RANK = {AlertState.RESOLVED.value: 2, SUPERSEDED: 3}


def of_alert(revisions: Iterable[Alert], mask: Mask) -> list[Event]:
    """One event a revision, oldest first; ``detection_s`` (onset to first alert) in the first one only."""
    *older, newest = revisions
    told = [(alert, SUPERSEDED) for alert in older] + [(newest, newest.state.value)]
    return [_of_revision(alert, state, mask) for alert, state in told]


def _of_revision(alert: Alert, state: str, mask: Mask) -> Event:
    return Event(
        id=f"alert:{alert.id}:{alert.revision}",
        kind="alert",
        at=alert.at,
        version=_RANK.get(state, 1),
        body={
            **_about(alert.brand, alert.topics),
            "level": alert.level.id,
            "alert": {
                "id": alert.id,
                "revision": alert.revision,
                "change": alert.change.value,
                "state": state,
                "score": alert.score,
                "explanation": mask(alert.explanation),
                "source": alert.source,
                "onset": alert.onset,
                "first_at": alert.first_at,
                "detection_s": _seconds(alert.onset, alert.first_at)
                if alert.revision == 1 and alert.brand
                else None,
            },
        },
    )


def of_incident(incident: Incident, mask: Mask) -> Event:
    """The incident as it is now."""
    return Event(
        id=f"incident:{incident.id}",
        kind="incident",
        at=incident.opened_at,
        version=incident.version,
        body={
            **_about(incident.brand, (incident.topic,)),
            "level": incident.level.id,
            "incident": {
                "id": incident.id,
                "status": incident.status.value,
                "owner": mask(incident.owner),
                "plan": incident.plan,
                "opened_at": incident.opened_at,
                "acknowledged_at": incident.acknowledged_at,
                "closed_at": incident.closed_at,
                "acknowledge_s": _seconds(incident.opened_at, incident.acknowledged_at),
                "close_s": _seconds(incident.opened_at, incident.closed_at),
            },
        },
    )


def of_timeline(incident: Incident, events: Iterable[TimelineEvent], mask: Mask) -> list[Event]:
    """One event a step of an incident, with its position as its number."""
    return [
        Event(
            id=f"timeline:{incident.id}:{event.seq}",
            kind="timeline",
            at=event.at,
            body={
                **_about(incident.brand, (incident.topic,)),
                "level": event.after.get("level", ""),
                "incident": {"id": incident.id},
                "timeline": {
                    "kind": event.kind,
                    "actor": mask(event.actor),
                    "reason": mask(event.reason),
                },
            },
        )
        for event in events
    ]


def of_delivery(notification: Notification, alert: Alert | None, mask: Mask) -> Event:
    """A message on its way, without its recipient; brand and topics are its alert's."""
    # Mail servers like to repeat the address that they refuse.
    error = notification.error.replace(notification.recipient or "\0", "…")
    # Not when it is dropped: it may be told anew in the same place, which must not look older.
    settled = notification.sent_at is not None or notification.state == "failed"
    return Event(
        id=f"delivery:{notification.id}",
        kind="delivery",
        at=notification.created_at,
        version=2 * notification.tries + settled + 1,
        body={
            **(_about(alert.brand, alert.topics) if alert else {}),
            "level": notification.level.id,
            "alert": {"id": notification.alert, "revision": notification.revision},
            "incident": {"id": notification.incident},
            "delivery": {
                "id": notification.id,
                "channel": notification.channel,
                "route": notification.route,
                "state": notification.state,
                "tries": notification.tries,
                "error": mask(error),
                "sent_at": notification.sent_at,
                "wait_s": _seconds(notification.created_at, notification.sent_at),
            },
        },
    )


def of_source_run(run: SourceRun, mask: Mask) -> Event:
    """A crawl."""
    counts = {name: getattr(run, name) for name in ("requests", "found", "new", "refreshed", "rejected")}
    return Event(
        id=f"source_run:{run.source}:{run.started_at.isoformat()}:{run.ended_at.isoformat()}",
        kind="source_run",
        at=run.ended_at,
        body={
            "source": {
                "id": run.source,
                "outcome": run.outcome.value,
                "seeing": run.outcome.seeing,
                "detail": mask(run.detail),
                **counts,
                "duration_s": _seconds(run.started_at, run.ended_at),
            },
        },
    )


def of_dead_letter(letter: DeadLetter, mask: Mask) -> Event:
    """A post that could not be processed; of the post itself only where it came from."""
    told = "\0".join((letter.post.id, letter.at.isoformat(), letter.reason))
    return Event(
        id=f"dead_letter:{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:32]}",
        kind="dead_letter",
        at=letter.at,
        body={
            "dead": {
                "source": letter.post.source,
                "platform": letter.post.platform,
                "reason": mask(letter.reason),
            },
        },
    )


def document(event: Event) -> dict[str, object]:
    """The whole document as JSON values: empty texts and absent times are left out, for nobody counts them."""
    whole: dict[str, object] = {
        "@timestamp": event.at,
        "event": {"id": event.id, "kind": event.kind},
        **event.body,
    }
    return {name: told for name, value in whole.items() if (told := _plain(value)) not in (None, "", [], {})}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {k: told for k, v in value.items() if (told := _plain(v)) not in (None, "", [], {})}
    return value


def _about(brand: str, topics: Iterable[str]) -> dict[str, object]:
    return {"brand": {"id": brand}, "topic": {"id": [topic for topic in topics if topic]}}


def _seconds(start: datetime, end: datetime | None) -> int | None:
    return None if end is None else round((end - start).total_seconds())
