"""Posts of a replay: rows as of ``yujing import``, which may bring their own judgement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from crawlers.draft import Unusable, to_post
from crawlers.import_rows import SOURCE, to_draft
from crawlers.rows import Row, read_rows
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.correction import text_mark
from domain.post import Post, Tier, under_first_date
from nlp.analyzer import influence
from store.posts import Judged

_BATCH = 256
Named = tuple[Judged, dict[str, Sentiment]]
"""A post with its sentiment towards the brands that it names; where its rows judge them apart, once a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What came of a file."""

    posts: list[Named]
    repeated: int
    """Rows that another row of the same post leaves nothing to say."""
    nameless: int
    """Posts that name no brand and bring none; they are not among ``posts``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A row before it is judged."""

    post: Post
    assessment: Assessment | None
    """Its own."""
    brand: str
    """Whom it is about where its text names nobody."""


def read_posts(
    path: Path,
    *,
    secret: bytes,
    assess: Callable[[Sequence[Post]], list[Assessment]],
    brand_of: Callable[[str], str],
    now: datetime,
    complain: Callable[[str], None],
) -> Replayed:
    """Judged posts of a JSONL file; rows without ``assessment`` are judged by ``assess``.

    The brand is that of the assessment's entities (``brand``, else ``name``), else the row's own ``brand``;
    ``brand_of`` gives the id for any of its names. A post of several rows counts once a brand, at its first time and
    with what the last one about that brand says. A row that cannot be used is told and left out. Raises ``InputError``.
    """

    def read(values: dict[str, Any]) -> _Read:
        return _read(values, secret=secret, brand_of=brand_of, now=now)

    rows: dict[str, list[_Read]] = {}
    taken = 0
    for row in read_rows(path, needs=("text",)):
        try:
            _take(_values(row), rows, read)
            taken += 1
        except Unusable as error:
            complain(f"{path} 第 {row.number} 行：{error}，略过")
    judged: dict[str, Assessment] = {}
    waiting = [said[-1].post for said in rows.values() if not all(row.assessment for row in said)]
    for start in range(0, len(waiting), _BATCH):
        judged.update((each.post_id, each) for each in assess(waiting[start : start + _BATCH]))
    found = [_merged(said, judged.get(id_)) for id_, said in rows.items()]
    posts = [each for said in found for each in said]
    nameless = found.count([])
    return Replayed(posts=posts, repeated=taken - len(posts) - nameless, nameless=nameless)


def _values(row: Row) -> dict[str, Any]:
    if row.values is None:
        raise Unusable(row.error)
    return row.values


def _take(
    values: dict[str, Any], rows: dict[str, list[_Read]], read: Callable[[dict[str, Any]], _Read]
) -> None:
    """Put a row among those of its post, by the id of that."""
    made = read(values)
    known = rows.get(made.post.id)
    if known and text_mark(known[-1].post) != text_mark(made.post):
        # Many exports number their rows from 1: under a known number, other words are another post.
        made = read(values | {"id": None})
        known = rows.get(made.post.id)
    if known:
        at, date_only = known[-1].post.published_at, known[-1].post.date_only
        made = replace(made, post=under_first_date(made.post, at=at, date_only=date_only))
    rows.setdefault(made.post.id, []).append(made)


def _merged(rows: Sequence[_Read], judged: Assessment | None) -> list[Named]:
    """What the rows of one post say, of a brand only what the last one does; ``judged`` for rows without their own."""
    found: list[Named] = []
    told: set[str] = set()
    for row in reversed(rows):
        assessment = row.assessment or judged
        assert assessment is not None
        named, brands = _named(rows[-1].post, assessment, row.brand)
        if new := {brand: mood for brand, mood in brands.items() if brand not in told}:
            found.append((named, new))
            told |= new.keys()
    return found[::-1]


def _read(values: dict[str, Any], *, secret: bytes, brand_of: Callable[[str], str], now: datetime) -> _Read:
    post = _post(values, secret=secret, now=now)
    given, brand = values.get("assessment"), values.get("brand")
    return _Read(
        post=post,
        assessment=None if given is None else _assessment(post, given, brand_of),
        brand=brand_of(brand) if isinstance(brand, str) and brand else "",
    )


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


def _named(post: Post, assessment: Assessment, brand: str) -> Named:
    # Where a brand is called by two of its names, the worst that is said of it counts.
    entities = sorted(assessment.entities, key=lambda each: each.negative)
    brands = {each.brand: each.sentiment for each in entities if each.brand}
    if not brands and brand:
        brands = {brand: assessment.sentiment}
    if not assessment.story:
        assessment = replace(assessment, story=post.id)
    return Judged(post=post, assessment=assessment), brands


def _assessment(post: Post, given: object, brand_of: Callable[[str], str]) -> Assessment:
    """The judgement of a row, in the shape of ``yujing analyze``. Raises ``Unusable``."""
    try:
        return _judged(post, given, brand_of)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unusable(f"assessment 读不出来（{type(error).__name__}）") from error


def _judged(post: Post, given: Any, brand_of: Callable[[str], str]) -> Assessment:
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
        entities=tuple(_entity(each, brand_of) for each in given.get("entities") or ()),
        ad=bool(given.get("ad", False)),
        ad_probability=float(given.get("ad_probability", 0.0)),
        story=str(given.get("story", "")),
        coordination=float(given.get("coordination", 0.0)),
        influence=influence(post),
    )


def _entity(each: Any, brand_of: Callable[[str], str]) -> EntityJudgement:
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
        brand=brand_of(str(each.get("brand") or name)),
    )
