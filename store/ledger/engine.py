"""The ledger's database: connections, transactions, and what its refusals mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from domain.errors import StoreError
from store.codec import dumps_value
from store.embedded import BUSY_S, configure, failure, prepare

_WRITING = "yujing_writing"


class Handle:
    """One engine with its transactions; every refusal becomes a ``StoreError``."""

    def __init__(self, engine: Engine, path: Path | None) -> None:
        self._engine = engine
        self._path = path

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for questions."""
        with self._translated(), self._engine.begin() as connection:
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
        except DBAPIError as error:
            raise self._failure(error) from error
        except sqlite3.Error as error:
            raise failure(self._path or Path(), error) from error
        except SQLAlchemyError as error:
            raise StoreError(f"台账数据库拒绝了操作：{type(error).__name__} {error}") from error

    def _failure(self, error: DBAPIError) -> StoreError:
        if self._path is not None and isinstance(error.orig, sqlite3.Error):
            return failure(self._path, error.orig)
        return StoreError(f"台账数据库拒绝了操作：{error.orig}", permanent=not error.connection_invalidated)


def sqlite_handle(path: Path) -> Handle:
    """A handle on an SQLite file. Raises ``StoreError`` when the file cannot be used."""
    prepare(path)
    engine = sqlalchemy.create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_S, "isolation_level": None, "check_same_thread": False},
        json_serializer=dumps_value,
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:
        configure(connection)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # Taken at once by writers: a read lock that wants to become a write lock can only fail.
        writing = connection.get_execution_options().get(_WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return Handle(engine, path)


def insert_new(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one of its unique keys is taken; whether it was inserted."""
    statement = _insert(connection, table).values(**row).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, or replace those with the same primary key."""
    if not rows:
        return
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    changed = {
        column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys
    }
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))


def _insert(connection: Connection, table: Table) -> Any:
    # Both dialects know ON CONFLICT in the same words; SQLAlchemy has no common spelling for it.
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
