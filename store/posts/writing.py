"""Writing judged posts into the tables of ``schema.py``, within the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from domain.post import Engagement, Post, under_first_date
from store.codec import clean
from store.embedded import from_micros, micros
from store.posts import Judged
from store.posts.rows import (
    Stored,
    counters,
    digest,
    document_row,
    engagement_row,
    mention_rows,
    post_row,
)

CHUNK = 500
"""Ids in one question, and posts deleted in one transaction: others wait no longer than that."""
_T = TypeVar("_T")
_TokensOf = Callable[[Post], str]


def write(connection: sqlite3.Connection, batch: Sequence[Judged], tokens_of: _TokensOf) -> None:
    """Insert or update. ``tokens_of`` gives the words of a text, separated by blanks."""
    for unique in _rounds(batch):
        known = stored(connection, [judged.post.id for judged in unique])
        fresh = [judged for judged in unique if clean(judged.post.id) not in known]
        _insert(connection, fresh, tokens_of)
        for judged in unique:
            old = known.get(clean(judged.post.id))
            if old is not None and micros(judged.post.fetched_at) >= old.fetched:
                at, date_only = from_micros(old.published), bool(old.date_only)
                post = under_first_date(judged.post, at=at, date_only=date_only)
                _renew(connection, replace(judged, post=post), old, tokens_of)


def stored(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Stored]:
    """What is stored of these ids."""
    found: dict[str, Stored] = {}
    for some in chunks([clean(id_) for id_ in ids]):
        rows = connection.execute(
            "SELECT id, n, published, date_only, fetched, text_digest FROM posts"
            f" WHERE id IN ({marks(len(some))})",
            some,
        )
        found |= {row[0]: Stored(*row[1:]) for row in rows}
    return found


def erase(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete posts with all that belongs to them."""
    keys = [(n,) for n in numbers]
    connection.executemany(
        "INSERT INTO words (words, rowid, tokens) SELECT 'delete', n, tokens FROM documents WHERE n = ?", keys
    )
    for table in ("documents", "mentions", "engagements", "posts"):
        connection.executemany(f"DELETE FROM {table} WHERE n = ?", keys)


def replace_versions(
    connection: sqlite3.Connection, n: int, versions: Sequence[tuple[datetime, Engagement]]
) -> None:
    """Give a post these engagement versions and no other."""
    connection.execute("DELETE FROM engagements WHERE n = ?", (n,))
    connection.executemany(
        f"INSERT INTO engagements VALUES ({marks(6)})",
        [(n, micros(at), *counters(engagement)) for at, engagement in versions],
    )


def chunks(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """The items, ``CHUNK`` at a time."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def marks(number: int) -> str:
    """So many question marks for an SQL list."""
    return ", ".join("?" * number)


def _rounds(batch: Sequence[Judged]) -> Iterator[list[Judged]]:
    """The batch cut so that no id occurs twice in a part; almost always one part."""
    part: dict[str, Judged] = {}
    for judged in batch:
        id_ = clean(judged.post.id)
        if id_ in part:
            yield list(part.values())
            part = {}
        part[id_] = judged
    yield list(part.values())


def _insert(connection: sqlite3.Connection, batch: Sequence[Judged], tokens_of: _TokensOf) -> None:
    free = connection.execute("SELECT coalesce(max(n), 0) + 1 FROM posts").fetchone()[0]
    numbered = list(enumerate(batch, free))
    documents = [document_row(n, tokens_of(judged.post), judged) for n, judged in numbered]
    connection.executemany(
        f"INSERT INTO posts VALUES ({marks(10)})", [post_row(n, judged) for n, judged in numbered]
    )
    connection.executemany(f"INSERT INTO documents VALUES ({marks(4)})", documents)
    connection.executemany(
        "INSERT INTO words (rowid, tokens) VALUES (?, ?)", [document[:2] for document in documents]
    )
    connection.executemany(
        f"INSERT INTO engagements VALUES ({marks(6)})",
        [engagement_row(n, judged.post) for n, judged in numbered],
    )
    connection.executemany(
        f"INSERT INTO mentions VALUES ({marks(11)})",
        [row for n, judged in numbered for row in mention_rows(n, judged)],
    )


def _renew(connection: sqlite3.Connection, judged: Judged, old: Stored, tokens_of: _TokensOf) -> None:
    (text,) = connection.execute("SELECT tokens FROM documents WHERE n = ?", (old.n,)).fetchone()
    if digest(judged.post) != old.digest:
        connection.execute("INSERT INTO words (words, rowid, tokens) VALUES ('delete', ?, ?)", (old.n, text))
        text = tokens_of(judged.post)
        connection.execute("INSERT INTO words (rowid, tokens) VALUES (?, ?)", (old.n, text))
    connection.execute(f"REPLACE INTO documents VALUES ({marks(4)})", document_row(old.n, text, judged))
    connection.execute(
        "UPDATE posts SET (n, id, published, fetched, date_only, platform, source, story, influence, text_digest)"
        f" = ({marks(10)}) WHERE n = ?",
        (*post_row(old.n, judged), old.n),
    )
    connection.execute("DELETE FROM mentions WHERE n = ?", (old.n,))
    connection.executemany(f"INSERT INTO mentions VALUES ({marks(11)})", mention_rows(old.n, judged))
    newest = connection.execute(
        "SELECT reposts, comments, likes, views FROM engagements WHERE n = ? ORDER BY fetched DESC LIMIT 1",
        (old.n,),
    ).fetchone()
    if newest != counters(judged.post.engagement):
        connection.execute(
            f"REPLACE INTO engagements VALUES ({marks(6)})", engagement_row(old.n, judged.post)
        )
