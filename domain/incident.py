"""An incident: what people do about one or more alerts of a brand and topic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.alert import Alert, Level

RULE = "rule:incidents"
"""Actor of what alerts bring about in an incident."""


class IncidentStatus(StrEnum):
    """待研判 → 已确认 → 处置中 → 稳定 → 关闭, or 误报."""

    TRIAGE = "triage"
    CONFIRMED = "confirmed"
    RESPONDING = "responding"
    STABLE = "stable"
    CLOSED = "closed"
    FALSE_ALARM = "false_alarm"

    @property
    def word(self) -> str:
        """The Chinese word people see."""
        return {
            "triage": "待研判",
            "confirmed": "已确认",
            "responding": "处置中",
            "stable": "稳定",
            "closed": "已关闭",
            "false_alarm": "误报",
        }[self.value]

    @property
    def open(self) -> bool:
        """Still in somebody's hands."""
        return self not in (IncidentStatus.CLOSED, IncidentStatus.FALSE_ALARM)


OPEN = tuple(status for status in IncidentStatus if status.open)


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """State of one incident; its history is the timeline."""

    id: str
    """Readable: ``INC-20261122-001``."""
    brand: str
    topic: str
    """Lead topic id; empty when none."""
    level: Level
    status: IncidentStatus
    opened_at: datetime
    onset: datetime
    plan: str
    """Id of the plan proposed; empty when none fits."""
    alerts: tuple[str, ...] = ()
    owner: str = ""
    """Who acknowledged it; empty while nobody has."""
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None
    version: int = 1
    """Grows with every change; changes are conditional on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineEvent:
    """Append-only: who did what to an incident, and why."""

    incident: str
    at: datetime
    actor: str
    """A person's name, or ``rule:<name>`` for an automatic step."""
    kind: str
    """opened, joined, level, acknowledged, confirmed, false_alarm, plan_started, closed, note, …"""
    reason: str = ""
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    """Position in the timeline, given by the ledger."""


def tells(timeline: Iterable[TimelineEvent], alert: Alert) -> bool:
    """The incident took this revision of the alert in, or a later one."""
    return any(
        event.actor == RULE
        and event.after.get("alert") == alert.id
        and int(event.after.get("revision", "0")) >= alert.revision
        for event in timeline
    )


def highest_told(timeline: Sequence[TimelineEvent], revisions: Iterable[Alert]) -> Level:
    """The highest level of an alert that the incident took in: what people knew of it when they ended the incident.

    Not the incident's own level, which another alert or a person may have raised.
    """
    return max((each.level for each in revisions if tells(timeline, each)), default=Level.NONE)
