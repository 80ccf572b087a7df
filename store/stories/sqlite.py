"""The stories in one small SQLite file, shared by the workers of one host."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from domain.errors import StoreError
from store.embedded import use_log
from store.stories import Rows
from store.stories.rows import SqlRows

SCHEMA = """
CREATE TABLE IF NOT EXISTS story_posts (
    post TEXT PRIMARY KEY, story TEXT NOT NULL, at REAL NOT NULL, account TEXT NOT NULL, signature BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS story_posts_at ON story_posts (at);
CREATE INDEX IF NOT EXISTS story_posts_story ON story_posts (story, at);
CREATE INDEX IF NOT EXISTS story_posts_account ON story_posts (account, at) WHERE account <> '';
CREATE TABLE IF NOT EXISTS story_bands (
    key INTEGER NOT NULL, post TEXT NOT NULL, PRIMARY KEY (key, post)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS story_bands_post ON story_bands (post);
"""


class SqliteStories:
    """See ``store.stories.StoryTable``. ``path`` None keeps everything in memory."""

    def __init__(self, path: Path | None) -> None:
        self._lock = RLock()
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False
            )
            use_log(self._db)
            # A story that a power cut forgets is found again: no need to wait for the disk.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"打不开故事库 {path}：{error}") from error

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        """A transaction that one worker at a time is in."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield SqlRows(self._execute)
                    self._db.execute("COMMIT")
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(f"故事库写不进去：{error}", permanent=False) from error

    def size(self) -> int:
        """How many posts are remembered."""
        with self._lock:
            return int(self._execute("SELECT count(*) FROM story_posts", ())[0][0])

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _execute(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return self._db.execute(statement, tuple(values)).fetchall()
