"""Posts and events that the tests know everything about, and the answers of plain Python to a layer's question."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.kibana.panels import Condition, Layer, Measure, Operation, Terms, Time, Where
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.post import Author, Engagement, Post, Tier, post_id
from store.posts import Judged

UNTIL = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)
"""Noon in Shanghai."""
SINCE = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
"""Midnight in Shanghai, six days earlier."""
BRANDS = ("yunqiao", "ansui", "jushi", "beiyu")
TOPICS = ("withdrawal_difficulty", "data_breach", "usury", "rumor", "fraud")
TAKEN_IN = timedelta(minutes=1)
"""From a post's fetch to its place in the index."""
_ZONE = timedelta(hours=8)
Flat = dict[str, Any]
"""Field → value or list of values."""


def judged(count: int = 600, seed: int = 7) -> list[Judged]:
    """Posts of three weeks; every mixture of brands, topics, stances and authors occurs."""
    rng = random.Random(seed)
    made: list[Judged] = []
    for number in range(count):
        id_ = post_id("test", str(number))
        at = UNTIL - timedelta(seconds=rng.randrange(1, 21 * 86_400))
        sentiment = rng.choice(list(Sentiment))
        tier = rng.choices(list(Tier), weights=(8, 2, 1, 1))[0]
        post = Post(
            id=id_,
            platform=rng.choice(("weibo", "guba", "heimao", "news")),
            source=rng.choice(("weibo", "guba", "news-36kr")),
            native_id=str(number),
            text=f"第 {number} 条 <script>alert(1)</script>",
            title="标题" if number % 3 else "",
            url=f"https://example.invalid/{number}",
            published_at=at,
            fetched_at=at + timedelta(minutes=rng.randrange(1, 90)),
            author=Author(
                key=f"author{rng.randrange(60)}", name="某***", tier=tier, followers=rng.randrange(10**6)
            ),
            engagement=Engagement(
                reposts=rng.randrange(50), comments=rng.randrange(50), likes=rng.randrange(500), views=number
            ),
            date_only=number % 17 == 0,
        )
        topics = rng.sample(TOPICS, rng.choice((0, 1, 1, 2)))
        brands = rng.sample(BRANDS, rng.choice((1, 1, 2)))
        assessment = Assessment(
            post_id=id_,
            model="test",
            sentiment=sentiment,
            probabilities={each.value: 0.8 if each is sentiment else 0.1 for each in Sentiment},
            topics=tuple(
                TopicJudgement(id=topic, stance=rng.choice(list(Stance)), probability=0.9) for topic in topics
            ),
            entities=tuple(
                EntityJudgement(
                    name=brand,
                    brand=brand,
                    sentiment=rng.choice(list(Sentiment)),
                    probability=0.9,
                    negative=0.5,
                )
                for brand in brands
            ),
            keywords=tuple(rng.sample(("提现", "客服", "到账", "利息", "存管", "公告"), 3)),
            story=made[rng.randrange(number)].assessment.story if number and rng.random() < 0.7 else id_,
            coordination=round(rng.random(), 2),
            influence=round(rng.uniform(1, 20), 3),
        )
        made.append(Judged(post=post, assessment=assessment))
    return made


def flat(judged: Judged) -> Flat:
    """The fields of a post that the dashboards read."""
    post, assessment = judged.post, judged.assessment
    ingested = post.fetched_at + TAKEN_IN
    fields: Flat = {
        "@timestamp": post.published_at,
        "event.ingested": ingested,
        "post.id": post.id,
        "post.platform": post.platform,
        "post.source": post.source,
        "post.title": post.title,
        "post.text": post.text,
        "url.full": post.url,
        "author.key": post.author.key,
        "author.name": post.author.name,
        "author.tier": post.author.tier.value,
        "author.followers": post.author.followers,
        "engagement.views": post.engagement.views,
        "engagement.total": post.engagement.total,
        "assessment.sentiment": assessment.sentiment.value,
        "assessment.story": assessment.story,
        "assessment.coordination": assessment.coordination,
        "assessment.influence": assessment.influence,
        "assessment.keywords": list(assessment.keywords),
        "brand.id": [entity.brand for entity in assessment.entities],
        "topic.id": [topic.id for topic in assessment.topics],
    }
    for entity in assessment.entities:
        fields.setdefault(f"brand.{entity.sentiment.value}", []).append(entity.brand)
    for topic in assessment.topics:
        fields.setdefault(f"topic.{topic.stance.value}", []).append(topic.id)
    if not post.date_only:
        fields["post.delay_s"] = int((ingested - post.published_at).total_seconds())
    return fields


