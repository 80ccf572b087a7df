"""The level of an alert: a score of six parts and hard triggers (docs/levels.md).

Pure. Starting values, to be set by the crisis committee; thresholds are ``Rules.levels``, topic weights
``topics.yaml``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from config.settings import LevelThresholds
from domain.alert import Level, Reason
from domain.post import Tier
from monitor.detectors import Finding
from monitor.evidence import Evidence, author_of, official
from store.posts import Judged

_TIER_POINTS = {Tier.USER: 0.0, Tier.BIG_V: 5.0, Tier.REGIONAL_MEDIA: 10.0, Tier.CENTRAL_MEDIA: 15.0}
_TIER_WORDS = {
    Tier.USER: "普通用户",
    Tier.BIG_V: "大V",
    Tier.REGIONAL_MEDIA: "地方媒体",
    Tier.CENTRAL_MEDIA: "中央/财经媒体或官方",
}
_GRAVE = (
    (
        "run",
        "挤兑或失联",
        ("absconding", "liquidity_crisis"),
        ("挤兑", "跑路", "失联", "卷款", "人去楼空", "潜逃"),
    ),
    (
        "case_filed",
        "立案或强制措施",
        ("regulatory_action", "illegal_fundraising", "executive_misconduct"),
        ("立案", "刑拘", "刑事拘留", "批捕", "逮捕", "查封"),
    ),
    ("gathering", "线下聚集", (), ("围堵", "拉横幅", "堵门", "线下维权", "聚集维权", "到公司维权")),
    ("leak", "数据泄露", ("data_breach",), ("泄露", "脱库", "拖库", "暗网")),
)
"""Red triggers: id, name, topics that must be asserted (none: any), words of which one must occur."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Level with its reasons."""

    level: Level
    score: float
    reasons: tuple[Reason, ...]


def judge(
    finding: Finding,
    evidence: Evidence,
    topics: tuple[str, ...],
    *,
    weights: Mapping[str, float],
    names: Mapping[str, str],
    thresholds: LevelThresholds,
    fired: bool = True,
    usual: Collection[str] = (),
) -> Judgement:
    """Score, hard triggers and level of a finding with the posts behind it.

    ``topics``: lead first. ``fired``: the detector's gate was passed, which alone is blue. ``usual``: topics of which
    no more is said than at other times.
    """
    parts = [
        _volume(finding, evidence),
        _share(finding),
        _topic(evidence, topics, weights, names, thresholds.distinct_authors),
        _source_tier(evidence),
        _spread(evidence),
        _growth(finding),
    ]
    points = sum(part.points for part in parts)
    suspicion = evidence.suspected
    score = round(points * (1 - 0.5 * suspicion), 1)
    reasons = [part for part in parts if part.points > 0]
    if suspicion > 0:
        text = f"疑似水军占 {suspicion:.0%}，总分折减 {0.5 * suspicion:.0%}"
        reasons.append(Reason(rule="suspected", points=round(score - points, 1), text=text))
    hard = _hard_triggers(finding, evidence, thresholds, fired=fired, usual=usual)
    level = max([_of_score(score, thresholds), *(reason.level for reason in hard)])
    return Judgement(level=level, score=score, reasons=(*hard, *reasons))


def grave_topic(judgement: Judgement, topics: tuple[str, ...]) -> str:
    """The topic of the highest hard trigger that rests on one, the first of ``topics`` where there are several."""
    carried = [reason for reason in judgement.reasons if reason.topic]
    highest = max((reason.level for reason in carried), default=Level.NONE)
    found = [reason.topic for reason in carried if reason.level is highest]
    return next((topic for topic in topics if topic in found), found[0] if found else "")


def _of_score(score: float, thresholds: LevelThresholds) -> Level:
    for level in (Level.RED, Level.ORANGE, Level.YELLOW, Level.BLUE):
        if score >= getattr(thresholds, level.id):
            return level
    return Level.NONE


# ------------------------------------------------------------------------ parts of the score


