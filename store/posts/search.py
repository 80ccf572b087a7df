"""Questions to the embedded posts store as SQL. What people type reaches SQLite as parameters only."""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.assessment import Sentiment
from domain.errors import UsageError
from store.codec import clean
from store.embedded import micros
from store.posts import Query, Sort
from store.posts.rows import POLARITY
from store.posts.words import Segment, phrases

ORDERS = {
    Sort.NEWEST: ("{0}.published", "DESC"),
    Sort.OLDEST: ("{0}.published", "ASC"),
    Sort.INFLUENCE: ("{0}.influence", "DESC"),
}
LIMIT = 10_000
"""Longest page."""


@dataclass(slots=True)
class Sql:
    """A FROM and WHERE under construction."""

    tables: str
    alias: str
    """Table that holds time and influence."""
    where: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    def add(self, condition: str, *values: object) -> None:
        """One more condition that must hold."""
        self.where.append(condition)
        self.values += values

    @property
    def body(self) -> str:
        """``FROM … WHERE …``."""
        return f"FROM {self.tables} WHERE {' AND '.join(self.where) or '1'}"


def find(connection: sqlite3.Connection, query: Query, segment: Segment) -> tuple[int, list[int], str]:
    """Total, row numbers of one page in order, cursor of the next. Raises ``UsageError``."""
    if not 1 <= query.limit <= LIMIT:
        raise UsageError(f"每页条数应在 1 到 {LIMIT} 之间，收到 {query.limit}")
    wanted = phrases(query.text, segment)
    if query.text.strip() and not wanted:
        return 0, [], ""
    sql = _filtered(query, wanted)
    total = connection.execute(f"SELECT count(*) {sql.body}", sql.values).fetchone()[0]
    if query.sort is Sort.RELEVANCE and wanted:
        return total, *_by_rank(connection, query, sql)
    return total, *_by_key(connection, query, sql)


def match(wanted: list[list[str]]) -> str:
    """The FTS5 expression of phrases that must all occur; every word is quoted, so that none is an operator."""
    return " ".join('"' + " ".join(phrase).replace('"', '""') + '"' for phrase in wanted)


def _filtered(query: Query, wanted: list[list[str]]) -> Sql:
    by_mention = bool(query.brand or query.topic or query.sentiment) or not (wanted or query.story)
    joined = (
        "CROSS JOIN mentions m ON m.brand = ? AND m.topic = ? AND m.published = p.published AND m.n = p.n"
    )
    keys: tuple[object, ...] = (clean(query.brand), clean(query.topic))
    if wanted:
        tables = "words CROSS JOIN posts p ON p.n = words.rowid"
    elif query.story:
        tables = "posts p"
    else:
        tables, joined = "mentions m CROSS JOIN posts p ON p.n = m.n", ""
    alias = "p" if joined else "m"
    sql = Sql(f"{tables} {joined}" if by_mention and joined else tables, alias)
    if by_mention and joined:
        sql.values += keys
    elif by_mention:
        sql.add("m.brand = ? AND m.topic = ?", *keys)
    if wanted:
        sql.add("words MATCH ?", match(wanted))
    _narrow(sql, query)
    return sql


def _narrow(sql: Sql, query: Query) -> None:
    if query.sentiment is not None:
        sql.add("m.sentiment = ?", POLARITY[Sentiment(query.sentiment)])
    if query.platform:
        sql.add(f"{sql.alias}.platform = ?", clean(query.platform))
    if query.source:
        sql.add("p.source = ?", clean(query.source))
    if query.story:
        sql.add(f"{sql.alias}.story = ?", clean(query.story))
    if query.since is not None:
        sql.add(f"{sql.alias}.published >= ?", micros(query.since))
    if query.until is not None:
        sql.add(f"{sql.alias}.published < ?", micros(query.until))


def _by_key(connection: sqlite3.Connection, query: Query, sql: Sql) -> tuple[list[int], str]:
    """A page by its last key: what arrives meanwhile neither shifts nor doubles anything."""
    column, direction = ORDERS.get(query.sort, ORDERS[Sort.NEWEST])
    column = column.format(sql.alias)
    if query.after:
        key, id_ = _cursor(query.after, (int, float), str)
        beyond = "<" if direction == "DESC" else ">"
        sql.add(f"({column} {beyond} ? OR ({column} = ? AND p.id > ?))", key, key, id_)
    rows = connection.execute(
        f"SELECT p.n, {column}, p.id {sql.body} ORDER BY {column} {direction}, p.id LIMIT ?",
        (*sql.values, query.limit + 1),
    ).fetchall()
    page = rows[: query.limit]
    return [row[0] for row in page], _cursor_of(page[-1][1], page[-1][2]) if len(rows) > query.limit else ""


def _by_rank(connection: sqlite3.Connection, query: Query, sql: Sql) -> tuple[list[int], str]:
    """A page by position: ranks move with every post that arrives, so a key would not hold either."""
    (start,) = _cursor(query.after, int) if query.after else (0,)
    rows = connection.execute(
        f"SELECT p.n {sql.body} ORDER BY words.rank, p.id LIMIT ? OFFSET ?",
        (*sql.values, query.limit + 1, start),
    ).fetchall()
    return (
        [row[0] for row in rows[: query.limit]],
        _cursor_of(start + query.limit) if len(rows) > query.limit else "",
    )


def _cursor_of(*key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _cursor(text: str, *kinds: type | tuple[type, ...]) -> list[Any]:
    try:
        key = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        if len(key) == len(kinds) and all(map(isinstance, key, kinds)):
            return list(key)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        key = None
    raise UsageError("翻页标记无效：请从第一页重新查询")


def top(
    connection: sqlite3.Connection,
    *,
    brand: str,
    topic: str,
    since: datetime,
    until: datetime,
    sentiment: Sentiment | None,
    limit: int,
    per_story: int,
) -> list[int]:
    """Row numbers of the most influential posts, at most ``per_story`` of one story."""
    sql = Sql("mentions m CROSS JOIN posts p ON p.n = m.n", "m")
    sql.add("m.brand = ? AND m.topic = ?", clean(brand), clean(topic))
    sql.add("m.published >= ? AND m.published < ?", micros(since), micros(until))
    if sentiment is not None:
        sql.add("m.sentiment = ?", POLARITY[Sentiment(sentiment)])
    found: list[int] = []
    taken: dict[str, int] = {}
    rows = connection.execute(f"SELECT p.n, m.story {sql.body} ORDER BY m.influence DESC, p.id", sql.values)
    for n, story in rows:
        if len(found) >= limit:
            break
        if taken.get(story, 0) < per_story:
            taken[story] = taken.get(story, 0) + 1
            found.append(n)
    rows.close()
    return found
