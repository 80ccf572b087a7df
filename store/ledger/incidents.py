"""Incidents and their append-only timelines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, insert, select, update

from domain.errors import StoreError
from domain.incident import Incident, IncidentStatus, TimelineEvent
from store.codec import decode, document
from store.ledger.engine import Handle, changed, insert_new
from store.ledger.tables import incidents, timeline

SHANGHAI = ZoneInfo("Asia/Shanghai")
OPEN = [status.value for status in IncidentStatus if status.open]
ATTEMPTS = 20
"""Times to try for a free number, where other processes take numbers meanwhile."""


class SqlIncidents:
    """See ``store.ledger.Incidents``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def open(self, incident: Incident, event: TimelineEvent) -> Incident:
        """Store a new one, or return the open one of the same brand and topic that was first."""
        for _ in range(ATTEMPTS):
            with self._handle.write() as connection:
                first = _open_one(connection, incident.brand, incident.topic)
                if first is not None:
                    return first
                named = _insert(connection, incident)
                if named is not None:
                    append(connection, replace(event, incident=named.id))
                    return named
        raise StoreError("事件编号一直被其他进程抢先占用：请稍后再试", permanent=False)

    def change(self, incident: Incident, event: TimelineEvent) -> bool:
        """Store ``incident`` if the stored version is ``incident.version - 1``, with its event; else False."""
        with self._handle.write() as connection:
            first = _open_one(connection, incident.brand, incident.topic)
            if incident.status.open and first is not None and first.id != incident.id:
                return False
            done = changed(
                connection,
                update(incidents)
                .where(incidents.c.id == incident.id, incidents.c.version == incident.version - 1)
                .values(**_row(incident)),
            )
            if done:
                append(connection, replace(event, incident=incident.id))
            return done

    def get(self, id_: str) -> Incident | None:
        """One incident."""
        with self._handle.read() as connection:
            body = connection.execute(
                select(incidents.c.body).where(incidents.c.id == id_)
            ).scalar_one_or_none()
        return None if body is None else decode(Incident, body)

    def find(
        self,
        *,
        brand: str = "",
        topic: str | None = None,
        statuses: Iterable[IncidentStatus] = (),
        limit: int = 100,
    ) -> list[Incident]:
        """Newest first."""
        statement = select(incidents.c.body)
        if brand:
            statement = statement.where(incidents.c.brand == brand)
        if topic is not None:
            statement = statement.where(incidents.c.topic == topic)
        wanted = [IncidentStatus(status).value for status in statuses]
        if wanted:
            statement = statement.where(incidents.c.status.in_(wanted))
        order = (incidents.c.opened_at.desc(), incidents.c.day.desc(), incidents.c.number.desc())
        with self._handle.read() as connection:
            bodies = connection.execute(statement.order_by(*order).limit(limit)).scalars()
            return [decode(Incident, body) for body in bodies]

    def note(
        self, event: TimelineEvent, *, unless: Callable[[Sequence[TimelineEvent]], bool] | None = None
    ) -> None:
        """Append to the timeline without changing the incident, unless ``unless`` says that it is there."""
        with self._handle.write() as connection:
            _lock(connection, event.incident)
            if unless is None or not unless(_timeline(connection, event.incident)):
                append(connection, event)

    def timeline(self, id_: str) -> list[TimelineEvent]:
        """Oldest first, numbered from 1 in the order in which they were appended."""
        with self._handle.read() as connection:
            return _timeline(connection, id_)


def append(connection: Connection, event: TimelineEvent) -> None:
    """Add an event to its incident's timeline, within the caller's transaction."""
    # One at a time an incident, so that no event gets a number below one that somebody has read.
    _lock(connection, event.incident)
    connection.execute(insert(timeline).values(incident=event.incident, at=event.at, body=document(event)))


def _lock(connection: Connection, id_: str) -> None:
    connection.execute(select(incidents.c.id).where(incidents.c.id == id_).with_for_update())


def _timeline(connection: Connection, id_: str) -> list[TimelineEvent]:
    statement = select(timeline.c.body).where(timeline.c.incident == id_).order_by(timeline.c.n)
    bodies = connection.execute(statement).scalars()
    return [replace(decode(TimelineEvent, body), seq=seq) for seq, body in enumerate(bodies, 1)]


def _open_one(connection: Connection, brand: str, topic: str) -> Incident | None:
    body = connection.execute(
        select(incidents.c.body).where(
            incidents.c.brand == brand, incidents.c.topic == topic, incidents.c.status.in_(OPEN)
        )
    ).scalar_one_or_none()
    return None if body is None else decode(Incident, body)


def _insert(connection: Connection, incident: Incident) -> Incident | None:
    """The incident under its new id; None when another process took the number or opened the same one."""
    day = _day(incident.opened_at)
    last = connection.execute(
        select(func.coalesce(func.max(incidents.c.number), 0)).where(incidents.c.day == day)
    ).scalar_one()
    named = replace(incident, id=f"INC-{day}-{last + 1:03d}", version=1)
    row = {"id": named.id, "day": day, "number": last + 1, **_row(named)}
    return named if insert_new(connection, incidents, row) else None


def _row(incident: Incident) -> dict[str, Any]:
    return {
        "brand": incident.brand,
        "topic": incident.topic,
        "status": incident.status.value,
        "version": incident.version,
        "opened_at": incident.opened_at,
        "body": document(incident),
    }


def _day(at: datetime) -> str:
    return at.astimezone(SHANGHAI).strftime("%Y%m%d")
