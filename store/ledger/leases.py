"""Rights that one process has at a time: one row each, changed by conditional updates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select, update

from store.ledger import Lease
from store.ledger.engine import Handle, insert_new
from store.ledger.tables import UtcDateTime, leases


class SqlLeases:
    """See ``store.ledger.Leases``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def take(
        self, name: str, *, holder: str, place: str, seconds: float, gone: Callable[[str], bool]
    ) -> Lease | None:
        """The lease under a new token, when nobody has it, it has expired, or its holder's place is ``gone``."""
        with self._handle.write() as connection:
            # Locked, so that of two at once the second sees what the first made of it.
            row = connection.execute(
                select(leases).where(leases.c.name == name).with_for_update()
            ).one_or_none()
            now = _now(connection)
            if row is not None and row.expires_at > now and not gone(row.place):
                return None
            lease = Lease(
                name=name,
                holder=holder,
                place=place,
                token=row.token + 1 if row else 1,
                since=now,
                expires_at=now + timedelta(seconds=seconds),
            )
            values = dataclasses.asdict(lease)
            if row is None:
                return lease if insert_new(connection, leases, values) else None
            held = leases.c.name == name, leases.c.token == row.token
            done = connection.execute(update(leases).where(*held).values(**values))
            return lease if done.rowcount == 1 else None

    def renew(self, lease: Lease, *, seconds: float) -> bool:
        """Have it for longer; False when another holder has taken it."""
        return self._expire(lease, timedelta(seconds=seconds))

    def release(self, lease: Lease) -> None:
        """Let it expire now; nothing when another holder has taken it."""
        self._expire(lease, timedelta())

    def get(self, name: str) -> Lease | None:
        """Who has it; None when nobody does."""
        with self._handle.read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == name)).mappings().one_or_none()
            return None if row is None or row["expires_at"] <= _now(connection) else Lease(**row)

    def _expire(self, lease: Lease, after: timedelta) -> bool:
        with self._handle.write() as connection:
            done = connection.execute(
                update(leases)
                .where(leases.c.name == lease.name, leases.c.token == lease.token)
                .values(expires_at=_now(connection) + after)
            )
            return done.rowcount == 1


def _now(connection: Connection) -> datetime:
    """The one clock that all who share the database go by: the server's; for a file, this machine's."""
    if connection.dialect.name != "postgresql":
        return datetime.now(UTC)
    now: datetime = connection.execute(select(func.clock_timestamp(type_=UtcDateTime))).scalar_one()
    return now