def _part(rule: str, points: float, text: str) -> Reason:
    return Reason(rule=rule, points=round(points, 1), text=text)


def _volume(finding: Finding, evidence: Evidence) -> Reason:
    """25 = 15·min(1, A/12) + 10·min(1, log10(1 + engagement)/5); counts without posts: 25·min(1, A/12)."""
    rarity = min(1.0, finding.tail / 12)
    points = 25 * rarity
    if evidence.posts:
        points = 15 * rarity + 10 * min(1.0, math.log10(1 + evidence.engagement) / 5)
    text = f"1 小时负面 {finding.negatives:.0f} 条（平时{usual_text(finding.usual)}），互动 {evidence.engagement} 次"
    return _part("volume", points, text)


def _share(finding: Finding) -> Reason:
    """20·min(1, (share − p0)/0.5): half of all posts more than usual is full."""
    points = 20 * min(1.0, max(0.0, finding.share - finding.usual_share) / 0.5)
    return _part("share", points, f"负面占比 {finding.share:.0%}（平时 {finding.usual_share:.0%}）")


def _topic(
    evidence: Evidence,
    topics: tuple[str, ...],
    weights: Mapping[str, float],
    names: Mapping[str, str],
    enough: int,
) -> Reason:
    """Weight of the gravest topic × min(1, authors who assert it ÷ 5), or all of it from a verified medium."""
    best = _part("topic", 0.0, "没有突出的话题")
    for topic in topics:
        posts = evidence.asserting(topic)
        authors = len({author_of(each) for each in posts})
        trust = 1.0 if any(official(each.post) for each in posts) else min(1.0, authors / enough)
        points = min(20.0, weights.get(topic, 0.0)) * trust
        if points > best.points:
            best = _part("topic", points, f"话题「{names.get(topic, topic)}」，{authors} 个账号这样说")
    return best


def _source_tier(evidence: Evidence) -> Reason:
    """User 0, big-V 5, regional media 10, central or finance media and authorities 15."""
    tiers = [each.post.author.tier for each in evidence.posts if _heard(each)]
    if not tiers:
        return _part("source_tier", 0.0, "没有加权的信源")
    best = max(tiers, key=lambda tier: _TIER_POINTS[tier])
    return _part("source_tier", _TIER_POINTS[best], f"最高信源：{_TIER_WORDS[best]}")


def _heard(judged: Judged) -> bool:
    """A medium's tier counts when the platform vouches for the account; a big-V is known by its followers."""
    return judged.post.author.verified or judged.post.author.tier in (Tier.USER, Tier.BIG_V)


def _spread(evidence: Evidence) -> Reason:
    """5 for each platform after the first, at most 10."""
    count = len(evidence.platforms)
    return _part("spread", 5.0 * min(2, max(0, count - 1)), f"{count} 个平台")


def _growth(finding: Finding) -> Reason:
    """10·min(1, log2((K + 1)/(K₋₁ + 1))/3): eight times the hour before is full."""
    ratio = (finding.negatives + 1) / (finding.before + 1)
    points = 10 * min(1.0, max(0.0, math.log2(ratio)) / 3)
    return _part("growth", points, f"1 小时前 {finding.before:.0f} 条，现在 {finding.negatives:.0f} 条")


def usual_text(value: float, unit: str = "条") -> str:
    """A usual number of posts, or of what ``unit`` counts, as people say it."""
    return f"不到 1 {unit}" if value < 0.95 else f"约 {value:.0f} {unit}"


# ----------------------------------------------------------------------------- hard triggers


def _hard_triggers(
    finding: Finding, evidence: Evidence, thresholds: LevelThresholds, *, fired: bool, usual: Collection[str]
) -> list[Reason]:
    found: list[Reason] = []
    if fired:
        text = f"负面量的偏离度 A={finding.tail:.1f}，占比偏离 z={finding.share_z:.1f}"
        found.append(_trigger("tail_gate", Level.BLUE, text))
    for rule in (_yellow, _orange, _red):
        found.extend(rule(evidence, thresholds.distinct_authors, usual))
    return found


