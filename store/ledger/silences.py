"""Who muted what until when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update

from domain.alert import Level
from domain.errors import StoreError
from store.ledger import Silence
from store.ledger.engine import Handle, insert_new
from store.ledger.tables import silences

_COLUMNS = [column for column in silences.c if column.name != "ended_by"]


class SqlSilences:
    """See ``store.ledger.Silences``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def add(self, silence: Silence) -> None:
        """Store one. Raises ``StoreError`` when its id is taken."""
        row = {column.name: getattr(silence, column.name) for column in _COLUMNS}
        with self._handle.write() as connection:
            if not insert_new(connection, silences, row | {"below": silence.below.id, "ended_by": ""}):
                raise StoreError(f"静默 {silence.id} 已经存在")

    def end(self, id_: str, *, at: datetime, actor: str) -> bool:
        """End one early; False when it had ended. One that has not begun never begins."""
        with self._handle.write() as connection:
            done = connection.execute(
                update(silences)
                .where(silences.c.id == id_, silences.c.ends_at > at)
                .values(ends_at=at, ended_by=actor)
            )
            return done.rowcount == 1

    def active(self, at: datetime) -> list[Silence]:
        """Those in force."""
        return self._select(silences.c.starts_at <= at, silences.c.ends_at > at)

    def all(self) -> list[Silence]:
        """Newest first."""
        return self._select()

    def _select(self, *where: Any) -> list[Silence]:
        statement = select(*_COLUMNS).where(*where).order_by(silences.c.starts_at.desc(), silences.c.id)
        with self._handle.read() as connection:
            return [_silence(row) for row in connection.execute(statement).mappings()]


def _silence(row: RowMapping) -> Silence:
    return Silence(**{**row, "below": Level.of(row["below"])})
