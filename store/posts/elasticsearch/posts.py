"""The posts on Elasticsearch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from domain.assessment import Sentiment
from domain.errors import UsageError
from domain.post import Engagement
from store.codec import clean
from store.findings import Finding
from store.posts import Count, Judged, Page, Query, Record
from store.posts.elasticsearch.asking import Range, about, find, terms, top, walk
from store.posts.elasticsearch.connection import Cluster
from store.posts.elasticsearch.counting import Counting
from store.posts.elasticsearch.examining import Examining
from store.posts.elasticsearch.forgetting import Forgetting
from store.posts.elasticsearch.indices import Indices
from store.posts.elasticsearch.templates import Templates
from store.posts.elasticsearch.writing import Writing
from store.posts.words import Segment, words


def _now() -> datetime:
    return datetime.now(UTC)


class ElasticPosts:
    """See ``store.posts.Posts``.

    A put that raised may have stored a part of its batch: putting the batch again completes it.
    """

    def __init__(self, cluster: Cluster, segment: Segment, *, now: Callable[[], datetime] = _now) -> None:
        """``now`` dates what is indexed (``event.ingested``). Raises ``StoreError``."""
        self._cluster, self._segment = cluster, segment
        cluster.version()
        self._templates = Templates(cluster)
        self._templates.install()
        self._indices = Indices(cluster, self._templates)
        self._writing = Writing(cluster, self._indices, self._tokens, now)
        self._forgetting = Forgetting(cluster, self._indices, self._writing)
        self._examining = Examining(cluster, self._templates, self._indices)

    def put(self, batch: Sequence[Judged]) -> None:
        """Insert or update; readers see it when this returns."""
        if batch:
            self._writing.put(batch)

    def known(self, ids: Sequence[str]) -> Mapping[str, Judged]:
        """Those of the ids that are stored."""
        places = self._writing.places([clean(id_) for id_ in ids])
        return {id_: place.entry.record.judged for id_, place in places.items()}

    def get(self, id_: str) -> Judged | None:
        """One post."""
        return self.known([id_]).get(clean(id_))

    def engagement(self, id_: str) -> list[tuple[datetime, Engagement]]:
        """Engagement versions of one post, oldest first."""
        place = self._writing.places([clean(id_)]).get(clean(id_))
        return list(place.entry.record.versions) if place else []

    def search(self, query: Query) -> Page:
        """Posts that match. Raises ``UsageError`` for a query that cannot be read."""
        return find(self._indices, query, self._segment)

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
        counting = Counting(self._indices, step_s=step_s, brands=brands, topics=topics, platform=platform)
        return counting.count(since, until)

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
        clauses = [*about(brand, topic, sentiment), *Range(since=since, until=until).clauses]
        return top(self._indices, clauses=clauses, limit=limit, per_story=per_story)

    def brands(self, *, since: datetime, until: datetime) -> list[str]:
        """Brand ids that occur in the range."""
        return list(terms(self._indices, "brand.id", Range(since=since, until=until).clauses))

    def size(self) -> int:
        """How many posts are stored."""
        return self._indices.count({"match_all": {}})

    def sources(self) -> Mapping[str, int]:
        """Posts per source id."""
        return terms(self._indices, "post.source", [])

    def forget(self, *, before: datetime, keep: Sequence[str] = ()) -> int:
        """Delete posts published before a time, except the ids kept as evidence; returns how many."""
        return self._forgetting.before(before, {clean(id_) for id_ in keep})

    def forget_author(self, key: str) -> int:
        """Erase every post of one author. Raises ``UsageError`` for an empty key."""
        if not key:
            raise UsageError("要删除谁的帖子：作者标识不能为空")
        return self._forgetting.author(key)

    def walk(self, *, after: str = "", limit: int = 500) -> list[Record]:
        """The posts whose id is greater than ``after``, in order of id, at most ``limit``."""
        return walk(self._indices, after=after, limit=limit)

    def restore(self, records: Sequence[Record]) -> None:
        """Store exactly this in place of what is stored under these ids."""
        self._writing.restore(records)

    def examine(self) -> list[Finding]:
        """Look at the cluster, the templates, the indices."""
        return self._examining.examine()

    def mend(self) -> list[Finding]:
        """Install the templates as they should be, and fields that indices lack."""
        return self._examining.mend()

    def close(self) -> None:
        """Release the connections."""
        self._cluster.close()

    def _tokens(self, whole: str) -> str:
        return " ".join(words(whole, self._segment))
