"""What the classifier makes of a post."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Sentiment(StrEnum):
    """Attitude or news value towards a company, as its PR team would feel it."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Stance(StrEnum):
    """What the post does with a topic: claims it, denies it, asks about it, or none of these."""

    ASSERT = "assert"
    DENY = "deny"
    ASK = "ask"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class TopicJudgement:
    """One crisis topic that was decided on."""

    id: str
    """Topic id of ``config/topics.yaml``."""
    stance: Stance
    probability: float
    """Calibrated, 0..1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EntityJudgement:
    """Sentiment towards one company named in the post."""

    name: str
    """As given, or as written in the text."""
    sentiment: Sentiment
    probability: float
    """Calibrated probability of ``sentiment``, 0..1."""
    negative: float
    """Calibrated probability that the post is negative about it, 0..1."""
    brand: str = ""
    """Brand id of ``config/brands.yaml`` when the name is one of its aliases, else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """The judgement of one post by one model."""

    post_id: str
    model: str
    """Name and version of the model that judged; a change of it means rejudging."""
    sentiment: Sentiment
    probabilities: dict[str, float]
    """Calibrated probability of each ``Sentiment`` value; sums to 1."""
    topics: tuple[TopicJudgement, ...] = ()
    """Those decided on, most probable first."""
    entities: tuple[EntityJudgement, ...] = ()
    """Companies named, in order of first mention; a watched brand once, under its first alias met."""
    ad: bool = False
    ad_probability: float = 0.0
    keywords: tuple[str, ...] = ()
    """The post's own weightiest words, best first, at most ten."""
    decisive: tuple[str, ...] = ()
    """Literal substrings of the post that carried the decision, for highlighting."""
    story: str = ""
    """Id of the near-duplicate cluster: the id of its first post seen."""
    coordination: float = 0.0
    """Suspicion that accounts act together (疑似水军), 0..1; a suspicion, never an accusation."""
    influence: float = 1.0
    """(1 + ln(1 + engagement)) · tier weight, capped at 20 (docs/detection)."""
    corrected_by: str = ""
    """Who corrected it (``domain.correction``); empty: all of it is the model's own."""
