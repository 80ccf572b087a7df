"""Counting mentions by bucket, brand and topic; distinct stories exactly.

One composite aggregation over the nested mentions gives a row for each bucket × brand × topic × sentiment, and for
each story that a *copy* belongs to. A post that begins its own story needs no row of its own: it is one post and
one story. So the answer is as long as there are copies, not posts. What is left to find out is which of the
copied stories begin in the same group: those originals are fetched by their ids.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.assessment import Sentiment
from domain.errors import UsageError
from store.codec import clean
from store.embedded import from_micros, micros
from store.posts import Count
from store.posts.elasticsearch.asking import Clause
from store.posts.elasticsearch.indices import Indices

MICROS = 1_000_000
PAGE = 10_000
"""Rows in one answer."""
WINDOW = 50_000
"""Posts gone through for one row after the other: every page goes through them again, so long ranges are cut."""
ORIGINALS = 5_000
"""Ids in one question."""
NEGATIVE, POSITIVE = Sentiment.NEGATIVE.value, Sentiment.POSITIVE.value
Key = tuple[int, str, str]
"""Start of the bucket in microseconds, brand, topic."""


@dataclass(slots=True)
class Group:
    """The posts of one bucket, brand and topic."""

    posts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By sentiment."""
    sums: list[float] = field(default_factory=list)
    originals: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Those that begin their own story, by sentiment."""
    copied: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Stories of the copies, by sentiment."""
    begun: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Of the stories copied anywhere, those that begin here, by sentiment."""

    def stories(self, *sentiments: str) -> int:
        """Distinct stories of the posts of these sentiments."""
        copied = set().union(*(self.copied[each] for each in sentiments))
        begun = set().union(*(self.begun[each] for each in sentiments))
        return sum(self.originals[each] for each in sentiments) + len(copied - begun)


class Counting:
    """One question of ``Posts.counts``."""

    def __init__(
        self, indices: Indices, *, step_s: int, brands: Sequence[str], topics: bool, platform: str
    ) -> None:
        """Raises ``UsageError`` for a step below one second."""
        if step_s < 1:
            raise UsageError(f"计数的时间步长至少 1 秒，收到 {step_s}")
        self._indices, self._step = indices, step_s * MICROS
        self._brands = sorted({clean(brand) for brand in brands} - {""})
        self._given, self._topics, self._platform = bool(brands), topics, clean(platform)

    def count(self, since: datetime, until: datetime) -> list[Count]:
        """See ``Posts.counts``."""
        if self._given and not self._brands:
            return []
        groups: dict[Key, Group] = defaultdict(Group)
        for first, last in self._windows(micros(since), micros(until)):
            self._add_originals(groups, first, last, sorted(self._add(groups, first, last)))
        return [_count(key, groups[key]) for key in sorted(groups)]

    def _windows(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The range cut at ends of buckets into pieces of at most ``WINDOW`` posts, if they came evenly."""
        posts = self._indices.count({"bool": {"filter": self._clauses(first, last)}}) if first < last else 0
        if not posts:
            return
        pieces = -(-posts // WINDOW)
        # A bucket is never cut: its stories are counted at once.
        length = max(1, -(-(last - first) // (pieces * self._step))) * self._step
        start = first
        while start < last:
            end = min(last, (start // self._step) * self._step + length)
            yield start, end
            start = end

    def _clauses(self, first: int, last: int) -> list[Clause]:
        clauses: list[Clause] = [
            {"range": {"micros.published": {"gte": first, "lt": last}}},
            {"term": {"post.date_only": False}},
        ]
        if self._platform:
            clauses.append({"term": {"post.platform": self._platform}})
        clauses.append(
            {"terms": {"brand.id": self._brands}} if self._brands else {"exists": {"field": "brand.id"}}
        )
        return clauses

    def _add(self, groups: dict[Key, Group], first: int, last: int) -> set[str]:
        """Count what was published in the range; returns the stories copied there."""
        stories: set[str] = set()
        for row in self._rows(first, last):
            key, sentiment, story = row["key"], row["key"]["sentiment"], row["key"]["copy_of"]
            group = groups[_bucket(key["bucket"]), key["brand"], key["topic"]]
            group.posts[sentiment] += row["doc_count"]
            group.sums.append(row["negative"]["value"])
            if story is None:
                group.originals[sentiment] += row["doc_count"]
            else:
                group.copied[sentiment].add(story)
                stories.add(story)
        return stories

    def _rows(self, first: int, last: int) -> Iterator[dict[str, Any]]:
        sources: list[dict[str, Any]] = [
            {"bucket": {"histogram": {"field": "mention.at", "interval": self._step}}},
            {"brand": {"terms": {"field": "mention.brand"}}},
            {"topic": {"terms": {"field": "mention.topic"}}},
            {"sentiment": {"terms": {"field": "mention.sentiment"}}},
            {"copy_of": {"terms": {"field": "mention.copy_of", "missing_bucket": True}}},
        ]
        if not self._topics:
            del sources[2]
        wanted: Clause = {"terms": {"mention.brand": self._brands}} if self._brands else {"match_all": {}}
        after: dict[str, Any] = {}
        while True:
            rows = {
                "composite": {"size": PAGE, "sources": sources, **after},
                "aggs": {"negative": {"sum": {"field": "mention.negative"}}},
            }
            answer = self._indices.search(
                query={"bool": {"filter": self._clauses(first, last)}},
                size=0,
                track_total_hits=False,
                aggs={
                    "mentions": {
                        "nested": {"path": "mention"},
                        "aggs": {"wanted": {"filter": wanted, "aggs": {"rows": rows}}},
                    }
                },
            )
            found = answer["aggregations"]["mentions"]["wanted"]["rows"] if "aggregations" in answer else {}
            for row in found.get("buckets", ()):
                row["key"].setdefault("topic", "")
                yield row
            if "after_key" not in found:
                return
            after = {"after": found["after_key"]}

    def _add_originals(self, groups: dict[Key, Group], first: int, last: int, stories: Sequence[str]) -> None:
        """Note where the copied stories begin, for those that begin in the range."""
        for start in range(0, len(stories), ORIGINALS):
            hits = self._indices.search(
                query={
                    "bool": {
                        "filter": [
                            *self._clauses(first, last),
                            {"ids": {"values": list(stories[start : start + ORIGINALS])}},
                        ]
                    }
                },
                size=ORIGINALS,
                source=["mention"],
            )["hits"]["hits"]
            for hit in hits:
                for mention in hit["_source"].get("mention", ()):
                    # A post that passes on another story begins none, whatever is named after it.
                    if "copy_of" not in mention:
                        self._begin(groups, hit["_id"], mention)

    def _begin(self, groups: dict[Key, Group], id_: str, mention: dict[str, Any]) -> None:
        bucket = mention["at"] // self._step * self._step
        for topic in mention["topic"]:
            group = groups.get((bucket, mention["brand"], topic))
            if group is not None:
                group.begun[mention["sentiment"]].add(id_)


def _bucket(value: float) -> int:
    return round(value)


def _count(key: Key, group: Group) -> Count:
    bucket, brand, topic = key
    return Count(
        bucket=from_micros(bucket),
        brand=brand,
        topic=topic,
        posts=sum(group.posts.values()),
        negative=group.posts[NEGATIVE],
        positive=group.posts[POSITIVE],
        stories=group.stories(*(each.value for each in Sentiment)),
        negative_stories=group.stories(NEGATIVE),
        negative_sum=math.fsum(group.sums),
    )
