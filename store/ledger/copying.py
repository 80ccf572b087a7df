"""Move a ledger to another database: every table in batches, resumable, compared at the end.

The source must be at rest. What was copied is remembered in the target, in the same transaction as the rows
themselves; after a kill the copy goes on from there. Leases stay behind: they are about running processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, tuple_

from domain.errors import InputError, StoreError
from store.ledger import SCHEDULER, Ledger
from store.ledger.engine import Handle, upsert
from store.ledger.examining import numbered, renumber
from store.ledger.sql import SqlLedger
from store.ledger.tables import leases, metadata, states

BATCH = 200
"""Rows at a time: a message holds pictures, and can be some hundred kilobytes."""
_KIND = "copying"
"""Kind of the documents in ``states`` that remember how far a copy came; gone when it is done."""

Say = Callable[[str, int, int], None]
"""Gets the table, and how many of how many rows are copied or compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """One table, the same in both databases."""

    table: str
    rows: int
    digest: str
    """SHA-256 over all rows in the order of their keys."""


def copy(source: Ledger, target: Ledger, *, say: Say = lambda *_: None) -> list[Copied]:
    """Copy every table, then compare counts and digests.

    Raises ``InputError`` when the target holds anything but a copy of this source begun before, or when either is in
    use; ``StoreError`` when a database refuses, or when they differ at the end: what differs is copied again by
    the next call.
    """
    origin, goal = _handle(source), _handle(target)
    for ledger, handle in ((source, origin), (target, goal)):
        running = ledger.leases.get(SCHEDULER)
        if running is not None:
            raise InputError(f"{handle.where} 正在被 {running.holder} 使用：先停下所有 yujing 进程")
    if origin.where == goal.where:
        raise InputError(f"源和目标是同一个台账：{goal.where}")
    progress = _begin(origin, goal)
    for table in _tables():
        _copy(origin, goal, table, progress.get(table.name), say)
    found = [_compared(origin, goal, table, say) for table in _tables()]
    differing = [name for name, same in found if same is None]
    with goal.write() as connection:
        if differing:
            _forget(connection, differing)
        else:
            connection.execute(delete(states).where(states.c.kind == _KIND))
    if differing:
        raise StoreError(
            f"复制后 {'、'.join(differing)} 与源不一致，复制期间源有改动：停下所有 yujing 进程，再运行一次",
            permanent=False,
        )
    return [same for _, same in found if same is not None]


def compare(source: Ledger, target: Ledger, *, say: Say = lambda *_: None) -> tuple[list[Copied], list[str]]:
    """The tables that are the same in both, and the names of those that are not; nothing is written."""
    origin, goal = _handle(source), _handle(target)
    found = [_compared(origin, goal, table, say) for table in _tables()]
    return [same for _, same in found if same is not None], [name for name, same in found if same is None]


def _handle(ledger: Ledger) -> Handle:
    if not isinstance(ledger, SqlLedger):
        raise TypeError(f"{type(ledger).__name__} is no SQL ledger")
    return ledger.handle


def _tables() -> list[Table]:
    """Those that others refer to first."""
    return [table for table in metadata.sorted_tables if table is not leases]


def _begin(origin: Handle, goal: Handle) -> Mapping[str, Any]:
    """How far each table came: its last key, or ``done``. Marks a target that is new."""
    with goal.write() as connection:
        rows = connection.execute(select(states.c.key, states.c.body).where(states.c.kind == _KIND)).all()
        progress = {key: body for key, body in rows}  # noqa: C416  (dict() would hide what a row is)
        begun = progress.pop("", None)
        if begun is None:
            full = [table.name for table in _tables() if _count(connection, table)]
            if full:
                raise InputError(f"目标 {goal.where} 不是空的（{'、'.join(full)} 里有内容）：换一个空库")
            _remember(connection, "", {"from": origin.where})
        elif begun["from"] != origin.where:
            raise InputError(f"目标 {goal.where} 里是从 {begun['from']} 开始的另一次复制：换一个空库")
    return progress


def _copy(origin: Handle, goal: Handle, table: Table, progress: Mapping[str, Any] | None, say: Say) -> None:
    after, done = (progress["after"], progress["rows"]) if progress else (None, 0)
    with origin.read() as connection:
        total = _count(connection, table)
    for rows in _batches(origin, table, after):
        with goal.write() as connection:
            upsert(connection, table, rows)
            done += len(rows)
            _remember(connection, table.name, {"after": _key(table, rows[-1]), "rows": done})
        say(table.name, done, total)
    if table in numbered():
        with goal.write() as connection:
            renumber(connection, table)


def _compared(origin: Handle, goal: Handle, table: Table, say: Say) -> tuple[str, Copied | None]:
    one, other = (_digest(handle, table, say) for handle in (origin, goal))
    same = Copied(table=table.name, rows=one[0], digest=one[1]) if one == other else None
    return table.name, same


def _digest(handle: Handle, table: Table, say: Say) -> tuple[int, str]:
    digest, count = hashlib.sha256(), 0
    with handle.read() as connection:
        total = _count(connection, table)
    for rows in _batches(handle, table, None):
        for row in rows:
            digest.update(json.dumps(row, default=_plain, sort_keys=True).encode() + b"\n")
        count += len(rows)
        say(table.name, count, total)
    return count, digest.hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(type(value).__name__)


def _batches(handle: Handle, table: Table, after: Sequence[Any] | None) -> Iterator[list[dict[str, Any]]]:
    """All rows with keys after the one given, in the order of their keys."""
    key = list(table.primary_key)
    statement = _own(table).order_by(*key).limit(BATCH)
    while True:
        wanted = statement if after is None else statement.where(tuple_(*key) > tuple_(*after))
        with handle.read() as connection:
            rows = [dict(row) for row in connection.execute(wanted).mappings()]
        if rows:
            yield rows
            after = _key(table, rows[-1])
        if len(rows) < BATCH:
            return


def _own(table: Table) -> Any:
    """All rows but our own marks."""
    statement = select(table)
    return statement.where(states.c.kind != _KIND) if table is states else statement


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(_own(table).subquery())).scalar_one())


def _key(table: Table, row: Mapping[str, Any]) -> list[Any]:
    return [row[column.name] for column in table.primary_key]


def _remember(connection: Connection, key: str, body: dict[str, Any]) -> None:
    upsert(connection, states, [{"kind": _KIND, "key": key, "body": body}])


def _forget(connection: Connection, names: Sequence[str]) -> None:
    """Empty tables of the target, with what refers to them, so that the next call copies them anew."""
    for table in reversed(_tables()):
        parents = {key.column.table.name for key in table.foreign_keys}
        if table.name in names or parents & set(names):
            kept = states.c.kind != _KIND if table is states else None
            statement = delete(table) if kept is None else delete(table).where(kept)
            connection.execute(statement)
            connection.execute(delete(states).where(states.c.kind == _KIND, states.c.key == table.name))
