"""A post as a document of ``deploy/elasticsearch/posts-mappings.json``, and back.

Kibana and our own questions read the indexed fields; ``record`` holds what those cannot hold exactly (numbers of
any size, order, what is no field), unindexed. Title and text are kept once, in ``post``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from domain.assessment import Assessment, Sentiment
from domain.errors import StoreError
from domain.post import COUNTERS, Engagement, Post, under_first_date
from store import codec
from store.codec import clean
from store.embedded import from_micros, micros
from store.posts import Judged, Record
from store.posts.rows import LARGEST, brands, counters, story


@dataclass(frozen=True, slots=True)
class Entry:
    """What an index holds of one post."""

    record: Record
    tokens: str
    """The words of title and text as ``store.posts.words`` cuts them, separated by blanks."""
    ingested: datetime
    """When it was first indexed."""


def month(post: Post) -> str:
    """The month of publication in UTC, the end of the index's name: ``2026.11``."""
    at = post.published_at.astimezone(UTC)
    return f"{at.year:04}.{at.month:02}"


def merged(old: Record | None, new: Judged) -> Record | None:
    """What is stored after ``Posts.put``; None when that changes nothing."""
    version = (from_micros(micros(new.post.fetched_at)), Engagement(**_counters(new.post)))
    if old is None:
        return Record(judged=new, versions=(version,))
    held = old.judged.post
    if new.post.fetched_at < held.fetched_at:
        return None
    post = under_first_date(new.post, at=held.published_at, date_only=held.date_only)
    versions = old.versions
    if not versions or versions[-1][1] != version[1]:
        others = (each for each in versions if each[0] != version[0])
        versions = tuple(sorted((*others, version), key=lambda each: each[0]))
    record = Record(judged=replace(new, post=post), versions=versions)
    return None if record == old else record


def source(entry: Entry) -> str:
    """The document as JSON. Raises ``RefusedError`` for what JSON cannot hold."""
    judged, tokens = entry.record.judged, entry.tokens
    post, assessment = judged.post, judged.assessment
    document = {
        "@timestamp": _time(post.published_at),
        "event": {"ingested": _time(entry.ingested)},
        "post": _post(post, tokens, entry.ingested),
        "url": {"full": post.url or None},
        "author": _author(post),
        "engagement": _counters(post) | {"total": min(post.engagement.total, LARGEST)},
        "assessment": _assessment(judged),
        "brand": _brands(assessment),
        "topic": _topics(assessment),
        "micros": {"published": micros(post.published_at), "fetched": micros(post.fetched_at)},
        "mention": _mentions(judged),
        "record": _record(entry.record),
    }
    return codec.dumps_value(document)


def entry(document: Mapping[str, Any]) -> Entry:
    """What a document holds. Raises ``StoreError`` when it cannot be read."""
    try:
        post, record = document["post"], document["record"]
        texts = {"text": post["text"], "title": post["title"]}
        judged = Judged(
            post=codec.decode(Post, record["post"] | texts),
            assessment=codec.decode(Assessment, record["assessment"]),
        )
        versions = tuple(
            (from_micros(at), Engagement(**_named(counts))) for at, *counts in record["versions"]
        )
        return Entry(
            record=Record(judged=judged, versions=versions),
            tokens=post["tokens"],
            ingested=datetime.fromisoformat(document["event"]["ingested"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(f"存储中的帖子无法解读：{type(error).__name__} {error}") from error


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _counters(post: Post) -> dict[str, int]:
    return _named(counters(post.engagement))


def _named(counts: Any) -> dict[str, int]:
    return dict(zip(COUNTERS, counts, strict=True))


def _post(post: Post, tokens: str, ingested: datetime) -> dict[str, Any]:
    return {
        "id": post.id,
        "platform": post.platform,
        "source": post.source,
        "native_id": post.native_id,
        "title": post.title,
        "text": post.text,
        "tokens": tokens,
        "fetched_at": _time(post.fetched_at),
        "date_only": post.date_only,
        "repost_of": post.repost_of or None,
        "delay_s": None if post.date_only else int((ingested - post.published_at).total_seconds()),
    }


def _author(post: Post) -> dict[str, Any]:
    author = post.author
    return {
        "key": author.key or None,
        "name": author.name or None,
        "tier": author.tier.value,
        "verified": author.verified,
        "followers": None if author.followers is None else max(-LARGEST, min(author.followers, LARGEST)),
    }


def _assessment(judged: Judged) -> dict[str, Any]:
    made = judged.assessment
    return {
        "model": made.model,
        "sentiment": made.sentiment.value,
        "probability": {each.value: made.probabilities.get(each) for each in Sentiment},
        "ad": made.ad,
        "ad_probability": made.ad_probability,
        "story": story(judged),
        "coordination": made.coordination,
        "influence": made.influence,
        "corrected_by": made.corrected_by or None,
        "keywords": made.keywords,
        "decisive": made.decisive,
    }


def _brands(assessment: Assessment) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for brand, entity in brands(assessment).items():
        found.setdefault("id", []).append(brand)
        found.setdefault(entity.sentiment.value, []).append(brand)
    return found


def _topics(assessment: Assessment) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id_, stance in stances(assessment).items():
        found.setdefault("id", []).append(id_)
        found.setdefault(stance, []).append(id_)
    return found


def stances(assessment: Assessment) -> dict[str, str]:
    """The stance towards each topic; the first of two for one topic."""
    found: dict[str, str] = {}
    for topic in assessment.topics:
        if id_ := clean(topic.id):
            found.setdefault(id_, topic.stance.value)
    return found


def _mentions(judged: Judged) -> list[dict[str, Any]]:
    """One for each brand. A post of another's story names it (``copy_of``): see ``counting``."""
    topics, group = ["", *stances(judged.assessment)], story(judged)
    copied = {} if group == clean(judged.post.id) else {"copy_of": group}
    at = micros(judged.post.published_at)
    return [
        {
            "brand": brand,
            "topic": topics,
            "sentiment": entity.sentiment.value,
            "negative": entity.negative,
            "at": at,
            **copied,
        }
        for brand, entity in brands(judged.assessment).items()
    ]


def _record(record: Record) -> dict[str, Any]:
    post = codec.document(record.judged.post)
    return {
        "post": {name: value for name, value in post.items() if name not in ("text", "title")},
        "assessment": codec.document(record.judged.assessment),
        "versions": [[micros(at), *counters(engagement)] for at, engagement in record.versions],
    }
