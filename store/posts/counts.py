"""Counting mentions by bucket, brand and topic."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from domain.errors import UsageError
from store.codec import clean
from store.embedded import from_micros, micros
from store.posts import Count

MICROS = 1_000_000
_Row = tuple[int, str, str, int, int, int, int, int, float]
"""Number of the bucket, then the fields of ``Count`` in order."""


def count(
    connection: sqlite3.Connection,
    *,
    since: datetime,
    until: datetime,
    step_s: int,
    brands: Sequence[str],
    topics: bool,
    platform: str,
) -> list[Count]:
    """See ``Posts.counts``. Raises ``UsageError`` for a step below one second."""
    if step_s < 1:
        raise UsageError(f"计数的时间步长至少 1 秒，收到 {step_s}")
    first, last = micros(since), micros(until)
    wanted = sorted({clean(brand) for brand in brands} - {""}) if brands else list(all_brands(connection))
    found: list[_Row] = []
    for brand in wanted:
        for topic in _topics(connection, brand) if topics else ("",):
            rows = connection.execute(
                "SELECT published, sentiment, negative, story FROM mentions WHERE brand = ? AND topic = ?"
                " AND published >= ? AND published < ? AND NOT date_only"
                + (" AND platform = ?" if platform else "")
                + " ORDER BY published, n",
                (brand, topic, first, last, clean(platform)) if platform else (brand, topic, first, last),
            )
            _add_series(found, rows, brand, topic, step_s * MICROS)
    found.sort()
    return list(_counts(found, step_s * MICROS))


def all_brands(connection: sqlite3.Connection) -> Iterator[str]:
    """Every brand stored, one index seek each."""
    brand: str | None = ""
    while True:
        brand = connection.execute("SELECT min(brand) FROM mentions WHERE brand > ?", (brand,)).fetchone()[0]
        if brand is None:
            return
        yield brand


def _topics(connection: sqlite3.Connection, brand: str) -> Iterator[str]:
    topic: str | None = ""
    while topic is not None:
        yield topic
        topic = connection.execute(
            "SELECT min(topic) FROM mentions WHERE brand = ? AND topic > ?", (brand, topic)
        ).fetchone()[0]


def _add_series(
    found: list[_Row], rows: Iterable[tuple[int, int, float, int]], brand: str, topic: str, step: int
) -> None:
    """Append the buckets of rows in order of time. The inner loop of every tick: plain locals on purpose."""
    bucket: int | None = None
    posts = negative = positive = 0
    total = 0.0
    stories: set[int] = set()
    negative_stories: set[int] = set()
    for published, sentiment, probability, story in rows:
        if published // step != bucket:
            if bucket is not None:
                found.append(
                    (
                        bucket,
                        brand,
                        topic,
                        posts,
                        negative,
                        positive,
                        len(stories),
                        len(negative_stories),
                        total,
                    )
                )
            bucket = published // step
            posts = negative = positive = 0
            total = 0.0
            stories, negative_stories = set(), set()
        posts += 1
        total += probability
        stories.add(story)
        if sentiment < 0:
            negative += 1
            negative_stories.add(story)
        elif sentiment > 0:
            positive += 1
    if bucket is not None:
        found.append(
            (bucket, brand, topic, posts, negative, positive, len(stories), len(negative_stories), total)
        )


def _counts(rows: Iterable[_Row], step: int) -> Iterator[Count]:
    last, start = None, from_micros(0)
    for bucket, brand, topic, posts, negative, positive, stories, negative_stories, total in rows:
        if bucket != last:
            last, start = bucket, from_micros(bucket * step)
        yield Count(
            bucket=start,
            brand=brand,
            topic=topic,
            posts=posts,
            negative=negative,
            positive=positive,
            stories=stories,
            negative_stories=negative_stories,
            negative_sum=total,
        )
