"""What happened lately, whoever did it: questions for a mirror of the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import groupby

from sqlalchemy import LargeBinary, literal, or_, select

from domain.alert import Alert, AlertState
from domain.source_run import SourceRun
from store.codec import decode
from store.ledger import Appended, Notification
from store.ledger.engine import Handle
from store.ledger.outbox import FIELDS, notification
from store.ledger.tables import alert_revisions, alerts, outbox, source_runs, timeline


class SqlJournal:
    """See ``store.ledger.Journal``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def alerts(self, *, since: datetime, after: str = "", limit: int = 100) -> list[tuple[Alert, ...]]:
        """All revisions of alerts that are open, or whose newest revision is of ``since`` or later."""
        wanted = (
            select(alerts.c.id)
            .where(
                or_(alerts.c.state != AlertState.RESOLVED.value, alerts.c.at >= since), alerts.c.id > after
            )
            .order_by(alerts.c.id)
            .limit(limit)
            .subquery()
        )
        statement = (
            select(alert_revisions.c.alert, alert_revisions.c.body, alerts.c.state)
            .join(wanted, wanted.c.id == alert_revisions.c.alert)
            .join(alerts, alerts.c.id == alert_revisions.c.alert)
            .order_by(alert_revisions.c.alert, alert_revisions.c.revision)
        )
        with self._handle.read() as connection:
            rows = connection.execute(statement).all()
        found = []
        for _, group in groupby(rows, key=lambda row: row.alert):
            *older, newest = [(decode(Alert, row.body), AlertState(row.state)) for row in group]
            found.append((*(alert for alert, _ in older), replace(newest[0], state=newest[1])))
        return found

    def revisions(self, id_: str) -> list[Alert]:
        """All revisions of one alert as they were put, oldest first."""
        statement = (
            select(alert_revisions.c.body)
            .where(alert_revisions.c.alert == id_)
            .order_by(alert_revisions.c.revision)
        )
        with self._handle.read() as connection:
            return [decode(Alert, body) for body in connection.scalars(statement)]

    def incidents(self, *, after: int, limit: int = 500) -> list[Appended[str]]:
        """Ids of incidents, once for each event of their timelines."""
        statement = (
            select(timeline.c.n, timeline.c.at, timeline.c.incident)
            .where(timeline.c.n > after)
            .order_by(timeline.c.n)
            .limit(limit)
        )
        with self._handle.read() as connection:
            return [Appended(n=n, at=at, what=incident) for n, at, incident in connection.execute(statement)]

    def deliveries(self, *, since: datetime, after: str = "", limit: int = 500) -> list[Notification]:
        """Messages that wait, or were made or settled at ``since`` or later; without their bodies."""
        columns = [
            literal(b"", LargeBinary).label(name) if name == "body" else outbox.c[name] for name in FIELDS
        ]
        lately = or_(
            outbox.c.state == "waiting",
            outbox.c.created_at >= since,
            outbox.c.sent_at >= since,
            outbox.c.ended_at >= since,
        )
        statement = select(*columns).where(lately, outbox.c.id > after).order_by(outbox.c.id).limit(limit)
        with self._handle.read() as connection:
            return [notification(row) for row in connection.execute(statement).mappings()]

    def source_runs(self, *, after: int, limit: int = 500) -> list[Appended[SourceRun]]:
        """Crawls of all sources, in the order in which they were recorded."""
        statement = (
            select(source_runs.c.n, source_runs.c.ended_at, source_runs.c.body)
            .where(source_runs.c.n > after)
            .order_by(source_runs.c.n)
            .limit(limit)
        )
        with self._handle.read() as connection:
            return [
                Appended(n=n, at=at, what=decode(SourceRun, body))
                for n, at, body in connection.execute(statement)
            ]
