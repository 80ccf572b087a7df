"""The posts in one SQLite file, searchable by FTS5 over the segmenter's words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from domain.assessment import Assessment, Sentiment
from domain.errors import UsageError
from domain.post import Engagement, Post
from store.codec import clean, loads
from store.embedded import Database, from_micros, micros
from store.findings import Finding
from store.posts import Count, Judged, Page, Query, Record
from store.posts.counts import all_brands, count
from store.posts.rows import LARGEST, digest
from store.posts.schema import SCHEMA
from store.posts.search import find, top
from store.posts.words import Segment, words
from store.posts.writing import CHUNK, chunks, erase, marks, replace_versions, stored, write


class SqlitePosts:
    """See ``store.posts.Posts``."""

    def __init__(self, path: Path, segment: Segment) -> None:
        self._database = Database(path, (SCHEMA,))
        self._segment = segment

    def put(self, batch: Sequence[Judged]) -> None:
        """Insert or update, all or none."""
        if not batch:
            return
        # Cutting words takes longest: it is done before the write lock is taken, and for new words alone.
        cut = self._cut(batch)

        def tokens_of(post: Post) -> str:
            known = cut.get(digest(post))
            return self._tokens(post) if known is None else known

        with self._database.write() as connection:
            write(connection, batch, tokens_of)

    def known(self, ids: Sequence[str]) -> Mapping[str, Judged]:
        """Those of the ids that are stored."""
        found: dict[str, Judged] = {}
        with self._database.read() as connection:
            for some in chunks([clean(id_) for id_ in ids]):
                rows = connection.execute(
                    "SELECT p.id, d.post, d.assessment FROM posts p JOIN documents d ON d.n = p.n"
                    f" WHERE p.id IN ({marks(len(some))})",
                    some,
                ).fetchall()
                found |= {id_: _judged(post, assessment) for id_, post, assessment in rows}
        return found

    def get(self, id_: str) -> Judged | None:
        """One post."""
        return self.known([id_]).get(clean(id_))

    def engagement(self, id_: str) -> list[tuple[datetime, Engagement]]:
        """Engagement versions of one post, oldest first."""
        with self._database.read() as connection:
            row = connection.execute("SELECT n FROM posts WHERE id = ?", (clean(id_),)).fetchone()
            return _versions(connection, row[0]) if row else []

    def search(self, query: Query) -> Page:
        """Posts that match. Raises ``UsageError`` for a query that cannot be read."""
        with self._database.read() as connection:
            total, numbers, after = find(connection, query, self._segment)
            return Page(total=total, found=tuple(_documents(connection, numbers)), next=after)

    def counts(
        self,
        *,
        since: datetime,
        until: datetime,
        step_s: int,
        brands: Sequence[str] = (),
        topics: bool = True,
        platform: str = "",
    ) -> list[Count]:
        """Counts by bucket × brand (× topic), in [since, until)."""
        with self._database.read() as connection:
            return count(
                connection,
                since=since,
                until=until,
                step_s=step_s,
                brands=brands,
                topics=topics,
                platform=platform,
            )

    def top(
        self,
        *,
        brand: str,
        since: datetime,
        until: datetime,
        topic: str = "",
        sentiment: Sentiment | None = Sentiment.NEGATIVE,
        limit: int = 10,
        per_story: int = 1,
    ) -> list[Judged]:
        """The most influential posts, at most ``per_story`` of one story."""
        with self._database.read() as connection:
            numbers = top(
                connection,
                brand=brand,
                topic=topic,
                since=since,
                until=until,
                sentiment=sentiment,
                limit=limit,
                per_story=per_story,
            )
            return list(_documents(connection, numbers))

    def brands(self, *, since: datetime, until: datetime) -> list[str]:
        """Brand ids that occur in the range."""
        with self._database.read() as connection:
            return [
                brand
                for brand in all_brands(connection)
                if connection.execute(
                    "SELECT 1 FROM mentions WHERE brand = ? AND topic = '' AND published >= ? AND published < ?",
                    (brand, micros(since), micros(until)),
                ).fetchone()
            ]

    def size(self) -> int:
        """How many posts are stored."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM posts").fetchone()[0])

    def sources(self) -> Mapping[str, int]:
        """Posts per source id."""
        with self._database.read() as connection:
            return dict(
                connection.execute(
                    "SELECT source, count(*) FROM posts GROUP BY source ORDER BY source"
                ).fetchall()
            )

    def forget(self, *, before: datetime, keep: Sequence[str] = ()) -> int:
        """Delete posts published before a time, except the ids kept as evidence; returns how many."""
        kept, gone, last = {clean(id_) for id_ in keep}, 0, (-LARGEST, -1)
        while True:
            with self._database.write() as connection:
                rows = connection.execute(
                    "SELECT m.published, m.n, p.id FROM mentions m CROSS JOIN posts p ON p.n = m.n"
                    " WHERE m.brand = '' AND m.topic = '' AND m.published < ? AND (m.published, m.n) > (?, ?)"
                    " ORDER BY m.published, m.n LIMIT ?",
                    (micros(before), *last, CHUNK),
                ).fetchall()
                if not rows:
                    return gone
                last = rows[-1][:2]
                numbers = [n for _, n, id_ in rows if id_ not in kept]
                erase(connection, numbers)
            gone += len(numbers)

    def forget_author(self, key: str) -> int:
        """Erase every post of one author. Raises ``UsageError`` for an empty key."""
        if not key:
            raise UsageError("要删除谁的帖子：作者标识不能为空")
        gone = 0
        while True:
            with self._database.write() as connection:
                rows = connection.execute(
                    "SELECT n FROM documents WHERE json_extract(post, '$.author.key') = ? LIMIT ?",
                    (clean(key), CHUNK),
                ).fetchall()
                if not rows:
                    return gone
                erase(connection, [n for (n,) in rows])
            gone += len(rows)

    def walk(self, *, after: str = "", limit: int = 500) -> list[Record]:
        """The posts whose id is greater than ``after``, in order of id, at most ``limit``."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT p.n, d.post, d.assessment FROM posts p JOIN documents d ON d.n = p.n"
                " WHERE p.id > ? ORDER BY p.id LIMIT ?",
                (clean(after), limit),
            ).fetchall()
            return [
                Record(judged=_judged(post, assessment), versions=tuple(_versions(connection, n)))
                for n, post, assessment in rows
            ]

    def restore(self, records: Sequence[Record]) -> None:
        """Store exactly this in place of what is stored under these ids."""
        newest = {clean(record.judged.post.id): record for record in records}
        batch = [record.judged for record in newest.values()]
        with self._database.write() as connection:
            old = stored(connection, list(newest))
            erase(connection, [each.n for each in old.values()])
            write(connection, batch, self._tokens)
            numbers = stored(connection, list(newest))
            for id_, record in newest.items():
                replace_versions(connection, numbers[id_].n, record.versions)

    def examine(self) -> list[Finding]:
        """Look at the file."""
        return self._database.examine("帖子库")

    def mend(self) -> list[Finding]:
        """Nothing can be mended here."""
        return []

    def close(self) -> None:
        """Release files and connections."""
        self._database.close()

    def _tokens(self, post: Post) -> str:
        return " ".join(words(post.whole, self._segment))

    def _cut(self, batch: Sequence[Judged]) -> dict[bytes, str]:
        """Words of every text in the batch that is not indexed already, by digest."""
        with self._database.read() as connection:
            known = stored(connection, [judged.post.id for judged in batch])
        cut: dict[bytes, str] = {}
        for judged in batch:
            key, old = digest(judged.post), known.get(clean(judged.post.id))
            if key not in cut and (old is None or old.digest != key):
                cut[key] = self._tokens(judged.post)
        return cut


def _versions(connection: sqlite3.Connection, n: int) -> list[tuple[datetime, Engagement]]:
    rows = connection.execute(
        "SELECT fetched, reposts, comments, likes, views FROM engagements WHERE n = ? ORDER BY fetched", (n,)
    )
    return [
        (from_micros(fetched), Engagement(reposts=reposts, comments=comments, likes=likes, views=views))
        for fetched, reposts, comments, likes, views in rows
    ]


def _documents(connection: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[Judged]:
    for n in numbers:
        row = connection.execute("SELECT post, assessment FROM documents WHERE n = ?", (n,)).fetchone()
        yield _judged(*row)


def _judged(post: str, assessment: str) -> Judged:
    return Judged(post=loads(Post, post), assessment=loads(Assessment, assessment))
