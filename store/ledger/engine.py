"""The ledger's database: transactions, what both dialects spell differently, and the embedded one's connections."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.sql.expression import Executable

from domain.errors import StoreError
from store.codec import dumps_value
from store.embedded import BUSY_S, configure, failure, prepare

_WRITING = "yujing_writing"


class Handle:
    """One engine with its transactions; every refusal becomes a ``StoreError``."""

    def __init__(
        self,
        engine: Engine,
        *,
        where: str,
        refusal: Callable[[Exception], StoreError],
        reading: Mapping[str, Any] | None = None,
    ) -> None:
        self._engine = engine
        self._refusal = refusal
        self._reading = dict(reading or {})
        self.where = where
        """The file, or host:port/database: nothing secret."""

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for questions, which sees one state of the database throughout."""
        with (
            self._translated(),
            self._engine.connect().execution_options(**self._reading) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: committed at the end, rolled back on any exception."""
        with (
            self._translated(),
            self._engine.connect().execution_options(**{_WRITING: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Release connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            raise self._refusal(error) from error
        except SQLAlchemyError as error:
            # What our own column types refused, SQLAlchemy wraps.
            if isinstance(error, StatementError) and isinstance(error.orig, StoreError):
                raise error.orig from error
            if isinstance(error, sqlalchemy.exc.TimeoutError):
                raise StoreError(
                    f"台账 {self.where} 的连接都在用，没有等到空出来的一个：请稍后再试", permanent=False
                ) from error
            raise StoreError(f"台账数据库拒绝了操作：{type(error).__name__} {error}") from error


def sqlite_handle(path: Path) -> Handle:
    """A handle on an SQLite file. Raises ``StoreError`` when the file cannot be used."""
    prepare(path)
    engine = sqlalchemy.create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_S, "isolation_level": None, "check_same_thread": False},
        json_serializer=dumps_value,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        configure(connection)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # Taken at once by writers: a read lock that wants to become a write lock can only fail.
        writing = connection.get_execution_options().get(_WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    def refusal(error: Exception) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, sqlite3.Error):
            return failure(path, cause)
        return StoreError(f"数据库 {path} 拒绝了操作：{type(cause).__name__}")

    return Handle(engine, where=str(path), refusal=refusal)


def alone(connection: Connection, what: str) -> None:
    """One transaction at a time goes past this point; SQLite's writers queue up anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtext(:what))"), {"what": f"yujing ledger {what}"}
        )


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; whether it was inserted."""
    statement = _insert(connection, table).values(**row).on_conflict_do_nothing()
    # Asked for with RETURNING: not every driver counts the rows of an INSERT.
    return connection.execute(statement.returning(*table.primary_key)).first() is not None


def changed(connection: Connection, statement: Executable) -> bool:
    """Run a conditional UPDATE of one row; False when it met no row, or another took a unique key meanwhile."""
    try:
        with connection.begin_nested():
            return connection.execute(statement).rowcount == 1
    except IntegrityError:
        return False


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those with the same primary key."""
    if not rows:
        return
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    values = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    # In one order everywhere: two transactions that lock the same rows crosswise would have to be broken up.
    ordered = sorted(rows, key=lambda row: [row[key] for key in keys])
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), ordered)


def _insert(connection: Connection, table: Table) -> Any:
    # Both dialects know ON CONFLICT in the same words; SQLAlchemy has no common spelling for it.
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
