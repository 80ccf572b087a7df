"""The pipeline: a batch of posts in, their assessments out, in the same order."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from config.settings import Brand
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.post import Post, Tier
from nlp.brands import BrandMatcher
from nlp.entities import EntityFinder
from nlp.judgement import Item, Judgement
from nlp.labels import SENTIMENTS, TOPICS
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.stories import Placed, Stories, Told
from nlp.terms import Terms

MOST_INFLUENCE = 20.0
Named = tuple[str, str]
"""A company: its name as written, and its brand id, empty when it is not watched."""


def influence(post: Post) -> float:
    """(1 + ln(1 + engagement)) · tier weight, capped at 20 (reference: detection.md, spam and influence)."""
    return min(MOST_INFLUENCE, (1 + math.log1p(post.engagement.total)) * post.author.tier.weight)


def background(brands: Sequence[Brand], about: Mapping[str, str], risk_words: Collection[str]) -> str:
    """What a judgement depends on besides the model and the post, as 12 hex digits: another one, other judgements."""
    named = [brand.model_dump(exclude={"kind", "alert", "limits"}) for brand in brands]
    told = json.dumps([named, dict(about), sorted(risk_words)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def topic_judgements(judgement: Judgement) -> tuple[TopicJudgement, ...]:
    """The topics decided on, most probable first. The stance is the post's: what it does with them."""
    stance = Stance(judgement.best_stance)
    return tuple(
        TopicJudgement(id=TOPICS[k], stance=stance, probability=judgement.topics[k])
        for k in judgement.decided
    )


class Analyzer:
    """Judges posts: sentiment by post and by company, topics with stance, words, story, suspicion, influence.

    ``about`` maps the id of a source that belongs to one brand (its own board, its complaint page) to that brand:
    a post from there that names no watched brand is about it, with the sentiment of the whole post.
    ``risk_words`` are topic words that weigh more when the decisive words are chosen.
    """

    def __init__(
        self,
        *,
        runtime: Runtime,
        segmenter: Segmenter,
        brands: Sequence[Brand],
        stories: Stories,
        about: Mapping[str, str] | None = None,
        risk_words: Collection[str] = (),
    ) -> None:
        self._runtime = runtime
        self._matcher = BrandMatcher(brands)
        self._names = {brand.id: brand.name for brand in brands}
        self._stories = stories
        self._about = dict(about or {})
        self._terms = Terms(segmenter, risk_words=risk_words)
        self._finder = EntityFinder()
        self.background = background(brands, self._about, risk_words)
        """See ``background``."""

    @property
    def model(self) -> str:
        """Name and version of the model."""
        return self._runtime.name

    def assess(self, posts: Sequence[Post]) -> list[Assessment]:
        """Judge posts; a repeated text is computed once. Raises ``StoreError`` when the stories cannot be kept."""
        read = self.read(posts)
        placed = self._stories.place([_told(post) for post in posts])
        return [
            self._assessment(post, *each, place)
            for post, each, place in zip(posts, read, placed, strict=True)
        ]

    def again(self, posts: Sequence[Post], before: Sequence[Assessment]) -> list[Assessment]:
        """Judge posts that were judged ``before``: their stories and what hangs on them stay.

        Stories are remembered for days only; placed anew, an old post would begin one of its own.
        """
        places = [Placed(story=each.story, coordination=each.coordination) for each in before]
        read = self.read(posts)
        return [
            self._assessment(post, *each, place)
            for post, each, place in zip(posts, read, places, strict=True)
        ]

    def stands(self, post: Post, assessment: Assessment) -> bool:
        """Whether a judgement of this text is still this model's, and about the brands that are found in it now.

        An alias, or the brand of a source, may have been added since, or taken away.
        """
        found = {mention.brand_id for mention in self._matcher.find(post.whole)} or self._owner(post)
        named = {entity.brand for entity in assessment.entities} - {""}
        # A person may have named a brand that is not found by its names.
        agree = found <= named if assessment.corrected_by else found == named
        return agree and assessment.model == self.model

    def read(self, posts: Sequence[Post]) -> list[tuple[list[Named], Judgement]]:
        """The companies of each post and what the model makes of it, no store being touched."""
        named = [self._companies(post) for post in posts]
        items = [
            Item(text=post.text, title=post.title, entities=tuple(name for name, _ in names))
            for post, names in zip(posts, named, strict=True)
        ]
        return list(zip(named, self._runtime.judge(items, finance=True), strict=True))

    def _companies(self, post: Post) -> list[Named]:
        """In order of first mention; a brand once for each spelling of it."""
        whole = post.whole
        mentions = self._matcher.find(whole)
        first = {(m.name, m.brand_id): m.start for m in reversed(mentions)}
        for name in self._finder.find(whole):
            at = whole.find(name)
            if not any(m.start < at + len(name) and at < m.end for m in mentions):
                first[(name, "")] = at
        return sorted(first, key=lambda pair: first[pair])

    def _assessment(
        self, post: Post, named: Sequence[Named], judged: Judgement, placed: Placed
    ) -> Assessment:
        return Assessment(
            post_id=post.id,
            model=self.model,
            sentiment=Sentiment(judged.best),
            probabilities=dict(zip(SENTIMENTS, judged.sentiment, strict=True)),
            topics=topic_judgements(judged),
            entities=self._entities(post, named, judged),
            ad=judged.is_ad,
            ad_probability=judged.ad,
            keywords=self._terms.keywords(judged.read, [name for name, _ in named]),
            decisive=self._terms.decisive(
                post.whole, judged, self._runtime.wide, [name for name, _ in named]
            ),
            story=placed.story,
            coordination=placed.coordination,
            influence=influence(post),
        )

    def _entities(self, post: Post, named: Sequence[Named], judged: Judgement) -> tuple[EntityJudgement, ...]:
        grouped: dict[tuple[str, str], list[tuple[float, ...]]] = {}
        for (name, brand), p in zip(named, judged.entities, strict=True):
            grouped.setdefault((brand, "") if brand else ("", name), []).append(p)
        result = []
        for (brand, _), ps in grouped.items():
            shown = next(
                name for (name, b), p in zip(named, judged.entities, strict=True) if p is ps[0] and b == brand
            )
            result.append(_judged(shown, brand, np.mean(ps, axis=0)))
        if not any(entity.brand for entity in result):
            result += [
                _judged(self._names[id_], id_, np.array(judged.sentiment)) for id_ in self._owner(post)
            ]
        return tuple(result)

    def _owner(self, post: Post) -> set[str]:
        """The brand that the post's source belongs to, where it is watched."""
        return {self._about.get(post.source, "")} & self._names.keys()


def _judged(name: str, brand: str, p: np.ndarray) -> EntityJudgement:
    best = int(np.argmax(p))
    return EntityJudgement(
        name=name,
        sentiment=Sentiment(SENTIMENTS[best]),
        probability=float(p[best]),
        negative=float(p[SENTIMENTS.index("negative")]),
        brand=brand,
    )


def _told(post: Post) -> Told:
    """Media print the same agency text as a matter of course: only private accounts can act together."""
    account = (
        f"{post.platform}/{post.author.key}" if post.author.key and post.author.tier is Tier.USER else ""
    )
    return Told(post=post.id, text=post.whole, at=post.published_at, account=account)
