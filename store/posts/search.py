"""Questions to the embedded posts store as SQL. What people type reaches SQLite as parameters only."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.assessment import Sentiment
from domain.errors import UsageError
from store.codec import clean
from store.embedded import micros
from store.posts import Query, Sort
from store.posts.cursor import BAD_CURSOR, cursor_of, key_of
from store.posts.rows import POLARITY
from store.posts.words import Segment, phrases

ORDERS = {
    Sort.NEWEST: ("published", "DESC"),
    Sort.OLDEST: ("published", "ASC"),
    Sort.INFLUENCE: ("influence", "DESC"),
}
"""Column and direction; ties by id, upwards."""
LIMIT = 10_000
"""Longest page."""


@dataclass(slots=True)
class Sql:
    """A FROM and WHERE under construction."""

    tables: str
    """Tables in the order in which they are walked."""
    alias: str
    """The table that holds time, influence and platform."""
    number: str
    """The column that holds the row number of a post."""
    posts: bool
    """Whether ``posts p`` is among the tables."""
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

    @property
    def with_posts(self) -> str:
        """The same with ``posts p``."""
        join = "" if self.posts else f" CROSS JOIN posts p ON p.n = {self.number}"
        return f"FROM {self.tables}{join} WHERE {' AND '.join(self.where) or '1'}"


def find(connection: sqlite3.Connection, query: Query, segment: Segment) -> tuple[int, list[int], str]:
    """Total, row numbers of one page in order, cursor of the next. Raises ``UsageError``."""
    if not 1 <= query.limit <= LIMIT:
        raise UsageError(f"每页条数应在 1 到 {LIMIT} 之间，收到 {query.limit}")
    wanted = phrases(query.text, segment)
    if query.text.strip() and not wanted:
        return 0, [], ""
    text = match(wanted)
    by_rank = bool(wanted) and query.sort is Sort.RELEVANCE
    from_words = by_rank or (bool(wanted) and _is_rare(connection, text))
    sql = _tables(query, from_words)
    _narrow(sql, query)
    if wanted:
        _match(sql, text, from_words)
    if wanted and _is_text_alone(query):
        total = connection.execute("SELECT count(*) FROM words WHERE words MATCH ?", (text,)).fetchone()[0]
    else:
        total = connection.execute(f"SELECT count(*) {sql.body}", sql.values).fetchone()[0]
    return total, *(_by_rank(connection, query, sql) if by_rank else _by_key(connection, query, sql))


def match(wanted: Sequence[tuple[str, ...]]) -> str:
    """The FTS5 expression of ``words.phrases``; every phrase is quoted, so that no word is an operator."""
    quoted = (['"' + phrase.replace('"', '""') + '"' for phrase in either] for either in wanted)
    return " AND ".join(f"({' OR '.join(either)})" for either in quoted)


def _is_text_alone(query: Query) -> bool:
    return query == Query(text=query.text, sort=query.sort, limit=query.limit, after=query.after)


def _is_rare(connection: sqlite3.Connection, text: str) -> bool:
    """Fewer hits than a sixteenth of the posts: then it is cheaper to look each hit up than to walk all."""
    posts = connection.execute("SELECT coalesce(max(n), 0) FROM posts").fetchone()[0]
    hits = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)", (text, posts // 16 + 1)
    ).fetchone()[0]
    return bool(hits <= posts // 16)


def _tables(query: Query, from_words: bool) -> Sql:
    """The tables of a question, walked from the one that leaves least to look at."""
    keys = (clean(query.brand), clean(query.topic))
    judged = bool(query.brand or query.topic or query.sentiment)
    if from_words or query.story:
        tables = "words CROSS JOIN posts p ON p.n = words.rowid" if from_words else "posts p"
        sql = Sql(tables, "p", "p.n", True)
        if judged:
            sql.tables += " CROSS JOIN mentions m ON m.published = p.published AND m.n = p.n"
            sql.add("m.brand = ? AND m.topic = ?", *keys)
    elif query.source and not judged:
        sql = Sql("posts p", "p", "p.n", True)
    else:
        sql = Sql("mentions m", "m", "m.n", False)
        sql.add("m.brand = ? AND m.topic = ?", *keys)
    if query.source and not sql.posts:
        sql.tables += " CROSS JOIN posts p ON p.n = m.n"
        sql.posts = True
    return sql


def _match(sql: Sql, text: str, from_words: bool) -> None:
    # "+" keeps SQLite from walking the hits after all: they are many here, and in the wrong order.
    rows = f"+{sql.number} IN (SELECT rowid FROM words WHERE words MATCH ?)"
    sql.add("words MATCH ?" if from_words else rows, text)


def _narrow(sql: Sql, query: Query) -> None:
    if query.sentiment is not None:
        sql.add("m.sentiment = ?", POLARITY[Sentiment(query.sentiment)])
    if query.platform:
        sql.add(f"{sql.alias}.platform = ?", clean(query.platform))
    if query.source:
        sql.add("p.source = ?", clean(query.source))
    if query.story:
        sql.add("p.story = ?", clean(query.story))
    if query.since is not None:
        sql.add(f"{sql.alias}.published >= ?", micros(query.since))
    if query.until is not None:
        sql.add(f"{sql.alias}.published < ?", micros(query.until))


def _by_key(connection: sqlite3.Connection, query: Query, sql: Sql) -> tuple[list[int], str]:
    """A page by its last key: what arrives meanwhile neither shifts nor doubles anything."""
    name, direction = ORDERS.get(query.sort, ORDERS[Sort.NEWEST])
    column, beyond = f"{sql.alias}.{name}", "<" if direction == "DESC" else ">"
    if query.after:
        key, id_ = key_of(query.after, (int, float), str)
        # The id is looked up for ties alone; "+" keeps SQLite from walking the index once for each side of OR.
        tie = f"+{column} = ? AND (SELECT id FROM posts WHERE n = {sql.number}) > ?"
        sql.add(f"{column} {beyond}= ?", key)
        sql.add(f"(+{column} {beyond} ? OR {tie})", key, key, id_)
    # The last key of the page, found without touching a post, leaves few rows to order by id.
    last = connection.execute(
        f"SELECT {column} {sql.body} ORDER BY {column} {direction} LIMIT 1 OFFSET ?",
        (*sql.values, query.limit),
    ).fetchone()
    if last is not None:
        sql.add(f"{column} {'>' if direction == 'DESC' else '<'}= ?", last[0])
    rows = connection.execute(
        f"SELECT p.n, {column}, p.id {sql.with_posts} ORDER BY {column} {direction}, p.id LIMIT ?",
        (*sql.values, query.limit + 1),
    ).fetchall()
    page = rows[: query.limit]
    return [row[0] for row in page], cursor_of(page[-1][1], page[-1][2]) if len(rows) > query.limit else ""


def _by_rank(connection: sqlite3.Connection, query: Query, sql: Sql) -> tuple[list[int], str]:
    """A page by position: ranks move with every post that arrives, so a key would not hold either."""
    (start,) = key_of(query.after, int) if query.after else (0,)
    if start < 0:
        raise UsageError(BAD_CURSOR)
    rows = connection.execute(
        f"SELECT p.n {sql.with_posts} ORDER BY bm25(words), p.id LIMIT ? OFFSET ?",
        (*sql.values, query.limit + 1, start),
    ).fetchall()
    page = [row[0] for row in rows[: query.limit]]
    return page, cursor_of(start + query.limit) if len(rows) > query.limit else ""


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
    sql = Sql("mentions m", "m", "m.n", False)
    sql.add("m.brand = ? AND m.topic = ?", clean(brand), clean(topic))
    sql.add("m.published >= ? AND m.published < ?", micros(since), micros(until))
    if sentiment is not None:
        sql.add("m.sentiment = ?", POLARITY[Sentiment(sentiment)])
    found: list[int] = []
    taken: dict[int, int] = {}
    rows = connection.execute(
        f"SELECT p.n, m.story {sql.with_posts} ORDER BY m.influence DESC, p.id", sql.values
    )
    for n, story in rows:
        if len(found) >= limit:
            break
        if taken.get(story, 0) < per_story:
            taken[story] = taken.get(story, 0) + 1
            found.append(n)
    rows.close()
    return found
