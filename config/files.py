"""The shape of each file of ``config/`` as a whole; the shapes inside are in ``config.settings``."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.settings import Brand, Frozen, Id, LevelName, Route, Source, Topic
from domain.alert import Level
from domain.plan import ROLES, LegalClock, Plan, PlanTask

Text = Annotated[str, Field(min_length=1)]
DueMinutes = Annotated[int, Field(ge=0, le=60 * 24 * 90)]


def _role(value: str) -> str:
    if value not in ROLES:
        raise ValueError("unknown role")
    return value


def _iso_date(value: str) -> str:
    date.fromisoformat(value)
    return value


class BrandsFile(Frozen):
    """``brands.yaml``."""

    brands: tuple[Brand, ...] = Field(min_length=1)


class SourcesFile(Frozen):
    """``sources.yaml``."""

    sources: tuple[Source, ...] = ()


class TopicsFile(Frozen):
    """``topics.yaml``."""

    topics: tuple[Topic, ...] = Field(min_length=1)


class RoutesFile(Frozen):
    """``routes.yaml``."""

    routes: tuple[Route, ...] = Field(min_length=1)


class TaskEntry(Frozen):
    """One task of a plan file."""

    id: Id
    """Unique in its plan."""
    title: Text
    """What to do, as an order."""
    role: Annotated[str, AfterValidator(_role)]
    """Who does it: one of ``domain.plan.ROLES``."""
    due_min: DueMinutes
    """Minutes after the plan's start by which it must be done."""
    detail: str = ""
    """How, in a sentence or three."""
    from_level: LevelName = "blue"
    """Only at this level or above; a rise appends it later."""
    evidence: str = ""
    """What proves it done; empty: a tick is enough."""

    def noun(self) -> PlanTask:
        """The same as a domain noun."""
        return PlanTask(
            id=self.id,
            title=self.title,
            role=self.role,
            due_min=self.due_min,
            detail=self.detail,
            from_level=Level.of(self.from_level),
            evidence=self.evidence,
        )


class ClockEntry(Frozen):
    """One duty to report of a plan file; counsel must confirm it."""

    name: Text
    """The report, as people call it."""
    due_min: Annotated[int, Field(gt=0, le=60 * 24 * 90)]
    """Minutes from the trigger."""
    trigger: Text
    """What starts the clock."""
    source: Text
    """Law or rule, with its article or date."""
    verified_at: Annotated[str, AfterValidator(_iso_date)] | None = None
    """ISO date on which it was compared with the text of the law itself; null: never."""
    confirmed_by: str = ""
    """Counsel who confirmed it; empty: not confirmed yet."""

    def noun(self) -> LegalClock:
        """The same as a domain noun."""
        return LegalClock(**self.model_dump())


class PlanFile(Frozen):
    """``plans/<topic>.yaml``."""

    id: Id
    """The file's name without ``.yaml``."""
    name: Text
    """Shown to people."""
    level: LevelName
    """Level the plan is written for: how grave this topic is by default."""
    propose_from: Literal["yellow", "orange", "red"] = "yellow"
    """Incidents of the topic at this level or above are proposed the plan."""
    version: Text
    """Changed by whoever edits the plan; a started run keeps its own copy."""
    goal: Text
    """What success looks like."""
    strategy: Text
    """Responsibility cluster and what follows for the tone."""
    statement: Text
    """Holding statement with {placeholders}: no cause, guess or blame."""
    tasks: tuple[TaskEntry, ...] = Field(min_length=1)
    clocks: tuple[ClockEntry, ...] = ()
    close_when: tuple[Text, ...] = Field(min_length=1)
    """All must hold before the incident is closed."""

    def noun(self) -> Plan:
        """The same as a domain noun."""
        return Plan(
            id=self.id,
            name=self.name,
            level=Level.of(self.level),
            propose_from=Level.of(self.propose_from),
            version=self.version,
            goal=self.goal,
            strategy=self.strategy,
            statement=self.statement.strip(),
            tasks=tuple(task.noun() for task in self.tasks),
            clocks=tuple(clock.noun() for clock in self.clocks),
            close_when=self.close_when,
        )
