"""Who changed what, append-only."""

from __future__ import annotations

from sqlalchemy import insert, select

from store.ledger import AuditEntry
from store.ledger.engine import Handle
from store.ledger.tables import audit


class SqlAudit:
    """See ``store.ledger.Audit``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def record(self, entry: AuditEntry) -> None:
        """Append one."""
        with self._handle.write() as connection:
            connection.execute(
                insert(audit).values(
                    at=entry.at,
                    actor=entry.actor,
                    action=entry.action,
                    subject=entry.subject,
                    reason=entry.reason,
                )
            )

    def last(self, limit: int = 100) -> list[AuditEntry]:
        """Newest first."""
        columns = [column for column in audit.c if column.name != "n"]
        statement = select(*columns).order_by(audit.c.at.desc(), audit.c.n.desc()).limit(limit)
        with self._handle.read() as connection:
            return [AuditEntry(**row) for row in connection.execute(statement).mappings()]
