"""The stories in two tables of the ledger's PostgreSQL server, shared by the workers of many hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from config.settings import Access
from store.ledger.postgresql import arguments, refusal, shown
from store.stories import Rows
from store.stories.rows import SqlRows

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS story_posts (
        post TEXT PRIMARY KEY, story TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, account TEXT NOT NULL,
        signature BYTEA NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS story_posts_at ON story_posts (at)",
    "CREATE INDEX IF NOT EXISTS story_posts_story ON story_posts (story, at)",
    "CREATE INDEX IF NOT EXISTS story_posts_account ON story_posts (account, at) WHERE account <> ''",
    """CREATE TABLE IF NOT EXISTS story_bands (
        key BIGINT NOT NULL, post TEXT NOT NULL, PRIMARY KEY (key, post)
    )""",
    "CREATE INDEX IF NOT EXISTS story_bands_post ON story_bands (post)",
)
LOCK = 0x5953544F
"""Number of the advisory lock that a worker holds while it places a batch ("YSTO")."""
WAIT_S = 60
"""Seconds for the worker before us."""


class PostgresqlStories:
    """See ``store.stories.StoryTable``. A connection that was lost is made anew by the next transaction."""

    def __init__(self, url: str, access: Access) -> None:
        address = make_url(url)
        # Several hosts, as the ledger reads them.
        _, given = address.get_dialect()().create_connect_args(address)
        self._to: dict[str, Any] = {
            **{name: value for name, value in given.items() if name != "context"},
            **arguments(address, access),
            # A worker waits for those before it, who place a whole batch each.
            "options": f"-c lock_timeout={WAIT_S}s -c statement_timeout={WAIT_S}s",
        }
        self._where = f"故事库（PostgreSQL {shown(address)}）"
        self._lock = RLock()
        self._open: psycopg.Connection[tuple[Any, ...]] | None = None
        with self._transaction() as connection:
            # Asked first: IF NOT EXISTS needs the right to make tables even where they are.
            there = connection.execute("SELECT to_regclass('story_bands') IS NOT NULL").fetchone()
            for statement in SCHEMA if there == (False,) else ():
                connection.execute(statement)

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        """A transaction that one worker at a time is in."""
        with self._transaction() as connection:

            def execute(statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
                cursor = connection.execute(statement.replace("?", "%s"), tuple(values))
                return cursor.fetchall() if cursor.description else []

            yield SqlRows(execute)

    def size(self) -> int:
        """How many posts are remembered."""
        with self._transaction() as connection:
            row = connection.execute("SELECT count(*) FROM story_posts").fetchone()
            return int(row[0]) if row else 0

    def close(self) -> None:
        """Release the connection."""
        with self._lock:
            if self._open is not None:
                self._open.close()

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with self._lock:
            try:
                if self._open is None or self._open.closed:
                    self._open = psycopg.connect(**self._to)
                with self._open.transaction():
                    self._open.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                    yield self._open
            except psycopg.Error as error:
                if self._open is not None and self._open.broken:
                    self._open.close()
                raise refusal(self._where, error) from error
