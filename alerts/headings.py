"""Subject and level bar: the same words in both, the level always as a word and never as a colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.envelope import Cause, Envelope
from alerts.view import AlertView
from alerts.words import count, fit, moment, plain, span, usual
from domain.alert import RETIRED, Level

WHITE = "#ffffff"
GROUNDS = {
    Level.NONE: ("#57606a", WHITE),
    Level.BLUE: ("#1d5fbf", WHITE),
    Level.YELLOW: ("#f2c21a", "#1f2328"),
    Level.ORANGE: ("#c2410c", WHITE),
    Level.RED: ("#a40e26", WHITE),
}
"""Ground and ink of each level; every pair has a contrast of at least 4.5 (WCAG AA)."""
RECOVERED = ("#1f6f43", WHITE)
OPERATOR = ("#424a53", WHITE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """The level bar."""

    words: str
    about: str
    line: str
    ground: str
    ink: str


def subject_of(view: AlertView, envelope: Envelope) -> str:
    """``【橙色预警】云桥金融 · 提现困难 · 负面 37 条/时（平时 6）`` and its siblings; one line."""
    if envelope.operator:
        ended = "已停用，不再监测" if is_retired(view) else "已恢复采集"
        state = ended if envelope.cause is Cause.RECOVERED else "看不到新内容，数据不全"
        return f"{_tag(view, envelope)}{fit(plain(view.source), 30)} · {state}"
    parts = [fit(plain(view.brand), 30), fit(short(view.topic), 20), _rate(view)]
    if envelope.cause is Cause.RECOVERED:
        minutes = (view.alert.at - view.alert.first_at).total_seconds() / 60
        parts.append(f"历时 {span(minutes)}")
    elif envelope.companions:
        parts.append(f"另有 {len(envelope.companions)} 项")
    return _tag(view, envelope) + " · ".join(part for part in parts if part)


def short(topic: str) -> str:
    """``提现困难`` for ``提现困难/兑付逾期``: the first of a topic's names."""
    return plain(topic.split("/", maxsplit=1)[0])


def _tag(view: AlertView, envelope: Envelope) -> str:
    level, was = view.alert.level, envelope.was
    if envelope.operator and envelope.cause is Cause.RECOVERED:
        return "【运维通知】" if is_retired(view) else "【运维恢复】"
    if envelope.operator:
        return "【运维预警】"
    return {
        Cause.NEW: f"【{level.colour}色预警】",
        Cause.UPDATE: f"【{level.colour}色预警·更新】",
        Cause.ESCALATED: f"【升级 {was.colour}→{level.colour}】",
        Cause.LOWERED: f"【降级 {was.colour}→{level.colour}】",
        Cause.RECOVERED: "【停止预警】" if is_retired(view) else "【恢复】",
    }[envelope.cause]


def is_retired(view: AlertView) -> bool:
    """It ended because nobody watches any more, not because it is over."""
    return any(reason.rule == RETIRED for reason in view.alert.reasons)


def _rate(view: AlertView) -> str:
    numbers = view.alert.numbers
    if "negatives" not in numbers:
        return ""
    about = f"「{fit(short(view.counted), 20)}」" if view.counted else ""
    rate = f"{about}负面 {count(numbers['negatives'])} 条/时"
    return f"{rate}（平时 {usual(numbers['per_hour_usual'])}）" if "per_hour_usual" in numbers else rate


def bar_of(view: AlertView, envelope: Envelope) -> Bar:
    """The bar's words and colours."""
    ground, ink = GROUNDS[view.alert.level]
    if envelope.operator:
        ground, ink = OPERATOR
    if envelope.cause is Cause.RECOVERED and not is_retired(view):
        ground, ink = RECOVERED
    about = plain(view.source) if envelope.operator else _about(view)
    return Bar(words=_words(view, envelope), about=about, line=_line(view), ground=ground, ink=ink)


def _words(view: AlertView, envelope: Envelope) -> str:
    level, was = view.alert.level, envelope.was
    if envelope.operator and envelope.cause is Cause.RECOVERED:
        return "运维通知 · 数据源停用" if is_retired(view) else "运维恢复 · 数据源"
    if envelope.operator:
        return "运维预警 · 数据源失明"
    if envelope.cause is Cause.RECOVERED:
        peak = max(view.alert.peak, level, was)
        ended = "停止预警" if is_retired(view) else "恢复"
        return f"{ended} · 最高到过{peak.colour}色（{peak.word}）"
    if envelope.cause is Cause.ESCALATED:
        return f"升级 {was.colour}→{level.colour} · {level.word}"
    if envelope.cause is Cause.LOWERED:
        return f"降级 {was.colour}→{level.colour} · {level.word}"
    tail = "（更新）" if envelope.cause is Cause.UPDATE else ""
    return f"{level.colour}色预警 · {level.word}{tail}"


def _about(view: AlertView) -> str:
    return " · ".join(part for part in (plain(view.brand), short(view.topic)) if part)


def _line(view: AlertView) -> str:
    parts = [moment(view.alert.at)]
    if view.alert.incomplete:
        parts.append("数据不全")
    if view.incident:
        parts.append(f"事件 {view.incident.id}（{view.incident.status.word}）")
    return " · ".join(parts)
