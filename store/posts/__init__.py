"""The posts: what was said and how it was judged, searchable and countable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from config.settings import NO_ACCESS, Access
from domain.assessment import Assessment, Sentiment
from domain.post import Engagement, Post
from store.embedded import sqlite_path
from store.findings import Examined


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A post with its judgement."""

    post: Post
    assessment: Assessment

    @property
    def story(self) -> str:
        """Its story; its own id when it has none."""
        return self.assessment.story or self.post.id


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """All that a store keeps of one post: what moves to another store."""

    judged: Judged
    versions: tuple[tuple[datetime, Engagement], ...]
    """As of ``Posts.engagement``."""


class Sort(StrEnum):
    """Order of a search; ties are broken by post id, so that every backend answers alike."""

    NEWEST = "newest"
    OLDEST = "oldest"
    INFLUENCE = "influence"
    RELEVANCE = "relevance"


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What to look for; an empty field does not filter."""

    text: str = ""
    """Words, all of which must occur, and "phrases in quotes"; segmented like the posts were."""
    brand: str = ""
    sentiment: Sentiment | None = None
    """Towards ``brand`` when one is given, else of the post."""
    topic: str = ""
    platform: str = ""
    source: str = ""
    story: str = ""
    since: datetime | None = None
    """Published at or after."""
    until: datetime | None = None
    """Published before."""
    sort: Sort = Sort.NEWEST
    limit: int = 20
    after: str = ""
    """Cursor: ``Page.next`` of the page before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page of a search."""

    total: int
    found: tuple[Judged, ...]
    next: str
    """Cursor of the next page; empty at the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """Posts of one brand (and topic) published in one bucket of time."""

    bucket: datetime
    """Aware UTC start of the bucket; buckets are aligned to the epoch."""
    brand: str
    topic: str
    """Empty: the brand as a whole, each post once."""
    posts: int
    negative: int
    positive: int
    stories: int
    """Distinct stories among ``posts``."""
    negative_stories: int
    """Distinct stories among ``negative``."""
    negative_sum: float
    """Sum of the calibrated probabilities that a post is negative about the brand."""


class Posts(Examined, Protocol):
    """Store of judged posts. Every method raises ``StoreError`` when the backend refuses.

    What ``put`` returned for has reached the disk; texts come back with NUL and lone surrogates as U+FFFD.
    A post belongs to the brands of its entities; where two entities are of one brand, the more negative
    counts. A post without a story is its own story.
    """

    def put(self, batch: Sequence[Judged]) -> None:
        """Insert or update, all or none; on several machines, what raised may have stored a part of the batch.

        Putting a batch again is harmless and completes it. A post that can never be stored raises ``RefusedError``,
        its neighbours being stored or not.

        The first ``published_at`` of an id stays, and with it ``date_only``; of a post of which only the day was
        known, the first time that comes. An older ``fetched_at`` than the
        stored one changes nothing; the same (a new judgement) or a newer one replaces text, judgement and
        engagement; an engagement that differs from the newest version becomes a version.
        """

    def known(self, ids: Sequence[str]) -> Mapping[str, Judged]:
        """Those of the ids that are stored."""

    def get(self, id_: str) -> Judged | None:
        """One post."""

    def engagement(self, id_: str) -> list[tuple[datetime, Engagement]]:
        """Engagement versions of one post, oldest first."""

    def search(self, query: Query) -> Page:
        """Posts that match. Raises ``UsageError`` for a query that cannot be read."""

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
        """Counts by bucket × brand (× topic), in [since, until), only buckets with posts.

        Ordered by bucket, brand, topic. ``topics=False`` leaves out the rows of single topics.

        A post with only a known day (``date_only``) is counted nowhere: its minute is unknown.
        """

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

    def brands(self, *, since: datetime, until: datetime) -> list[str]:
        """Brand ids that occur in the range."""

    def size(self) -> int:
        """How many posts are stored."""

    def sources(self) -> Mapping[str, int]:
        """Posts per source id."""

    def forget(self, *, before: datetime, keep: Sequence[str] = ()) -> int:
        """Delete posts published before a time, except the ids kept as evidence; returns how many."""

    def forget_author(self, key: str) -> int:
        """Erase every post of one author (``Author.key``), evidence too; returns how many.

        Raises ``UsageError`` for an empty key: it stands for every author that is not known.
        """

    def walk(self, *, after: str = "", limit: int = 500) -> list[Record]:
        """The posts whose id is greater than ``after``, in order of id, at most ``limit``; empty at the end."""

    def restore(self, records: Sequence[Record]) -> None:
        """Store exactly this in place of what is stored under these ids, dates and versions included."""

    def close(self) -> None:
        """Release files and connections."""


def open_posts(
    url: str,
    access: Access = NO_ACCESS,
    *,
    segment: Callable[[str], list[str]],
    patience_s: float | None = None,
) -> Posts:
    """The posts at an address; ``segment`` cuts texts and questions into words.

    ``patience_s``: how long a server that does not answer is asked again, None: as long as suits a service.

    ``sqlite:///path``, ``elasticsearch://[user@]host:9200[/prefix]`` or ``https://…`` (Elasticsearch with TLS).
    Raises ``ConfigError`` for another scheme, ``StoreError``.
    """
    what = "帖子库 YUJING_POSTS_URL "
    if url.partition("://")[0] in ("elasticsearch", "https"):
        from store.posts.elasticsearch.connection import PATIENCE_S, Cluster, address
        from store.posts.elasticsearch.posts import ElasticPosts

        patience_s = PATIENCE_S if patience_s is None else patience_s
        return ElasticPosts(Cluster(address(url, what), access, patience_s=patience_s), segment)
    path = sqlite_path(url, what, others="、elasticsearch://主机:9200 与 https://主机:9200")
    from store.posts.sqlite import SqlitePosts

    return SqlitePosts(path, segment)
