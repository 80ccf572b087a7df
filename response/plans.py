"""Plans as they run: a frozen copy, and tasks with due times. Pure: nothing here touches the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, cast

from domain.alert import Level
from domain.plan import Plan, PlanRun, PlanTask, TaskRun


def freeze(plan: Plan) -> dict[str, object]:
    """The whole plan as JSON values; ``frozen_tasks`` reads its tasks back."""
    return cast(dict[str, object], _plain(asdict(plan)))


def _plain(value: object) -> object:
    """A value of a dataclass as JSON has it; levels become their names."""
    if isinstance(value, Level):
        return value.id
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def frozen_tasks(frozen: Mapping[str, object]) -> tuple[PlanTask, ...]:
    """The tasks of a frozen copy, as the plan listed them."""
    entries = cast("list[dict[str, Any]]", frozen["tasks"])
    return tuple(PlanTask(**{**entry, "from_level": Level.of(entry["from_level"])}) for entry in entries)


def due(tasks: Iterable[PlanTask], *, run: str, level: Level, now: datetime) -> tuple[TaskRun, ...]:
    """What is to be done at a level, due from ``now``."""
    return tuple(
        TaskRun(
            run=run,
            task=task.id,
            title=task.title,
            role=task.role,
            due_at=now + timedelta(minutes=task.due_min),
        )
        for task in tasks
        if task.from_level <= level
    )


def started(plan: Plan, *, incident: str, level: Level, actor: str, now: datetime) -> PlanRun:
    """A run of a plan for an incident at a level. One plan runs at most once for an incident."""
    run = f"{incident}/{plan.id}"
    return PlanRun(
        id=run,
        incident=incident,
        plan=plan.id,
        version=plan.version,
        started_at=now,
        started_by=actor,
        frozen=freeze(plan),
        tasks=due(plan.tasks, run=run, level=level, now=now),
    )


def missing(run: PlanRun, *, level: Level, now: datetime) -> tuple[TaskRun, ...]:
    """Tasks of the frozen copy that a level asks for and the run does not have yet, due from ``now``."""
    have = {task.task for task in run.tasks}
    wanted = due(frozen_tasks(run.frozen), run=run.id, level=level, now=now)
    return tuple(task for task in wanted if task.task not in have)
