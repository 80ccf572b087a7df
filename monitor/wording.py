"""What a finding says, in one Chinese sentence whose every adjective is carried by a number."""

from __future__ import annotations

from monitor.detectors import Finding
from monitor.levels import Judgement, usual_text
from monitor.series import STORIES

_CHANCES = (
    (6.0, "百万次里不到一次"),
    (4.0, "万次里不到一次"),
    (3.0, "千次里不到一次"),
    (2.0, "百次里不到一次"),
)


def chance_text(tail: float) -> str:
    """How rare, for a tail A; empty when it is not rare."""
    return next((text for least, text in _CHANCES if tail >= least), "")


def explain(
    finding: Finding, *, topic: str, history_hours: float, thin_below: float, words: str = "", until: str = ""
) -> str:
    """The sentence of a finding; ``topic`` is its name (empty: the whole brand).

    ``words``: what to begin with instead of the count, such as a limit's words.
    ``until``: when the window ended, where that is not now (posts that were crawled late).
    """
    about = f"「{topic}」" if topic else ""
    span = "1 小时" if finding.window_min == 60 else f"{finding.window_min} 分钟"
    past = f"截至 {until} 的 {span}" if until else f"过去 {span}"
    rare = chance_text(finding.tail)
    if words:
        start = words
    elif finding.detector == "volume":
        start = f"过去 1 小时共 {finding.posts:.0f} 条，创 24 小时新高"
    elif finding.detector == "slow_burn":
        start = f"{about}负面连续多小时偏高，过去 1 小时 {finding.negatives:.0f} 条，平时{usual_text(finding.usual)}"
    else:
        # Stories are told apart within five minutes only: a text that is pasted for an hour counts twelve times.
        unit, how = ("次", "（5 分钟内的同一说法算一次）") if finding.measure == STORIES else ("条", "")
        start = f"{past}{about}负面 {finding.observed:.0f} {unit}{how}"
        start += f"，这个时段平时{usual_text(finding.expected, unit)}"
        if rare:
            start += f"，这种高值{rare}"
    parts = [start]
    if finding.posts:
        parts.append(
            f"{about}负面占比{_change(percent(finding.usual_share), percent(finding.share), finding)}"
        )
    if history_hours < thin_below:
        parts.append(f"数据不足：历史只有 {history_hours:.0f} 小时")
    return "；".join(parts) + "。"


def risen(finding: Finding, judgement: Judgement, *, topic: str) -> str:
    """What raised a level though no detector fires, and the last hour as it is now: the beginning of a sentence."""
    about = f"「{topic}」" if topic else ""
    triggers = [reason.text for reason in judgement.reasons if reason.level is judgement.level]
    why = "、".join(triggers) or f"评分升到 {int(judgement.score)}"
    now = f"过去 1 小时{about}负面 {finding.negatives:.0f} 条，平时{usual_text(finding.usual)}"
    return f"升到{judgement.level.colour}色：{why}；{now}"


def _change(usual: str, now: str, finding: Finding) -> str:
    if usual == now:
        return f" {now}，与平时相同"
    return f"由 {usual} {'升到' if finding.share > finding.usual_share else '降到'} {now}"


def percent(share: float) -> str:
    """A share in whole per cent, as people say it."""
    return f"{share:.0%}" if share >= 0.01 or share == 0 else "不到 1%"
