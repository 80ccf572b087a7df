"""What we do not know: said in every mail, each doubt with its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median

from alerts.view import AlertView
from alerts.words import count, moment, span
from store.posts import Judged

FEW_POSTS = 10
FEW_AUTHORS = 5
UNSURE = 0.6
"""Calibrated probability below which a single judgement is called doubtful."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blind:
    """A source that saw nothing when the alert was made."""

    name: str
    before: datetime | None
    """Its last crawl before the alert that saw anything; None: there was none."""
    lately: datetime | None
    """Its last one of all: later than the alert when it sees again."""


def doubts(
    view: AlertView,
    found: Sequence[Judged],
    *,
    total: int,
    undated: int,
    blind: Sequence[Blind],
    delays: Sequence[float],
    now: datetime,
) -> tuple[str, ...]:
    """Sentences, gravest first: blind sources, thin data, missing history, late posts, model doubt, delay.

    ``total``: negative posts in the store; ``undated``: those read and left out of ``found``, for only their day
    is known; ``delays``: minutes from publication to the first fetch of some of the posts.
    """
    lines = [_blind(source, view.alert.at, now) for source in blind]
    lines += _thin(view, len(found), total, undated)
    lines += _late(view)
    if found:
        lines += [_confidence(view.alert.brand, found), *_delay(delays)]
    else:
        lines.append("库里没有找到这次预警背后的负面帖，请以「一句话原因」里的数字为准")
    return tuple(lines)


def _blind(source: Blind, at: datetime, now: datetime) -> str:
    again = source.lately if source.lately and source.lately > at else None
    end = f"，后来恢复（最近成功 {moment(again)}）：级别可能偏低" if again else "：级别可能偏低"
    when = "预警时" if again else ""
    if source.before is None:
        return f"{source.name} {when}从未成功采集过，那里的情况未知{end}"
    gap = span(((at if again else now) - source.before) / timedelta(minutes=1))
    return f"{source.name} {when}已 {gap}看不到（上次成功 {moment(source.before)}）{end}"


def _thin(view: AlertView, used: int, total: int, undated: int) -> list[str]:
    lines = []
    authors = view.spread.authors if view.spread else 0
    if view.spread and (used < FEW_POSTS or authors < FEW_AUTHORS):
        lines.append(f"数据单薄：目前只有 {used} 条负面帖、{authors} 个已知账号，结论可能改变")
    if total > used + undated:
        lines.append(f"共 {count(total)} 条，摘要和传播只看了影响力最高的 {count(used + undated)} 条")
    if undated:
        lines.append(f"{count(undated)} 条负面帖只知道日期、不知道时刻，没有算进摘要和传播")
    if view.series and any(hour.mean is None for hour in view.series.hours):
        missing = sum(hour.mean is None for hour in view.series.hours)
        lines.append(f"历史不足：24 小时里有 {missing} 小时给不出平时区间")
    return lines


def _late(view: AlertView) -> list[str]:
    """Posts of the last hour that came in after the detector had counted."""
    told = view.alert.numbers.get("negatives")
    if told is None or not view.series or not view.series.hours:
        return []
    if view.alert.numbers.get("until", view.alert.at.timestamp()) < view.alert.at.timestamp():
        return []  # the number is of an earlier hour than the chart's newest
    extra = view.series.hours[-1].negative - round(told)
    if extra == 0:
        return []
    verb = f"又收到 {extra} 条迟到的帖子" if extra > 0 else f"少了 {-extra} 条（改判或更正）"
    return [f"图中最近一小时为 {view.series.hours[-1].negative} 条：预警时刻之后{verb}"]


def _confidence(brand: str, found: Sequence[Judged]) -> str:
    sure = [_negative(brand, judged) for judged in found]
    doubtful = sum(value < UNSURE for value in sure)
    tail = f"，其中 {doubtful} 条低于 {UNSURE:.2f}" if doubtful else ""
    return f"机器判断，未逐条人工核对：{len(sure)} 条负面的均值置信度 {fmean(sure):.2f}{tail}"


def _negative(brand: str, judged: Judged) -> float:
    """Calibrated probability that the post is negative about the brand, else negative at all."""
    for entity in judged.assessment.entities:
        if entity.brand == brand:
            return entity.negative
    return judged.assessment.probabilities.get("negative", 0.0)


def _delay(minutes: Sequence[float]) -> list[str]:
    if not minutes:
        return []
    return [
        f"时延：从发布到采集，中位 {span(median(minutes))}，最长 {span(max(minutes))}（{len(minutes)} 条）"
    ]
