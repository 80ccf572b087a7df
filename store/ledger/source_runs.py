"""How crawls ended, and what crawlers have seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, insert, select

from domain.source_run import Outcome, SourceRun
from store.codec import decode, document
from store.ledger.engine import Handle, upsert
from store.ledger.tables import seen, source_runs

SEEING = [outcome.value for outcome in Outcome if outcome.seeing]
CHUNK = 500
"""Keys in one question."""


class SqlSourceRuns:
    """See ``store.ledger.SourceRuns``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def record(self, run: SourceRun) -> None:
        """Append one."""
        with self._handle.write() as connection:
            connection.execute(
                insert(source_runs).values(
                    source=run.source, ended_at=run.ended_at, outcome=run.outcome.value, body=document(run)
                )
            )

    def last(self) -> Mapping[str, SourceRun]:
        """The newest run of each source."""
        place = func.row_number().over(
            partition_by=source_runs.c.source,
            order_by=(source_runs.c.ended_at.desc(), source_runs.c.n.desc()),
        )
        ranked = select(source_runs.c.source, source_runs.c.body, place.label("place")).subquery()
        statement = select(ranked.c.source, ranked.c.body).where(ranked.c.place == 1)
        with self._handle.read() as connection:
            return {source: decode(SourceRun, body) for source, body in connection.execute(statement)}

    def last_seeing(self, *, until: datetime | None = None) -> Mapping[str, datetime]:
        """When each source last ended with results or proved empty; at ``until`` or before, if given."""
        statement = (
            select(source_runs.c.source, func.max(source_runs.c.ended_at))
            .where(source_runs.c.outcome.in_(SEEING))
            .group_by(source_runs.c.source)
        )
        if until is not None:
            statement = statement.where(source_runs.c.ended_at <= until)
        with self._handle.read() as connection:
            return {source: at for source, at in connection.execute(statement)}  # noqa: C416

    def history(self, source: str, *, limit: int = 50) -> list[SourceRun]:
        """Newest first."""
        statement = (
            select(source_runs.c.body)
            .where(source_runs.c.source == source)
            .order_by(source_runs.c.ended_at.desc(), source_runs.c.n.desc())
            .limit(limit)
        )
        with self._handle.read() as connection:
            return [decode(SourceRun, body) for body in connection.execute(statement).scalars()]

    def seen(self, source: str, keys: Sequence[str]) -> Mapping[str, str]:
        """Those keys that were seen, with the mark left on them."""
        by_digest = {_digest(key): key for key in keys}
        found: dict[str, str] = {}
        digests = list(by_digest)
        with self._handle.read() as connection:
            for start in range(0, len(digests), CHUNK):
                rows = connection.execute(
                    select(seen.c.digest, seen.c.mark).where(
                        seen.c.source == source, seen.c.digest.in_(digests[start : start + CHUNK])
                    )
                )
                found |= {by_digest[digest]: mark for digest, mark in rows}
        return found

    def mark(self, source: str, marks: Mapping[str, str], *, at: datetime) -> None:
        """Remember keys with their marks."""
        rows = [
            {"source": source, "digest": _digest(key), "mark": mark, "at": at} for key, mark in marks.items()
        ]
        with self._handle.write() as connection:
            upsert(connection, seen, rows)


def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
