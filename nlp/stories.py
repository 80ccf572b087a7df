"""Near-duplicates as one story, in a small SQLite file that several workers share.

MinHash by datasketch over 3-character shingles; sixteen bands of four find the candidates (a pair at Jaccard .8 is
missed once in five thousand), the signatures' agreement decides. Only the last days are kept, so memory and disk are
bounded.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from nlp.clean import normalise, own_words
from nlp.coordination import WINDOW_S, Act, suspicion
from nlp.minhash import shingles

PERMUTATIONS = 64
BANDS = 16
ALIKE = 0.8
LEAST = 6
"""Shingles below which a text is too short to be a copy of anything but itself."""
READ = 2_000
"""Characters of a text that are compared."""
_SEED = 1

_SCHEMA = """
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A post as the stories see it."""

    post: str
    text: str
    at: datetime
    account: str = ""
    """Key of a private account; empty for media, who print the same agency text as a matter of course."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Where a post belongs."""

    story: str
    """Id of the story's first post."""
    coordination: float
    """Suspicion that accounts act together, 0..1."""


class Stories:
    """Story ids. The same post always gets the same one while it is remembered; several processes agree.

    ``path``: the SQLite file; None keeps everything in memory. ``keep``: how long a post is remembered after the
    newest one; ``most``: how many posts at most.
    """

    def __init__(
        self, path: Path | None, *, keep: timedelta = timedelta(days=7), most: int = 200_000
    ) -> None:
        self._keep, self._most = keep.total_seconds(), most
        self._lock = RLock()
        self._since_cut = 0
        self._empty: Any = None
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path or ":memory:", timeout=30, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"打不开故事库 {path}:{error}") from error

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def assign(self, post_id: str, text: str, published_at: datetime) -> str:
        """Story id of one post. Raises ``StoreError``."""
        return self.place([Told(post=post_id, text=text, at=published_at)])[0].story

    def place(self, told: Sequence[Told]) -> list[Placed]:
        """Stories of many posts, in order, in one transaction. Raises ``StoreError``."""
        signed = [self._signature(t.text) for t in told]
        with self._lock, closing(self._db.cursor()) as cursor:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    stories = [self._story(cursor, t, s) for t, s in zip(told, signed, strict=True)]
                    placed = [
                        Placed(story=story, coordination=self._suspicion(cursor, story, t))
                        for story, t in zip(stories, told, strict=True)
                    ]
                    self._since_cut += len(told)
                    if self._since_cut >= 5_000:
                        self._cut(cursor)
                    cursor.execute("COMMIT")
                except BaseException:
                    cursor.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise StoreError(f"故事库写不进去:{error}", permanent=False) from error
        return placed

    def _signature(self, text: str) -> NDArray[np.uint32] | None:
        """MinHash of what the author wrote himself; None for a text too short to compare."""
        from datasketch import MinHash

        plain = normalise(text[: 4 * READ])[:READ]
        marks = shingles(own_words(plain))
        if not len(marks):
            marks = shingles(plain)
        if len(marks) < LEAST:
            return None
        if self._empty is None:
            self._empty = MinHash(num_perm=PERMUTATIONS, seed=_SEED, hashfunc=_as_is)
        made = self._empty.copy()
        made.update_batch((marks & np.uint64(0xFFFFFFFF)).tolist())
        values: NDArray[np.uint32] = made.hashvalues.astype(np.uint32)
        return values

    def _story(self, cursor: sqlite3.Cursor, told: Told, signature: NDArray[np.uint32] | None) -> str:
        known = cursor.execute("SELECT story FROM story_posts WHERE post = ?", (told.post,)).fetchone()
        if known:
            return str(known[0])
        at = told.at.timestamp()
        story = told.post
        keys: list[int] = []
        if signature is not None:
            keys = _keys(signature)
            story = self._nearest(cursor, keys, signature, at) or told.post
        blob = b"" if signature is None else signature.tobytes()
        cursor.execute(
            "INSERT INTO story_posts VALUES (?, ?, ?, ?, ?)", (told.post, story, at, told.account, blob)
        )
        if story == told.post:  # copies are found through the story's first post: bands stay few in a flood
            cursor.executemany("INSERT INTO story_bands VALUES (?, ?)", [(key, told.post) for key in keys])
        return story

    def _nearest(
        self, cursor: sqlite3.Cursor, keys: Sequence[int], signature: NDArray[np.uint32], at: float
    ) -> str | None:
        marks = ",".join("?" * len(keys))
        rows = cursor.execute(
            "SELECT p.story, p.signature, p.at FROM story_posts p WHERE p.post IN "  # noqa: S608 — only ? are put in
            f"(SELECT post FROM story_bands WHERE key IN ({marks}))",
            keys,
        ).fetchall()
        best: tuple[float, float, str] | None = None
        for story, blob, when in rows:
            alike = float((np.frombuffer(blob, np.uint32) == signature).mean())
            if alike >= ALIKE and abs(when - at) <= self._keep:
                best = max(best or (0.0, 0.0, ""), (alike, -when, str(story)))
        return best[2] if best else None

    def _suspicion(self, cursor: sqlite3.Cursor, story: str, told: Told) -> float:
        at = told.at.timestamp()
        here = cursor.execute(
            "SELECT DISTINCT account FROM story_posts WHERE story = ? AND at BETWEEN ? AND ? AND account <> '' "
            "LIMIT 200",
            (story, at - WINDOW_S, at + WINDOW_S),
        ).fetchall()
        if len(here) < 3 or not told.account:
            return 0.0
        marks = ",".join("?" * len(here))
        acts: list[Act] = cursor.execute(
            f"SELECT account, story, at FROM story_posts WHERE account IN ({marks}) "  # noqa: S608
            "ORDER BY abs(at - ?) LIMIT 1000",
            [*(row[0] for row in here), at],
        ).fetchall()
        return suspicion(acts, story, at)

    def _cut(self, cursor: sqlite3.Cursor) -> None:
        """Forget what is older than ``keep`` before the newest post, and beyond ``most``."""
        self._since_cut = 0
        newest, count = cursor.execute("SELECT max(at), count(*) FROM story_posts").fetchone()
        oldest = float(newest or 0) - self._keep
        if count > self._most:
            row = cursor.execute(
                "SELECT at FROM story_posts ORDER BY at DESC LIMIT 1 OFFSET ?", (self._most,)
            ).fetchone()
            oldest = max(oldest, float(row[0]))
        cursor.execute(
            "DELETE FROM story_bands WHERE post IN (SELECT post FROM story_posts WHERE at <= ?)", (oldest,)
        )
        cursor.execute("DELETE FROM story_posts WHERE at <= ?", (oldest,))


def _as_is(value: int) -> int:
    return value


def _keys(signature: NDArray[np.uint32]) -> list[int]:
    """One 63-bit number a band: its place and its four hashes."""
    width = PERMUTATIONS // BANDS
    return [
        hash((band, *struct.unpack(f"<{width}I", signature[band * width : (band + 1) * width].tobytes())))
        >> 1
        for band in range(BANDS)
    ]
