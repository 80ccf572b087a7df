"""预警与处置: what was alerted, how fast somebody took it, what is open."""

from __future__ import annotations

from deploy.kibana.panels import (
    Chart,
    Dashboard,
    Measure,
    Operation,
    Panel,
    Posts,
    Terms,
    Time,
    asked,
    one_of,
    panel,
    present,
)
from deploy.kibana.words import BEFORE, PLAIN

_ALERT = (one_of("event.kind", "alert"), present("brand.id"))
"""Of a brand: what tells that a source is blind is none."""
_BORN = one_of("alert.change", "new")
_TOLD = one_of("alert.change", "new", "escalated", "update")
_INCIDENT = one_of("event.kind", "incident")
_OPEN = one_of("incident.status", "triage", "confirmed", "responding", "stable")
_DELIVERY = one_of("event.kind", "delivery")
_DETECTED = Measure(
    label="中位", operation=Operation.MEDIAN, field="alert.detection_s", where=(*_ALERT, _BORN)
)
_ACKNOWLEDGED = Measure(
    label="中位", operation=Operation.MEDIAN, field="incident.acknowledge_s", colour=PLAIN
)
_SLOWEST = Measure(label="最长", operation=Operation.MAX, field="incident.acknowledge_s", colour=BEFORE)
_BY_LEVEL = (
    Measure(label="事件"),
    Measure(label="确认（中位）", operation=Operation.MEDIAN, field="incident.acknowledge_s"),
    Measure(label="关闭（中位）", operation=Operation.MEDIAN, field="incident.close_s"),
    Measure(label="未关闭", where=(_OPEN,)),
)


def dashboard() -> Dashboard:
    """Made from the events index: platform and sentiment are no fields there."""
    return Dashboard(
        id="response",
        title="舆警 · 预警与处置",
        question="预警了几次？多快有人接手？还有哪些没有关闭？",
        events=True,
        days=28,
        controls=("brand.id", "topic.id", "level", "incident.status"),
        panels=(
            _number(
                "alerts",
                "新预警",
                Measure(label="新预警", where=(*_ALERT, _BORN)),
                Measure(label="其中橙色以上", where=(*_ALERT, _BORN, one_of("level", "orange", "red"))),
            ),
            _number("detection", "发现用时", _DETECTED),
            _number("acknowledge", "确认用时", _ACKNOWLEDGED, _SLOWEST),
            _number(
                "open",
                "未关闭事件",
                Measure(label="未关闭事件", where=(_INCIDENT, _OPEN), colour="#C8372D"),
                days=365,
            ),
            panel(
                Chart.BARS,
                "levels",
                "预警（每天，按级别）",
                (28, 13),
                asked(
                    Terms(field="level", size=5),
                    Time(),
                    of=(Measure(label="预警"),),
                    where=(*_ALERT, _TOLD),
                    events=True,
                ),
                note="新预警、升级和新高；恢复不计",
                colours="level",
            ),
            panel(
                Chart.DONUT,
                "statuses",
                "事件状态",
                (20, 13),
                asked(
                    Terms(field="incident.status", size=6),
                    of=(Measure(label="事件"),),
                    where=(_INCIDENT,),
                    events=True,
                ),
                colours="status",
            ),
            panel(
                Chart.TABLE,
                "by-level",
                "各级别处置用时",
                (24, 11),
                asked(Terms(field="level", size=5), of=_BY_LEVEL, where=(_INCIDENT,), events=True),
            ),
            panel(
                Chart.BARS,
                "deliveries",
                "通知投递（每天）",
                (24, 11),
                asked(
                    Terms(field="delivery.state", size=4),
                    Time(),
                    of=(Measure(label="投递"),),
                    where=(_DELIVERY,),
                    events=True,
                ),
                colours="delivery",
            ),
            Posts(id="incidents", search="incidents", height=12),
            Posts(id="alert-list", search="alerts", height=12),
        ),
    )


def _number(id_: str, title: str, *measures: Measure, days: int = 0) -> Panel:
    return panel(Chart.METRIC, id_, title, (12, 6), asked(of=measures, events=True), days=days)
