"""Small named JSON documents."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select

from store.ledger.engine import Handle, alone, upsert
from store.ledger.tables import states


class SqlStates:
    """See ``store.ledger.States``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def load(self, kind: str) -> Mapping[str, dict[str, object]]:
        """All documents of a kind, by key."""
        with self._handle.read() as connection:
            rows = connection.execute(
                select(states.c.key, states.c.body).where(states.c.kind == kind).order_by(states.c.key)
            )
            return {key: body for key, body in rows}  # noqa: C416  (dict() would hide what a row is)

    def save(self, kind: str, documents: Mapping[str, dict[str, object]]) -> None:
        """Replace the named documents, all or none."""
        with self._handle.write() as connection:
            upsert(connection, states, _rows(kind, documents))

    def replace(self, kind: str, documents: Mapping[str, dict[str, object]]) -> None:
        """Replace everything of a kind, all or none."""
        with self._handle.write() as connection:
            # Two at a time would leave the sum of both.
            alone(connection, f"states {kind}")
            connection.execute(delete(states).where(states.c.kind == kind))
            upsert(connection, states, _rows(kind, documents))


def _rows(kind: str, documents: Mapping[str, dict[str, object]]) -> list[dict[str, object]]:
    return [{"kind": kind, "key": key, "body": body} for key, body in documents.items()]
