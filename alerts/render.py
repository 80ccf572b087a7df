"""Writes an alert mail: subject, HTML and plain text, chart by Content-ID, thread headers.

The templates escape everything (Jinja2 autoescape); marked words arrive as separate pieces, so that no markup is
ever made from a post's text. Headers are set through ``email.policy.SMTP``, which refuses line breaks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from alerts.charts import draw, summary
from alerts.envelope import Cause, Envelope, message_id
from alerts.headings import Bar, bar_of, is_retired, short, subject_of
from alerts.view import AlertView, Claim, NextStep, Spread
from alerts.words import clock, count, fit, local, moment, percent, plain, span, when
from domain.alert import Level
from domain.errors import DeliveryError

PLATFORMS = 5
"""Platforms named; the rest are added up."""
_PARTS = {
    "volume": "数量",
    "share": "占比",
    "topic": "主题",
    "source_tier": "来源",
    "spread": "跨平台",
    "growth": "增速",
    "suspected": "疑似水军",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A mail ready for the outbox."""

    subject: str
    body: bytes
    """RFC 5322 with CRLF line ends."""
    message_id: str


class Writer:
    """Writes mails from one sender; ``draw_chart`` may be replaced where no picture is wanted."""

    def __init__(self, *, sender: str, draw_chart: Callable[..., bytes] = draw) -> None:
        """``sender``: an address, or a name with an address in angle brackets. Raises ``DeliveryError`` for neither."""
        name, address = parseaddr(sender)
        self._sender = _address(address, name=name or "舆警")
        self._draw = draw_chart
        environment = _environment()
        self._html = environment.get_template("alert.html.j2")
        self._text = environment.get_template("alert.txt.j2")

    def write(self, view: AlertView, envelope: Envelope, *, now: datetime) -> Letter:
        """The mail for one recipient.

        Raises ``DeliveryError`` (permanent) when the recipient's address cannot be one.
        """
        recipient = _address(envelope.recipient)
        subject = subject_of(view, envelope)
        ident = message_id(envelope, domain=self._sender.domain or "yujing.invalid")
        chart = self._chart(view)
        cid = f"chart.{ident[1:-1]}" if chart else ""
        values = _values(view, envelope, subject=subject, chart_cid=cid)
        message = EmailMessage(policy=SMTP)
        message["Subject"] = subject
        message["From"] = self._sender
        message["To"] = recipient
        message["Date"] = format_datetime(local(now))
        message["Message-ID"] = ident
        _thread(message, envelope)
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        if view.alert.level >= Level.ORANGE and envelope.cause is not Cause.RECOVERED:
            message["Importance"] = "high"
        message.set_content(self._text.render(values), cte="base64")
        message.add_alternative(self._html.render(values), subtype="html", cte="base64")
        if chart:
            _attach(message, chart, cid=cid)
        _fix_boundaries(message, ident)
        return Letter(subject=subject, body=message.as_bytes(), message_id=ident)

    def _chart(self, view: AlertView) -> bytes:
        if view.series is None or not view.series.hours:
            return b""
        about = " · ".join(part for part in (plain(view.brand), short(view.counted or view.topic)) if part)
        return self._draw(view.series, title=f"{fit(about, 24)}：每小时负面帖")


def _address(spec: str, *, name: str = "") -> Address:
    try:
        address = Address(display_name=plain(name), addr_spec=spec)
    except (ValueError, HeaderParseError, IndexError) as error:
        raise DeliveryError(f"邮箱地址 {plain(spec)!r} 不成立：{error}") from error
    if not address.username or not address.domain or not address.addr_spec.isascii():
        raise DeliveryError(f"邮箱地址 {plain(spec)!r} 不成立：需要 name@domain，且只用 ASCII 字符")
    return address


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alerts"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        backing=_backing,
        plain=plain,
        span=span,
        when=lambda at, beside: when(at, beside=beside),
    )
    return environment


