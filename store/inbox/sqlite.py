"""The inbox in one SQLite file."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from domain.post import Post
from store.codec import clean, dumps, loads
from store.embedded import Database, from_micros, micros
from store.findings import Finding
from store.inbox import DeadLetter, Depth, Leased

SCHEMA = """
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    put_at INTEGER NOT NULL,
    leased_until INTEGER NOT NULL DEFAULT 0,
    nonce TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    body TEXT NOT NULL
);
CREATE INDEX messages_by_lease ON messages (leased_until, put_at);
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    body TEXT NOT NULL
)
"""
NEVER_LEASED = -(1 << 62)
"""Earlier than every time."""


class SqliteInbox:
    """See ``store.inbox.Inbox``. Times are kept as microseconds since the epoch."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, (SCHEMA,))

    def put(self, posts: Sequence[Post], *, now: datetime) -> int:
        """Store posts, all or none; an identical copy that waits or is leased is not added again."""
        if not posts:
            return 0
        bodies = [dumps(post) for post in posts]
        with self._database.write() as connection:
            before = connection.total_changes
            _put(connection, bodies, now)
            return connection.total_changes - before

    def lease(self, limit: int, *, now: datetime, lease: timedelta) -> list[Leased]:
        """The oldest waiting posts, at most ``limit``, hidden from others until ``now + lease``."""
        nonce, until = secrets.token_hex(8), micros(now + lease)
        with self._database.write() as connection:
            rows = connection.execute(
                "SELECT seq, body, tries + 1 FROM messages WHERE leased_until <= ? ORDER BY seq LIMIT ?",
                (micros(now), max(limit, 0)),
            ).fetchall()
            # Decoded before the commit: when one cannot be read, none is hidden.
            found = [
                Leased(token=f"{seq}-{nonce}", post=loads(Post, body), tries=tries)
                for seq, body, tries in rows
            ]
            connection.executemany(
                "UPDATE messages SET leased_until = ?, nonce = ?, tries = tries + 1 WHERE seq = ?",
                [(until, nonce, row[0]) for row in rows],
            )
        return found

    def give_back(self, leased: Sequence[Leased]) -> None:
        """As if they had not been leased: they wait again, with the tries of before."""
        keys = [key for each in leased if (key := _key(each.token))]
        if not keys:
            return
        with self._database.write() as connection:
            connection.executemany(
                "UPDATE messages SET leased_until = ?, nonce = '', tries = tries - 1 WHERE seq = ? AND nonce = ?",
                [(NEVER_LEASED, *key) for key in keys],
            )

    def acknowledge(self, tokens: Sequence[str]) -> int:
        """Remove what was done; returns how many tokens were still good."""
        keys = [key for key in map(_key, tokens) if key]
        if not keys:
            return 0
        with self._database.write() as connection:
            before = connection.total_changes
            connection.executemany("DELETE FROM messages WHERE seq = ? AND nonce = ?", keys)
            return connection.total_changes - before

    def bury(self, token: str, *, reason: str, now: datetime) -> None:
        """Move a poison post to the dead letters."""
        key = _key(token)
        if key is None:
            return
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO dead_letters (at, reason, body)"
                " SELECT ?, ?, body FROM messages WHERE seq = ? AND nonce = ?",
                (micros(now), clean(reason), *key),
            )
            connection.execute("DELETE FROM messages WHERE seq = ? AND nonce = ?", key)

    def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT body, reason, at FROM dead_letters ORDER BY seq DESC LIMIT ?",
                (max(limit, 0),),
            ).fetchall()
        return [
            DeadLetter(post=loads(Post, body), reason=reason, at=from_micros(at)) for body, reason, at in rows
        ]

    def revive(self, *, now: datetime) -> int:
        """Put every dead letter back among the waiting posts, with no tries; returns how many there were."""
        with self._database.write() as connection:
            bodies = [body for (body,) in connection.execute("SELECT body FROM dead_letters ORDER BY seq")]
            _put(connection, bodies, now)
            connection.execute("DELETE FROM dead_letters")
        return len(bodies)

    def depth(self, *, now: datetime) -> Depth:
        """How much waits, is leased, is dead, and since when."""
        with self._database.read() as connection:
            waiting, oldest = connection.execute(
                "SELECT count(*), min(put_at) FROM messages WHERE leased_until <= ?", (micros(now),)
            ).fetchone()
            leased = connection.execute(
                "SELECT count(*) FROM messages WHERE leased_until > ?", (micros(now),)
            ).fetchone()[0]
            dead = connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return Depth(
            waiting=waiting,
            leased=leased,
            dead=dead,
            oldest=None if oldest is None else from_micros(oldest),
        )

    def examine(self) -> list[Finding]:
        """Look at the file and its disk."""
        return self._database.examine("收件箱")

    def mend(self) -> list[Finding]:
        """Nothing of a file can be mended without a person's decision."""
        return []

    def close(self) -> None:
        """Release files and connections."""
        self._database.close()


def _put(connection: sqlite3.Connection, bodies: Sequence[str], now: datetime) -> None:
    connection.executemany(
        "INSERT INTO messages (digest, put_at, leased_until, body) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (digest) DO NOTHING",
        [(_digest(body), micros(now), NEVER_LEASED, body) for body in bodies],
    )


def _digest(body: str) -> bytes:
    return hashlib.blake2b(body.encode(), digest_size=16).digest()


def _key(token: str) -> tuple[int, str] | None:
    """Row and nonce of a token; None for what was never one."""
    seq, _, nonce = token.partition("-")
    return (int(seq), nonce) if nonce and seq.isascii() and seq.isdecimal() and len(seq) < 19 else None