def events(count: int = 400, seed: int = 11) -> list[Flat]:
    """What happened in eight weeks."""
    rng = random.Random(seed)
    made: list[Flat] = []
    for number in range(count):
        kind = rng.choice(("alert", "incident", "delivery", "source_run", "dead_letter"))
        fields: Flat = {
            "@timestamp": UNTIL - timedelta(seconds=rng.randrange(1, 56 * 86_400)),
            "event.id": f"{kind}:{number}",
            "event.kind": kind,
        }
        if kind in ("alert", "incident"):
            fields |= {
                "brand.id": rng.choice(BRANDS),
                "topic.id": [rng.choice(TOPICS)],
                "level": rng.choice(("blue", "yellow", "orange", "red")),
            }
        if kind == "alert":
            fields |= {
                "alert.change": rng.choice(("new", "update", "escalated", "recovered")),
                "alert.state": rng.choice(("firing", "acknowledged", "superseded", "resolved")),
                "alert.id": f"alert{number}",
                "alert.score": rng.randrange(100),
                "alert.detection_s": rng.randrange(1000),
            }
        elif kind == "incident":
            fields |= {
                "incident.status": rng.choice(("triage", "responding", "closed", "false_alarm")),
                "incident.acknowledge_s": rng.randrange(4000),
                "incident.close_s": rng.randrange(90_000),
            }
        elif kind == "delivery":
            fields["delivery.state"] = rng.choice(("sent", "failed", "waiting"))
        elif kind == "source_run":
            outcome = rng.choice(("results", "empty", "blocked"))
            fields |= {
                "source.id": "weibo",
                "source.detail": f"detail {number}",
                "source.outcome": outcome,
                "source.seeing": outcome != "blocked",
            }
        else:
            fields["dead.reason"] = rng.choice(("too long", "no text"))
        made.append(fields)
    return made


def _all(document: Flat, field: str) -> list[Any]:
    value = document.get(field)
    return [] if value is None else value if isinstance(value, list) else [value]


def _has(document: Flat, condition: Condition) -> bool:
    values = _all(document, condition.field)
    if condition.at_least is not None:
        return any(value >= condition.at_least for value in values)
    if not condition.any_of:
        return bool(values)
    return any(
        (str(value).lower() if isinstance(value, bool) else value) in condition.any_of for value in values
    )


def _matching(documents: Iterable[Flat], where: Where) -> list[Flat]:
    return [each for each in documents if all(_has(each, condition) for condition in where)]


def _percentile(values: Sequence[float], percent: int) -> tuple[float, float] | None:
    """The values between which a percentile lies: a digest may interpolate between neighbours."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = (len(ordered) - 1) * percent / 100
    low, high = max(0, int(place) - 1), min(len(ordered) - 1, int(place) + 2)
    return ordered[low], ordered[high]


def measured(measure: Measure, documents: Iterable[Flat]) -> Any:
    """The number that a measure has over documents; a percentile is a pair of bounds."""
    found = _matching(documents, measure.where + measure.whole)
    values = [value for each in found for value in _all(each, measure.field)]
    match measure.operation:
        case Operation.COUNT:
            return len(found)
        case Operation.SHARE:
            whole = len(_matching(documents, measure.whole))
            return len(found) / whole if whole else None
        case Operation.UNIQUE:
            return len(set(values))
        case Operation.SUM:
            return sum(values)
        case Operation.MIN | Operation.MAX:
            return (min if measure.operation is Operation.MIN else max)(values, default=None)
        case Operation.MEDIAN:
            return _percentile(values, 50)
        case Operation.PERCENTILE:
            return _percentile(values, measure.percentile)
        case Operation.LAST:
            newest = max(found, key=lambda each: each["@timestamp"], default={})
            return _all(newest, measure.field) or None


def expected(
    layer: Layer, documents: Iterable[Flat], since: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    """The rows of a layer."""
    week = timedelta(weeks=1)
    matching = _matching(documents, layer.where)
    now = [each for each in matching if since <= each["@timestamp"] < until]
    before = [
        each | {"@timestamp": each["@timestamp"] + week}
        for each in matching
        if since - week <= each["@timestamp"] < until - week
    ] * any(measure.shift for measure in layer.measures)
    return list(_rows(layer, 0, now, before, since, until))


def _rows(
    layer: Layer, depth: int, now: list[Flat], before: list[Flat], since: datetime, until: datetime
) -> Iterable[tuple[Any, ...]]:
    if depth == len(layer.buckets):
        yield tuple(measured(measure, before if measure.shift else now) for measure in layer.measures)
        return
    bucket = layer.buckets[depth]
    if isinstance(bucket, Time):
        step = timedelta(days=1) if bucket.every == "1d" else timedelta(hours=1)
        local = (since + _ZONE).replace(tzinfo=None)
        at = since - (local - datetime.combine(local.date(), datetime.min.time())) % step
        while at < until:
            inside = [
                [each for each in documents if at <= each["@timestamp"] < at + step]
                for documents in (now, before)
            ]
            for row in _rows(layer, depth + 1, *inside, since, until):
                yield (at, *row)
            at += step
        return
    for value in _values(layer, bucket, now, before):
        inside = [
            [each for each in documents if value in _all(each, bucket.field)] for documents in (now, before)
        ]
        for row in _rows(layer, depth + 1, *inside, since, until):
            yield (value, *row)


def _values(layer: Layer, bucket: Terms, now: list[Flat], before: list[Flat]) -> list[Any]:
    assert isinstance(bucket.by, int)
    measure, found = layer.measures[bucket.by], {}
    for value in {value for each in (*now, *before) for value in _all(each, bucket.field)}:
        amount = measured(measure, [each for each in now if value in _all(each, bucket.field)])
        found[value] = amount.timestamp() if isinstance(amount, datetime) else amount
    nothing = float("inf") if bucket.ascending else float("-inf")
    sign = 1 if bucket.ascending else -1
    return sorted(found, key=lambda v: (sign * (nothing if found[v] is None else found[v]), v))[: bucket.size]