def _thread(message: EmailMessage, envelope: Envelope) -> None:
    """RFC 5322 §3.6.4: answers the newest mail told, and refers to the first and the newest."""
    known = [mail.message_id for mail in envelope.told if mail.message_id]
    if known:
        message["In-Reply-To"] = known[-1]
        message["References"] = " ".join(dict.fromkeys((known[0], known[-1])))


def _attach(message: EmailMessage, chart: bytes, *, cid: str) -> None:
    html = message.get_body(preferencelist=("html",))
    assert isinstance(html, EmailMessage)
    html.add_related(chart, "image", "png", cid=f"<{cid}>", filename="chart.png", disposition="inline")


def _fix_boundaries(message: EmailMessage, ident: str) -> None:
    """Boundaries from the Message-ID instead of chance: the same mail is the same bytes."""
    for index, part in enumerate(part for part in message.walk() if part.is_multipart()):
        digest = hashlib.sha256(f"{ident}{index}".encode()).hexdigest()[:24]
        part.set_boundary(f"=_yujing_{digest}")


def _values(view: AlertView, envelope: Envelope, *, subject: str, chart_cid: str) -> dict[str, object]:
    alert = view.alert
    over = envelope.cause is Cause.RECOVERED
    bar: Bar = bar_of(view, envelope)
    return {
        "subject": subject,
        "view": view,
        "alert": alert,
        "bar": bar,
        "why": plain(alert.explanation),
        "claims": () if over else view.claims,
        "posts": () if over else view.posts,
        "actions": _actions(view, over=over),
        "owner": _owner(view),
        "facts": view.facts,
        "chart_cid": chart_cid,
        "chart_words": summary(view.series) if view.series else "",
        "hours": _hours(view),
        "score": _score(view) if not over else "",
        "reasons": _reasons(view) if not over else (),
        "spread_lines": _spread(view.spread, view) if view.spread else (),
        "step": None if over else _dated(view.next_step, start=envelope.not_before),
        "start": _start(view, view.next_step),
        "footer": _footer(view, envelope),
        "mute": _mute(view),
    }


def _backing(claim: Claim) -> str:
    accounts = f"、{count(claim.accounts)} 个账号" if claim.accounts else "（账号未知）"
    if len(claim.words) > 1:
        shared = "".join(f"“{plain(word)}”" for word in claim.words)
        return f"{count(claim.posts)} 条{accounts}都提到{shared}"
    return f"{count(claim.posts)} 条{accounts}" + ("，同一篇的转发或近似文本" if claim.posts > 1 else "")


def _actions(view: AlertView, *, over: bool) -> list[tuple[str, str]]:
    if view.incident is None:
        return []
    ident = view.incident.id
    show = ("打开处置", f"yujing incident show {ident}")
    if over:
        close = ("关闭", f"yujing incident close {ident} --reason 写明原因")
        return [show, close] if view.incident.status.open else [show]
    take = ("我来处理", f"yujing incident ack {ident}")
    wrong = ("误报", f"yujing incident false-alarm {ident} --reason 写明原因")
    return [wrong, show] if view.incident.owner else [take, wrong, show]


def _owner(view: AlertView) -> str:
    incident = view.incident
    if incident is None:
        return ""
    if not incident.owner:
        return "还没有人接手"
    at = f"，{when(incident.acknowledged_at, beside=view.alert.at)}" if incident.acknowledged_at else ""
    return f"{plain(incident.owner)} 已接手{at}"


def _hours(view: AlertView) -> str:
    """The last six bars for people without the picture."""
    if view.series is None:
        return ""
    return " · ".join(f"{clock(hour.start)} 起 {hour.negative}" for hour in view.series.hours[-6:])


def _score(view: AlertView) -> str:
    level = view.alert.level
    return f"为什么是{level.colour}色（{level.word}）：评分 {count(int(view.alert.score))} / 100"


