"""What a person says about a post against the model's judgement of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.post import Post


def text_mark(post: Post) -> str:
    """By what the text of a post is known again: 32 hex digits of SHA-256 over title and body."""
    return hashlib.sha256(post.whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """One person's labels of one post; None: nothing was said about that."""

    post: str
    """Id of the post."""
    text: str
    """``text_mark`` of what was read: an edited post must be read again."""
    at: datetime
    """Aware UTC."""
    by: str
    """Who says so."""
    sentiment: Sentiment | None = None
    topics: tuple[str, ...] | None = None
    """Topic ids; empty: it is about none of them."""
    stance: Stance | None = None
    ad: bool | None = None
    negative_about: tuple[str, ...] | None = None
    """Names as in the post; empty: it accuses nobody."""
    note: str = ""

    def after(self, earlier: Correction | None) -> Correction:
        """Both together: what this one leaves open stays as it was said before about the same text, as far as it
        does not contradict: a neutral post accuses nobody, nor one that is positive after all."""
        if earlier is None or earlier.text != self.text:
            return self
        names = ("sentiment", "topics", "stance", "ad", "negative_about")
        kept = {name: getattr(earlier, name) for name in names if getattr(self, name) is None}
        turned = self.sentiment is Sentiment.POSITIVE and earlier.sentiment is Sentiment.NEGATIVE
        if self.sentiment is Sentiment.NEUTRAL or turned:
            kept.pop("negative_about", None)
        if self.negative_about and kept.get("sentiment") is Sentiment.NEUTRAL:
            del kept["sentiment"]
        return replace(self, **kept, note=self.note or earlier.note)

    def says_more_than(self, earlier: Correction | None) -> bool:
        """Whether anything but the time and the person differs."""
        return earlier is None or replace(self, at=earlier.at, by=earlier.by) != earlier

    def over(self, assessment: Assessment, brand_of: Callable[[str], str]) -> Assessment:
        """The assessment as corrected; what was said counts as certain, the rest stays the model's.

        ``brand_of`` gives the brand id of a name, empty for a company that is not watched.
        """
        sentiment = self.sentiment or assessment.sentiment
        topics = self._topics(assessment)
        marked = sentiment is not Sentiment.NEUTRAL or topics
        return replace(
            assessment,
            sentiment=sentiment,
            probabilities=_certain(self.sentiment) if self.sentiment else assessment.probabilities,
            topics=topics,
            entities=self._entities(assessment, brand_of),
            ad=assessment.ad if self.ad is None else self.ad,
            ad_probability=assessment.ad_probability if self.ad is None else float(self.ad),
            decisive=assessment.decisive if marked else (),
            corrected_by=self.by,
        )

    def _topics(self, assessment: Assessment) -> tuple[TopicJudgement, ...]:
        if self.topics is None:
            topics = assessment.topics
        else:
            stance = next((topic.stance for topic in assessment.topics), Stance.ASSERT)
            topics = tuple(TopicJudgement(id=id_, stance=stance, probability=1.0) for id_ in self.topics)
        if self.stance is None:
            return topics
        return tuple(replace(topic, stance=self.stance) for topic in topics)

    def _entities(
        self, assessment: Assessment, brand_of: Callable[[str], str]
    ) -> tuple[EntityJudgement, ...]:
        """Who is accused, and what follows from the post's own sentiment where nobody said it of a company."""
        found = assessment.entities
        if self.negative_about is not None:
            accused = {*self.negative_about, *(brand_of(name) for name in self.negative_about)} - {""}
            known = [e for e in found if e.name in accused or e.brand in accused]
            added = self._added(known, brand_of)
            return (*(_cleared(e, e in known) for e in found), *added)
        if self.sentiment is Sentiment.NEGATIVE:
            return tuple(_judged(e, Sentiment.NEGATIVE) for e in found) if len(found) == 1 else found
        if self.sentiment is None:
            return found
        praised = self.sentiment is Sentiment.POSITIVE and len(found) == 1
        if praised:
            return tuple(_judged(e, Sentiment.POSITIVE) for e in found)
        return tuple(_cleared(e, False) for e in found)

    def _added(
        self, known: Iterable[EntityJudgement], brand_of: Callable[[str], str]
    ) -> Iterable[EntityJudgement]:
        names = {e.name for e in known} | {e.brand for e in known}
        for name in dict.fromkeys(self.negative_about or ()):
            brand = brand_of(name)
            if name not in names and (not brand or brand not in names):
                names |= {name, brand}
                yield EntityJudgement(
                    name=name, brand=brand, sentiment=Sentiment.NEGATIVE, probability=1.0, negative=1.0
                )


def _certain(sentiment: Sentiment) -> dict[str, float]:
    return {each.value: float(each is sentiment) for each in Sentiment}


def _judged(entity: EntityJudgement, sentiment: Sentiment) -> EntityJudgement:
    negative = float(sentiment is Sentiment.NEGATIVE)
    return replace(entity, sentiment=sentiment, probability=1.0, negative=negative)


def _cleared(entity: EntityJudgement, accused: bool) -> EntityJudgement:
    """Accused, or not: then what the model took for an accusation is none, and praise stays praise."""
    if accused:
        return _judged(entity, Sentiment.NEGATIVE)
    if entity.sentiment is Sentiment.NEGATIVE:
        return _judged(entity, Sentiment.NEUTRAL)
    return replace(entity, negative=0.0)
