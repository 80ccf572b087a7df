"""Messages on their way out."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    Update,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from domain.alert import Level
from store.ledger import ANEW, GROUPED, Notification
from store.ledger.engine import Handle, insert_new
from store.ledger.tables import alert_revisions, alerts, outbox

FIELDS = tuple(field.name for field in dataclasses.fields(Notification))
"""Columns of a notification."""
WITHDRAWN = "withdrawn"
"""The ``error`` of a message that was taken back, and of those grouped into it, when a newer revision comes back."""
_COLUMNS = tuple(outbox.c[name] for name in FIELDS)


class SqlOutbox:
    """See ``store.ledger.Outbox``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def enqueue(self, notifications: Sequence[Notification]) -> int:
        """Store those not stored yet, or taken back to be told anew; returns how many."""
        with self._handle.write() as connection:
            # In one order everywhere, or two transactions could wait for each other.
            ordered = sorted(notifications, key=lambda each: each.id)
            new = {each.id for each in ordered if _stored(connection, each)}
            foreign = {f"{GROUPED}{each.id}" for each in ordered} - {f"{GROUPED}{id_}" for id_ in new}
            astray = {each.id for each in ordered if each.error in foreign} & new
            connection.execute(update(outbox).where(outbox.c.id.in_(astray)).values(error=ANEW))
            return len(new - astray)

    def lease(self, limit: int, *, now: datetime, lease: timedelta) -> list[Notification]:
        """Waiting messages whose time has come, hidden from other deliverers until ``now + lease``."""
        free = and_(outbox.c.state == "waiting", outbox.c.not_before <= now, _unleased(now))
        order = (outbox.c.not_before, outbox.c.created_at, outbox.c.id)
        with self._handle.write() as connection:
            # Where writers do not queue up (PostgreSQL), what another deliverer is leasing is passed over.
            waiting = select(outbox.c.id).where(free).order_by(*order).limit(limit)
            ids = connection.execute(waiting.with_for_update(skip_locked=True)).scalars()
            taken = connection.execute(
                update(outbox)
                .where(outbox.c.id.in_(list(ids)), free)
                .values(leased_until=now + lease, tries=outbox.c.tries + 1)
                .returning(*_COLUMNS)
            ).mappings()
            found = [notification(row) for row in taken]
        return sorted(found, key=lambda each: (each.not_before, each.created_at, each.id))

    def sent(self, id_: str, *, at: datetime) -> None:
        """It was handed over, with all that it tells."""
        with self._handle.write() as connection:
            done = {"state": "sent", "sent_at": at, "error": "", "leased_until": None}
            if connection.execute(_waiting(id_).values(done)).rowcount == 1:
                grouped = (outbox.c.state == "dropped", outbox.c.error == f"{GROUPED}{id_}")
                connection.execute(update(outbox).where(*grouped).values(sent_at=at))

    def retry(self, id_: str, *, not_before: datetime, error: str) -> None:
        """A transient error: again later."""
        self._settle(id_, not_before=not_before, error=error, leased_until=None)

    def postpone(self, id_: str, *, not_before: datetime) -> None:
        """It was leased too early: again later, and this was no try."""
        self._settle(id_, not_before=not_before, tries=outbox.c.tries - 1, leased_until=None)

    def failed(self, id_: str, *, error: str, at: datetime) -> None:
        """A permanent error, or tried too often for too long; ``at`` is kept as the end of its life."""
        self._settle(id_, state="failed", error=error, leased_until=None, ended_at=at)

    def drop(self, id_: str, *, reason: str, at: datetime) -> bool:
        """Take back a waiting message; False when it is gone or being handed over. Its body is not kept."""
        with self._handle.write() as connection:
            done = connection.execute(
                update(outbox)
                .where(outbox.c.id == id_, outbox.c.state == "waiting", _unleased(at))
                .values(state="dropped", error=reason, ended_at=at, leased_until=None, body=b"")
            )
            return done.rowcount == 1

    def withdraw(self, ids: Sequence[str], *, at: datetime) -> dict[str, set[str]]:
        """Take back waiting messages and let all that they tell be told anew, each alert by its newest revision."""
        gone = {"state": "dropped", "error": WITHDRAWN, "leased_until": None, "ended_at": at, "body": b""}
        free = (outbox.c.id.in_(ids), outbox.c.state == "waiting", _unleased(at), ~_being_handled())
        told: dict[str, set[str]] = {}
        with self._handle.write() as connection:
            # Locked in one order, or two processes could wait for each other.
            locked = select(outbox.c.id).where(outbox.c.id.in_(ids)).order_by(outbox.c.id)
            connection.execute(locked.with_for_update())
            taken = update(outbox).where(*free).values(gone).returning(outbox.c.id, outbox.c.alert)
            leads = connection.execute(taken).all()
            within = [f"{GROUPED}{lead.id}" for lead in leads]
            columns = (outbox.c.id, outbox.c.alert, outbox.c.error)
            rows = connection.execute(
                select(*columns).where(outbox.c.state == "dropped", outbox.c.error.in_(within))
            ).all()
            for lead in leads:
                told[lead.id] = {
                    lead.alert,
                    *(row.alert for row in rows if row.error == f"{GROUPED}{lead.id}"),
                }
            these = outbox.c.id.in_([row.id for row in (*leads, *rows)])
            connection.execute(update(outbox).where(these).values(gone))
            # What is told anew gets the same id.
            connection.execute(update(outbox).where(these, _is_newest(outbox)).values(error=ANEW))
            about = alert_revisions.c.alert.in_(set().union(*told.values()))
            newest = update(alert_revisions).where(about, _is_newest(alert_revisions))
            connection.execute(newest.values(handled_at=None))
        return told

    def find(
        self,
        *,
        incident: str = "",
        alert: str = "",
        recipient: str = "",
        route: str = "",
        state: str = "",
        limit: int = 100,
    ) -> list[Notification]:
        """Newest first."""
        wanted = {
            "incident": incident,
            "alert": alert,
            "recipient": recipient,
            "route": route,
            "state": state,
        }
        statement = select(*_COLUMNS).where(
            *(outbox.c[name] == value for name, value in wanted.items() if value)
        )
        with self._handle.read() as connection:
            rows = connection.execute(
                statement.order_by(outbox.c.created_at.desc(), outbox.c.id).limit(limit)
            ).mappings()
            return [notification(row) for row in rows]

    def carried(self, id_: str) -> list[Notification]:
        """What else is told in a message: those grouped into it."""
        grouped = (outbox.c.state == "dropped", outbox.c.error == f"{GROUPED}{id_}")
        with self._handle.read() as connection:
            rows = connection.execute(select(*_COLUMNS).where(*grouped).order_by(outbox.c.id)).mappings()
            return [notification(row) for row in rows]

    def forget(self, *, before: datetime, keep: Collection[str]) -> int:
        """Empty the bodies of messages made before a time whose life has ended; returns how many."""
        ended = (outbox.c.state.in_(("sent", "failed")), outbox.c.body != b"")
        old = (outbox.c.created_at < before, outbox.c.incident.not_in(sorted(keep)))
        with self._handle.write() as connection:
            return connection.execute(update(outbox).where(*old, *ended).values(body=b"")).rowcount

    def overtaken(self, message: Notification) -> bool:
        """A later message tells its recipient of the same."""
        told = {message.alert, *(each.alert for each in self.carried(message.id))}
        about: list[ColumnElement[bool]] = [outbox.c.alert.in_(told)]
        if message.incident:
            about.append(outbox.c.incident == message.incident)
        later = (outbox.c.recipient == message.recipient, outbox.c.created_at > message.created_at)
        kept = or_(outbox.c.state.in_(("waiting", "sent")), outbox.c.error.startswith(GROUPED))
        with self._handle.read() as connection:
            return bool(connection.execute(select(exists().where(or_(*about), *later, kept))).scalar())

    def counts(self) -> Mapping[str, int]:
        """How many messages are in each state that any is in."""
        with self._handle.read() as connection:
            rows = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
            return {state: count for state, count in rows}  # noqa: C416  (dict() would hide what a row is)

    def _settle(self, id_: str, **values: Any) -> None:
        """Change a message that still waits: what another deliverer has settled stays settled."""
        with self._handle.write() as connection:
            connection.execute(_waiting(id_).values(**values))


