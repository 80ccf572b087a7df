"""Alerts, their revisions, and which revisions were handled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, select, update

from domain.alert import Alert, AlertState
from store.codec import decode, document
from store.ledger.engine import Handle, changed, insert_new
from store.ledger.tables import alert_revisions, alerts


class SqlAlerts:
    """See ``store.ledger.Alerts``. ``alerts`` holds the newest revisions, ``alert_revisions`` all of them."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def put(self, alert: Alert) -> bool:
        """Store a revision when it is the next one of its alert; False when another was first."""
        row = {
            "id": alert.id,
            "revision": alert.revision,
            "fingerprint": alert.fingerprint,
            "brand": alert.brand,
            "state": alert.state.value,
            "at": alert.at,
            "body": document(alert),
        }
        with self._handle.write() as connection:
            if alert.revision == 1:
                stored = insert_new(connection, alerts, row)
            else:
                stored = _is_free(connection, alert) and _advance(connection, alert, row)
            return stored and insert_new(
                connection,
                alert_revisions,
                {"alert": alert.id, "revision": alert.revision, "at": alert.at, "body": row["body"]},
            )

    def get(self, id_: str) -> Alert | None:
        """The newest revision."""
        with self._handle.read() as connection:
            row = connection.execute(
                select(alerts.c.body, alerts.c.state).where(alerts.c.id == id_)
            ).one_or_none()
        return None if row is None else _alert(*row)

    def find(
        self,
        *,
        brand: str | None = None,
        states: Iterable[AlertState] = (),
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        """Newest revisions, newest first."""
        statement = select(alerts.c.body, alerts.c.state)
        if brand is not None:
            statement = statement.where(alerts.c.brand == brand)
        wanted = [AlertState(state).value for state in states]
        if wanted:
            statement = statement.where(alerts.c.state.in_(wanted))
        if since is not None:
            statement = statement.where(alerts.c.at >= since)
        with self._handle.read() as connection:
            rows = connection.execute(statement.order_by(alerts.c.at.desc(), alerts.c.id).limit(limit))
            return [_alert(*row) for row in rows]

    def pending(self) -> list[Alert]:
        """Revisions nobody has handled, oldest first; the newest of an alert in its present state."""
        statement = (
            select(alert_revisions.c.body, alert_revisions.c.revision, alerts.c.revision, alerts.c.state)
            .join(alerts, alerts.c.id == alert_revisions.c.alert)
            .where(alert_revisions.c.handled_at.is_(None))
            .order_by(alert_revisions.c.at, alert_revisions.c.alert, alert_revisions.c.revision)
        )
        with self._handle.read() as connection:
            return [
                _alert(body, state) if revision == newest else decode(Alert, body)
                for body, revision, newest, state in connection.execute(statement)
            ]

    def handled(self, alert: Alert, *, at: datetime) -> bool:
        """Mark a revision handled; False when another process was first."""
        with self._handle.write() as connection:
            done = connection.execute(
                update(alert_revisions)
                .where(
                    alert_revisions.c.alert == alert.id,
                    alert_revisions.c.revision == alert.revision,
                    alert_revisions.c.handled_at.is_(None),
                )
                .values(handled_at=at)
            )
            return done.rowcount == 1

    def set_state(self, id_: str, state: AlertState, *, expect: Iterable[AlertState]) -> bool:
        """Change the state if it is one of those expected; the revision stays."""
        with self._handle.write() as connection:
            fingerprint = connection.execute(
                select(alerts.c.fingerprint).where(alerts.c.id == id_)
            ).scalar_one_or_none()
            if fingerprint is None or (
                state is not AlertState.RESOLVED and _taken(connection, id_, fingerprint)
            ):
                return False
            return changed(
                connection,
                update(alerts)
                .where(alerts.c.id == id_, alerts.c.state.in_([AlertState(each).value for each in expect]))
                .values(state=AlertState(state).value),
            )


def _is_free(connection: Connection, alert: Alert) -> bool:
    return alert.state is AlertState.RESOLVED or not _taken(connection, alert.id, alert.fingerprint)


def _taken(connection: Connection, id_: str, fingerprint: str) -> bool:
    """Another open alert has this fingerprint."""
    other = exists().where(
        alerts.c.fingerprint == fingerprint,
        alerts.c.id != id_,
        alerts.c.state != AlertState.RESOLVED.value,
    )
    return bool(connection.execute(select(other)).scalar())


def _advance(connection: Connection, alert: Alert, row: dict[str, Any]) -> bool:
    return changed(
        connection,
        update(alerts)
        .where(alerts.c.id == alert.id, alerts.c.revision == alert.revision - 1)
        .values(**{name: value for name, value in row.items() if name != "id"}),
    )


def _alert(body: dict[str, Any], state: str) -> Alert:
    return replace(decode(Alert, body), state=AlertState(state))
