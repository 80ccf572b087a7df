"""Counting mentions by bucket, brand and topic."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime

from domain.errors import UsageError
from store.codec import clean
from store.embedded import from_micros, micros
from store.posts import Count

MICROS = 1_000_000


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
    found: list[Count] = []
    for brand in wanted:
        for topic in _topics(connection, brand) if topics else ("",):
            rows = connection.execute(
                "SELECT published, sentiment, negative, story FROM mentions WHERE brand = ? AND topic = ?"
                " AND published >= ? AND published < ? AND NOT date_only"
                + (" AND platform = ?" if platform else "")
                + " ORDER BY published, n",
                (brand, topic, first, last, clean(platform)) if platform else (brand, topic, first, last),
            )
            found += _series(rows, brand, topic, step_s * MICROS)
    found.sort(key=lambda row: (row.bucket, row.brand, row.topic))
    return found


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


def _series(
    rows: Iterator[tuple[int, int, float, str]], brand: str, topic: str, step: int
) -> Iterator[Count]:
    """Counts of rows in order of time."""
    bucket: int | None = None
    posts = negative = positive = 0
    total = 0.0
    stories: set[str] = set()
    negative_stories: set[str] = set()

    def counted(start: int) -> Count:
        return Count(
            bucket=from_micros(start * step),
            brand=brand,
            topic=topic,
            posts=posts,
            negative=negative,
            positive=positive,
            stories=len(stories),
            negative_stories=len(negative_stories),
            negative_sum=total,
        )

    for published, sentiment, probability, story in rows:
        if published // step != bucket:
            if bucket is not None:
                yield counted(bucket)
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
        yield counted(bucket)