def _stored(connection: Connection, message: Notification) -> bool:
    """It is new, or took the place of its like that is told anew: nothing else is written over."""
    row = _row(message)
    if insert_new(connection, outbox, row):
        return True
    back = (outbox.c.id == message.id, outbox.c.state == "dropped", outbox.c.error == ANEW)
    anew = {name: value for name, value in row.items() if name != "tries"} | {"ended_at": None}
    return connection.execute(update(outbox).where(*back).values(anew)).rowcount == 1


def _waiting(id_: str) -> Update:
    return update(outbox).where(outbox.c.id == id_, outbox.c.state == "waiting")


def _being_handled() -> ColumnElement[bool]:
    """Some revision told in the message is not marked handled yet: whoever enqueued it is about to."""
    told = outbox.alias()
    within = and_(told.c.state == "dropped", told.c.error == literal(GROUPED).concat(outbox.c.id))
    return exists().where(
        or_(told.c.id == outbox.c.id, within),
        alert_revisions.c.alert == told.c.alert,
        alert_revisions.c.revision == told.c.revision,
        alert_revisions.c.handled_at.is_(None),
    )


def _is_newest(table: Table) -> ColumnElement[bool]:
    """The row is of the newest revision of its alert."""
    return exists().where(alerts.c.id == table.c.alert, alerts.c.revision == table.c.revision)


def _unleased(now: datetime) -> ColumnElement[bool]:
    return or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now)


def _row(notification: Notification) -> dict[str, Any]:
    row = {name: getattr(notification, name) for name in FIELDS}
    return row | {"level": notification.level.id}


def notification(row: RowMapping) -> Notification:
    """A row of ``FIELDS`` as what it is."""
    return Notification(**{**{name: row[name] for name in FIELDS}, "level": Level.of(row["level"])})
