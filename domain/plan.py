"""Response plans (预案) and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.alert import Level


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanTask:
    """One step of a plan."""

    id: str
    """Unique in its plan, kebab-case."""
    title: str
    role: str
    """One of the roles of ``config/plans`` (值班指挥, 新闻发言人, …)."""
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
    verified_at: str
    """ISO date on which a person last checked the source."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A response plan for one crisis topic."""

    id: str
    name: str
    level: Level
    """Level from which it is proposed."""
    version: str
    goal: str
    tasks: tuple[PlanTask, ...]
    clocks: tuple[LegalClock, ...] = ()
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
