"""A judged post as rows of the tables in ``schema.py``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from domain.assessment import Assessment, EntityJudgement, Sentiment
from domain.post import Engagement, Post
from store.codec import clean, dumps
from store.embedded import micros
from store.posts import Judged

POLARITY = {Sentiment.NEGATIVE: -1, Sentiment.NEUTRAL: 0, Sentiment.POSITIVE: 1}
LARGEST = (1 << 63) - 1
"""What an integer column holds; a counter beyond it is nonsense, yet must not stop the batch."""

PostRow = tuple[int, str, int, int, int, str, str, str, float, bytes]
MentionRow = tuple[str, str, int, int, int, float, float, int, int, str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """What is remembered of a stored post when it comes again."""

    n: int
    published: int
    date_only: int
    fetched: int
    digest: bytes


def digest(post: Post) -> bytes:
    """Changes when the words of a post change."""
    return hashlib.blake2b(post.whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def post_row(n: int, judged: Judged) -> PostRow:
    """Row of ``posts``."""
    post = judged.post
    return (
        n,
        clean(post.id),
        micros(post.published_at),
        micros(post.fetched_at),
        int(post.date_only),
        clean(post.platform),
        clean(post.source),
        story(judged),
        judged.assessment.influence,
        digest(post),
    )


def document_row(n: int, tokens: str, judged: Judged) -> tuple[int, str, str, str]:
    """Row of ``documents``."""
    return n, tokens, dumps(judged.post), dumps(judged.assessment)


def engagement_row(n: int, post: Post) -> tuple[int, ...]:
    """Row of ``engagements``."""
    return n, micros(post.fetched_at), *counters(post.engagement)


def counters(engagement: Engagement) -> tuple[int, int, int, int]:
    """Reposts, comments, likes, views, as a column holds them."""
    values = (engagement.reposts, engagement.comments, engagement.likes, engagement.views)
    reposts, comments, likes, views = (min(value, LARGEST) for value in values)
    return reposts, comments, likes, views


def mention_rows(n: int, judged: Judged) -> list[MentionRow]:
    """Rows of ``mentions``: the post and each of its brands, as a whole and by topic."""
    post, assessment = judged.post, judged.assessment
    stances = {"": ""}
    for topic in assessment.topics:
        stances.setdefault(clean(topic.id), topic.stance.value)
    own = (POLARITY[assessment.sentiment], assessment.probabilities.get(Sentiment.NEGATIVE, 0.0))
    judgements = {"": own} | {
        brand: (POLARITY[entity.sentiment], entity.negative) for brand, entity in brands(assessment).items()
    }
    published, platform, group = micros(post.published_at), clean(post.platform), _story_key(judged)
    return [
        (
            brand,
            topic,
            published,
            n,
            sentiment,
            negative,
            assessment.influence,
            int(post.date_only),
            group,
            platform,
            stance,
        )
        for brand, (sentiment, negative) in judgements.items()
        for topic, stance in stances.items()
    ]


def brands(assessment: Assessment) -> dict[str, EntityJudgement]:
    """The judgement towards each brand; of two entities of one brand the more negative."""
    found: dict[str, EntityJudgement] = {}
    for entity in assessment.entities:
        brand = clean(entity.brand)
        if brand and (brand not in found or _worse(entity, found[brand])):
            found[brand] = entity
    return found


def story(judged: Judged) -> str:
    """The post's story as it is stored."""
    return clean(judged.story)


def _story_key(judged: Judged) -> int:
    digest8 = hashlib.blake2b(story(judged).encode(), digest_size=8).digest()
    return int.from_bytes(digest8, "big", signed=True)


def _worse(one: EntityJudgement, other: EntityJudgement) -> bool:
    return (-POLARITY[one.sentiment], one.negative) > (-POLARITY[other.sentiment], other.negative)