def _trigger(rule: str, level: Level, text: str, *, topic: str = "") -> Reason:
    return Reason(rule=rule, points=0.0, text=text, level=level, topic=topic)


def _backed(posts: list[Judged], enough: int, *, usual: bool = False) -> str:
    """How posts support a trigger; empty when five distinct voices or a verified medium are lacking.

    ``usual``: as many say so at other times, too. Where one withdrawal an hour fails every day, five voices come
    together in any five hours.
    """
    if any(official(each.post) for each in posts):
        return "有认证媒体或官方发布"
    authors = len({author_of(each) for each in posts})
    return f"{authors} 个不同账号" if authors >= enough and not usual else ""


def _yellow(evidence: Evidence, enough: int, usual: Collection[str]) -> list[Reason]:
    found = []
    backed = _backed(list(evidence.posts), enough)
    if len(evidence.platforms) >= 3 and backed:
        found.append(
            _trigger("platforms", Level.YELLOW, f"{len(evidence.platforms)} 个平台都有负面，{backed}")
        )
    if any(official(each.post) and each.post.author.tier is Tier.REGIONAL_MEDIA for each in evidence.posts):
        found.append(_trigger("regional_media", Level.YELLOW, "地方媒体发布负面"))
    newest = max((each.post.published_at for each in evidence.posts), default=None)
    if newest is not None:
        complaints = [
            each
            for each in evidence.asserting("customer_complaint")
            if (newest - each.post.published_at).total_seconds() < 3600
        ]
        backed = _backed(complaints, enough, usual="customer_complaint" in usual)
        if len(complaints) >= 10 and backed:
            found.append(_trigger("complaints", Level.YELLOW, f"1 小时内同类投诉 {len(complaints)} 条"))
    return found


def _reach(evidence: Evidence, reposts: int, views: int) -> str:
    for each in evidence.posts:
        got = each.post.engagement
        if got.reposts >= reposts or got.views >= views:
            return f"单条转发 {got.reposts}、阅读 {got.views}"
    return ""


def _orange(evidence: Evidence, enough: int, usual: Collection[str]) -> list[Reason]:
    found = []
    if any(official(each.post) and each.post.author.tier is Tier.CENTRAL_MEDIA for each in evidence.posts):
        found.append(_trigger("central_media", Level.ORANGE, "中央/财经媒体或监管发布负面"))
    topic = "withdrawal_difficulty"
    backed = _backed(evidence.asserting(topic), enough, usual=topic in usual)
    if backed:
        text = f"提现困难集中出现，{backed}"
        found.append(_trigger("withdrawal_cluster", Level.ORANGE, text, topic=topic))
    reach = _reach(evidence, 10_000, 100_000)
    if reach:
        found.append(_trigger("reach", Level.ORANGE, reach))
    return found


def _red(evidence: Evidence, enough: int, usual: Collection[str]) -> list[Reason]:
    found = []
    for rule, name, topics, words in _GRAVE:
        posts = [
            each
            for each in evidence.posts
            if (any(topic in topics for topic in _asserted(each)) if topics else _asserted(each))
            and any(word in each.post.whole for word in words)
        ]
        if rule == "leak":  # must be confirmed: users can only suspect it
            posts = [each for each in posts if official(each.post)]
        said = Counter(topic for each in posts for topic in _asserted(each) if topic in topics)
        backed = _backed(posts, enough, usual=bool(said) and {*said} <= {*usual})
        if backed:
            topic = max(topics, key=lambda each: said[each], default="")
            found.append(_trigger(rule, Level.RED, f"{name}：{backed}", topic=topic))
    reach = _reach(evidence, 100_000, 1_000_000)
    if reach:
        found.append(_trigger("reach_extreme", Level.RED, f"{reach}，属特大范围传播"))
    return found


def _asserted(judged: Judged) -> list[str]:
    return [topic.id for topic in judged.assessment.topics if topic.stance.value == "assert"]
