"""Response plans (预案) and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from domain.alert import Level

ROLES = (
    "总指挥",
    "值班指挥",
    "新闻发言人",
    "法务合规",
    "监管联络",
    "客服负责人",
    "IT/安全",
    "资金/业务",
    "舆情分析",
    "记录员",
    "人力/行政",
)
"""Who can own a task; 总指挥 declares and approves, 值班指挥 runs the clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanTask:
    """One step of a plan."""

    id: str
    """Unique in its plan, kebab-case."""
    title: str
    role: str
    """One of ``ROLES``."""
    due_min: int
    """Minutes after the plan is started by which it must be done."""
    detail: str = ""
    """How, in a sentence or three."""
    from_level: Level = Level.BLUE
    """Only at this level or above."""
    evidence: str = ""
    """What proves it done; empty when a tick is enough."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LegalClock:
    """A duty to report that may start; to be confirmed by counsel."""

    name: str
    due_min: int
    trigger: str
    source: str
    """Law or rule, article."""
    verified_at: str | None = None
    """ISO date on which it was compared with the text of the law itself; None: never (未核实)."""
    confirmed_by: str = ""
    """The counsel who confirmed it; empty: not confirmed yet (待法务确认)."""

    @property
    def standing(self) -> str:
        """How far it can be relied on, as people read it; shown wherever the clock is."""
        verified = f"{self.verified_at} 核实" if self.verified_at else "未核实"
        return f"{verified}，{self.confirmed_by}已确认" if self.confirmed_by else f"{verified}，待法务确认"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A response plan for one crisis topic."""

    id: str
    name: str
    level: Level
    """Level the plan is written for: how grave this topic is by default."""
    version: str
    goal: str
    tasks: tuple[PlanTask, ...]
    clocks: tuple[LegalClock, ...] = ()
    propose_from: Level = Level.YELLOW
    """Any incident of its topic at this level or above is proposed the plan."""
    strategy: str = ""
    """Responsibility cluster (victim, accident, preventable) and what follows for the tone."""
    statement: str = ""
    """Holding statement with {placeholders}; no cause, guess or blame."""
    close_when: tuple[str, ...] = ()


class TaskStatus(StrEnum):
    """Life of a task."""

    OPEN = "open"
    DONE = "done"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRun:
    """A task of a started plan."""

    run: str
    task: str
    """PlanTask.id."""
    title: str
    role: str
    due_at: datetime
    status: TaskStatus = TaskStatus.OPEN
    assignee: str = ""
    evidence: str = ""
    done_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRun:
    """A plan started for an incident: holds a frozen copy of what the plan said then."""

    id: str
    incident: str
    plan: str
    version: str
    started_at: datetime
    started_by: str
    frozen: dict[str, object] = field(default_factory=dict)
    """The whole plan as JSON values at the start; later edits of the file do not change it."""
    tasks: tuple[TaskRun, ...] = ()

    @property
    def name(self) -> str:
        """The plan's name, as it was at the start."""
        return str(self.frozen.get("name", self.plan))

    @property
    def clocks(self) -> tuple[LegalClock, ...]:
        """The plan's duties to report, as they were at the start."""
        return tuple(
            LegalClock(**each) for each in cast("list[dict[str, Any]]", self.frozen.get("clocks", []))
        )
