"""Questions to the posts as Elasticsearch reads them. What people type is a value in them and never syntax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.assessment import Sentiment
from domain.errors import UsageError
from store.codec import clean
from store.embedded import micros
from store.posts import Judged, Page, Query, Record, Sort
from store.posts.cursor import cursor_of, key_of
from store.posts.elasticsearch.documents import entry
from store.posts.elasticsearch.indices import Indices
from store.posts.words import Segment, phrases

LIMIT = 10_000
"""Longest page; one less than the ``max_result_window`` of the settings, to see whether another follows."""
PHRASES = 500
"""Most words and phrases in one question."""
NEWEST = ("micros.published", "desc")
ORDERS = {
    Sort.NEWEST: NEWEST,
    Sort.OLDEST: ("micros.published", "asc"),
    Sort.INFLUENCE: ("assessment.influence", "desc"),
}
Clause = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Published in [since, until); None is open."""

    since: datetime | None = None
    until: datetime | None = None

    @property
    def clauses(self) -> list[Clause]:
        """As filters."""
        bounds = {}
        if self.since is not None:
            bounds["gte"] = micros(self.since)
        if self.until is not None:
            bounds["lt"] = micros(self.until)
        return [{"range": {"micros.published": bounds}}] if bounds else []


def find(indices: Indices, query: Query, segment: Segment) -> Page:
    """See ``Posts.search``. Raises ``UsageError``."""
    if not 1 <= query.limit <= LIMIT:
        raise UsageError(f"每页条数应在 1 到 {LIMIT} 之间，收到 {query.limit}")
    wanted = phrases(query.text, segment)
    if query.text.strip() and not wanted:
        return Page(total=0, found=(), next="")
    if len(wanted) > PHRASES:
        raise UsageError(f"查询太长：最多 {PHRASES} 个词或短语，收到 {len(wanted)} 个")
    by_rank = bool(wanted) and query.sort is Sort.RELEVANCE
    name, direction = ("_score", "desc") if by_rank else ORDERS.get(query.sort, NEWEST)
    text = [
        {"bool": {"should": [{"match_phrase": {"post.tokens": {"query": phrase}}} for phrase in either]}}
        for either in wanted
    ]
    options: dict[str, Any] = {"search_type": "dfs_query_then_fetch"} if by_rank else {}
    if query.after:
        options["search_after"] = key_of(
            query.after, int if name == "micros.published" else (int, float), str
        )
    # Only in "must" do words score.
    answer = indices.search(
        query={
            "bool": {"filter": filters(query) + ([] if by_rank else text), "must": text if by_rank else []}
        },
        sort=[{name: direction}, {"post.id": "asc"}],
        size=query.limit + 1,
        track_total_hits=True,
        **options,
    )["hits"]
    hits = answer["hits"]
    page = hits[: query.limit]
    after = cursor_of(*page[-1]["sort"]) if len(hits) > query.limit else ""
    return Page(total=answer["total"]["value"], found=tuple(judged(hit) for hit in page), next=after)


def filters(query: Query) -> list[Clause]:
    """What a post must be, apart from its words."""
    return [
        *about(query.brand, query.topic, query.sentiment),
        *_is("post.platform", query.platform),
        *_is("post.source", query.source),
        *_is("assessment.story", query.story),
        *Range(since=query.since, until=query.until).clauses,
    ]


def about(brand: str, topic: str, sentiment: Sentiment | None) -> list[Clause]:
    """Posts about a brand and a topic; the sentiment is towards the brand when there is one."""
    if sentiment is None:
        judgement = _is("brand.id", brand)
    elif brand:
        judgement = _is(f"brand.{Sentiment(sentiment).value}", brand)
    else:
        judgement = _is("assessment.sentiment", Sentiment(sentiment).value)
    return [*judgement, *_is("topic.id", topic)]


def top(indices: Indices, *, clauses: Sequence[Clause], limit: int, per_story: int) -> list[Judged]:
    """The most influential posts, at most ``per_story`` of one story."""
    if limit < 1 or per_story < 1:
        return []
    order = [{"assessment.influence": "desc"}, {"post.id": "asc"}]
    # Whatever is among the first ``limit`` posts belongs to one of the first ``limit`` stories.
    found = indices.search(
        query={"bool": {"filter": list(clauses)}},
        sort=order,
        size=min(limit, LIMIT),
        source=False,
        collapse={
            "field": "assessment.story",
            "inner_hits": {"name": "story", "size": min(per_story, LIMIT), "sort": order},
        },
    )["hits"]["hits"]
    hits = [hit for group in found for hit in group["inner_hits"]["story"]["hits"]["hits"]]
    hits.sort(key=lambda hit: (-hit["sort"][0], hit["sort"][1]))
    return [judged(hit) for hit in hits[:limit]]


def walk(indices: Indices, *, after: str, limit: int) -> list[Record]:
    """See ``Posts.walk``."""
    if limit < 1:
        return []
    hits = indices.search(
        query={"range": {"post.id": {"gt": clean(after)}}}, sort=[{"post.id": "asc"}], size=min(limit, LIMIT)
    )["hits"]["hits"]
    return [entry(hit["_source"]).record for hit in hits]


def terms(indices: Indices, field: str, clauses: Sequence[Clause]) -> dict[str, int]:
    """How many posts have each value of a keyword field, in order of the value."""
    found: dict[str, int] = {}
    after: dict[str, Any] = {}
    while True:
        answer = indices.search(
            query={"bool": {"filter": list(clauses)}},
            size=0,
            track_total_hits=False,
            aggs={
                "values": {
                    "composite": {"size": 1000, "sources": [{"value": {"terms": {"field": field}}}], **after}
                }
            },
        )
        values = answer.get("aggregations", {}).get("values", {})
        found |= {bucket["key"]["value"]: bucket["doc_count"] for bucket in values.get("buckets", [])}
        if "after_key" not in values:
            return found
        after = {"after": values["after_key"]}


def judged(hit: dict[str, Any]) -> Judged:
    """The post of a hit."""
    return entry(hit["_source"]).record.judged


def _is(field: str, value: str) -> list[Clause]:
    return [{"term": {field: clean(value)}}] if value else []
