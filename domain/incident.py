"""An incident: what people do about one or more alerts of a brand and topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.alert import Level


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
