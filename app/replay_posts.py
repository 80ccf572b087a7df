"""Posts of a replay: rows as of ``yujing import``, which may bring their own judgement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from crawlers.draft import Unusable, to_post
from crawlers.imports import SOURCE, to_draft
from crawlers.rows import Row, read_rows
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.post import Post, Tier
from nlp.analyzer import influence
from store.posts import Judged

_BATCH = 256
Named = tuple[Judged, dict[str, Sentiment]]
"""A post with its sentiment towards every brand that it names."""


def read_posts(
    path: Path,
    *,
    secret: bytes,
    assess: Callable[[Sequence[Post]], list[Assessment]],
    now: datetime,
    complain: Callable[[str], None],
) -> list[Named]:
    """Judged posts of a JSONL file; rows without ``assessment`` are judged by ``assess``.

    The brand is that of the assessment's entities (``brand``, else ``name``), else the row's own ``brand``.
    A row that cannot be used is told and left out. Raises ``InputError``.
    """
    found: list[Named] = []
    waiting: list[tuple[Post, str]] = []
    for row in read_rows(path, needs="text"):
        try:
            values = _values(row)
            post = _post(values, secret=secret, now=now)
            brand = values.get("brand")
            brand = brand if isinstance(brand, str) else ""
            given = values.get("assessment")
            if given is None:
                waiting.append((post, brand))
            else:
                found.append(_row(post, _assessment(post, given), brand))
        except Unusable as error:
            complain(f"{path} 第 {row.number} 行：{error}，略过")
    for start in range(0, len(waiting), _BATCH):
        part = waiting[start : start + _BATCH]
        judged = assess([post for post, _ in part])
        found += [_row(post, each, brand) for (post, brand), each in zip(part, judged, strict=True)]
    return [row for row in found if row[1]]


def _values(row: Row) -> dict[str, Any]:
    if row.values is None:
        raise Unusable(row.error)
    return row.values


def _post(values: dict[str, Any], *, secret: bytes, now: datetime) -> Post:
    draft, platform = to_draft(values, {}, now=now)
    if draft.stamp is None:
        raise Unusable("缺少 published_at")
    return to_post(
        draft, platform=platform, source=SOURCE, tier=_tier(values), secret=secret, now=now, first=None
    )


def _tier(values: dict[str, Any]) -> Tier:
    try:
        return Tier(str(values.get("tier", Tier.USER.value)))
    except ValueError as error:
        raise Unusable("tier 不认识") from error


def _row(post: Post, assessment: Assessment, brand: str) -> Named:
    brands = {each.brand: each.sentiment for each in assessment.entities if each.brand}
    if not brands and brand:
        brands = {brand: assessment.sentiment}
    if not assessment.story:
        assessment = replace(assessment, story=post.id)
    return Judged(post=post, assessment=assessment), brands


def _assessment(post: Post, given: object) -> Assessment:
    """The judgement of a row, in the shape of ``yujing analyze``. Raises ``Unusable``."""
    try:
        return _read(post, given)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unusable(f"assessment 读不出来（{type(error).__name__}）") from error


def _read(post: Post, given: Any) -> Assessment:
    sentiment = Sentiment(given["sentiment"])
    probabilities = {each.value: float(each is sentiment) for each in Sentiment}
    probabilities |= {Sentiment(key).value: float(p) for key, p in (given.get("probabilities") or {}).items()}
    topics = tuple(
        TopicJudgement(
            id=str(each["id"]),
            stance=Stance(each.get("stance", "assert")),
            probability=float(each.get("probability", 1.0)),
        )
        for each in given.get("topics") or ()
    )
    return Assessment(
        post_id=post.id,
        model=str(given.get("model", "given")),
        sentiment=sentiment,
        probabilities=probabilities,
        topics=topics,
        entities=tuple(_entity(each) for each in given.get("entities") or ()),
        ad=bool(given.get("ad", False)),
        ad_probability=float(given.get("ad_probability", 0.0)),
        story=str(given.get("story", "")),
        coordination=float(given.get("coordination", 0.0)),
        influence=influence(post),
    )


def _entity(each: Any) -> EntityJudgement:
    sentiment = Sentiment(each["sentiment"])
    probability = float(each.get("probability", 1.0))
    negative = float(
        each.get("negative", probability if sentiment is Sentiment.NEGATIVE else 1 - probability)
    )
    name = str(each["name"])
    return EntityJudgement(
        name=name,
        sentiment=sentiment,
        probability=probability,
        negative=negative,
        brand=str(each.get("brand") or name),
    )