def _reasons(view: AlertView) -> list[str]:
    """The hard triggers of the highest level that any reached, and in one line the parts of the score.

    Triggers of lower levels add nothing to the decision, and push the posts off the screen.
    """
    reasons = sorted(view.alert.reasons, key=lambda reason: -reason.points)
    top = max((reason.level for reason in reasons), default=Level.NONE)
    triggers = [
        f"触发{top.colour}色硬条件：{plain(reason.text)}"
        for reason in reasons
        if reason.level and reason.level == top
    ]
    parts = [
        f"{_PARTS.get(reason.rule, reason.rule)} {round(reason.points):+}：{plain(reason.text)}"
        for reason in reasons
        if not reason.level and round(reason.points)
    ]
    return [*triggers, *(["；".join(parts)] if parts else [])]


def _spread(spread: Spread, view: AlertView) -> list[str]:
    places = "、".join(f"{name} {count(posts)}" for name, posts in spread.platforms[:PLATFORMS])
    rest = sum(posts for _, posts in spread.platforms[PLATFORMS:])
    places += f"、其他 {count(rest)}" if rest else ""
    unknown = f"，另 {count(spread.anonymous)} 条作者未知" if spread.anonymous else ""
    first = spread.first
    lines = [
        f"负面 {count(spread.posts)} 条，{count(spread.authors)} 个账号{unknown}；"
        f"{len(spread.platforms)} 个平台：{places}",
        f"最早一条：{when(first.published_at, beside=view.alert.at)}，{first.platform} · {first.author}",
        f"重复：{percent(spread.copies)} 是转发或近似文本（{count(spread.stories)} 个不同说法）",
    ]
    if spread.suspicion:
        found = spread.suspicion
        lines.append(
            f"疑似水军（仅为怀疑，未核实）：{count(found.of)} 条里有 {count(found.posts)} 条近似同文，"
            f"由 {count(found.accounts)} 个账号在 {span(found.minutes)}内发出"
        )
    return lines


def _dated(step: NextStep | None, *, start: datetime) -> NextStep | None:
    """The step with its due times; a plan that does not run yet starts when the mail arrives, at the earliest."""
    if step is None or step.running:
        return step
    due = [replace(each, due_at=start + timedelta(minutes=each.due_min)) for each in step.steps]
    return replace(step, steps=tuple(due))


def _start(view: AlertView, step: NextStep | None) -> str:
    if step is None or step.running or view.incident is None:
        return ""
    return f"yujing plan start {step.plan} --incident {view.incident.id}"


def _footer(view: AlertView, envelope: Envelope) -> list[str]:
    route = envelope.route
    scope = "数据源失明时通知" if route.operator else f"{Level.of(route.level).colour}色及以上"
    lines = [f"你收到这封邮件，是因为你在通知路由「{plain(route.name)}」里（{scope}）。"]
    if envelope.cause is Cause.RECOVERED:
        more = "" if is_retired(view) else "；再次升高会另发一封新的预警"
        lines.append(f"预警已结束{more}。")
    else:
        again = envelope.not_before + timedelta(minutes=route.cooldown_min)
        lines.append(
            f"下一封：级别上升会立即再发；否则同一事件 {span(route.cooldown_min)}内不再发"
            f"（最早 {when(again, beside=view.alert.at)}，有变化才发）。"
        )
    if route.quiet_hours:
        quiet = route.quiet_hours
        lines.append(
            f"夜间 {quiet.start}–{quiet.end} 只发{Level.of(quiet.from_level).colour}色及以上，其余等到早上。"
        )
    lines.append(f"数字截至 {moment(view.alert.at)}。编号 {view.alert.id}，第 {view.alert.revision} 版。")
    return lines


def _mute(view: AlertView) -> str:
    alert = view.alert
    if not alert.brand:
        return ""
    topic = f" --topic {alert.lead_topic}" if alert.lead_topic else ""
    return f"yujing silence add --brand {alert.brand}{topic} --hours 4 --reason 写明原因"
