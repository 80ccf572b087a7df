"""Started plans and their tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from domain.incident import TimelineEvent
from domain.plan import PlanRun, TaskRun, TaskStatus
from store.codec import decode, document
from store.ledger.engine import Handle, insert_new
from store.ledger.incidents import append
from store.ledger.tables import plan_runs, tasks


class SqlPlanRuns:
    """See ``store.ledger.PlanRuns``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def start(self, run: PlanRun, event: TimelineEvent) -> bool:
        """Store a run with its tasks; False when this plan already runs for this incident."""
        row = {
            "id": run.id,
            "incident": run.incident,
            "plan": run.plan,
            "version": run.version,
            "started_at": run.started_at,
            "started_by": run.started_by,
            "frozen": run.frozen,
        }
        with self._handle.write() as connection:
            if not insert_new(connection, plan_runs, row):
                return False
            _add(connection, run.id, run.tasks)
            append(connection, event)
            return True

    def find(self, *, incident: str = "") -> list[PlanRun]:
        """Newest first, with their tasks."""
        statement = select(plan_runs).order_by(plan_runs.c.started_at.desc(), plan_runs.c.id)
        if incident:
            statement = statement.where(plan_runs.c.incident == incident)
        with self._handle.read() as connection:
            return [
                PlanRun(**row, tasks=_tasks(connection, row["id"]))
                for row in connection.execute(statement).mappings().all()
            ]

    def set_task(self, task: TaskRun, *, expect: TaskStatus, event: TimelineEvent) -> bool:
        """Change a task if its status is the one expected."""
        with self._handle.write() as connection:
            done = connection.execute(
                update(tasks)
                .where(
                    tasks.c.run == task.run,
                    tasks.c.task == task.task,
                    tasks.c.status == TaskStatus(expect).value,
                )
                .values(status=task.status.value, body=document(task))
            )
            if done.rowcount == 1:
                append(connection, event)
            return done.rowcount == 1

    def add_tasks(self, run: str, new: Sequence[TaskRun], event: TimelineEvent) -> int:
        """Append tasks (a level rose); those already there stay; returns how many were added."""
        with self._handle.write() as connection:
            added = _add(connection, run, new)
            if added:
                append(connection, event)
            return added


def _add(connection: Connection, run: str, new: Sequence[TaskRun]) -> int:
    # One at a time a run: positions are never given twice.
    connection.execute(select(plan_runs.c.id).where(plan_runs.c.id == run).with_for_update())
    last = connection.execute(
        select(func.coalesce(func.max(tasks.c.position), 0)).where(tasks.c.run == run)
    ).scalar_one()
    return sum(
        insert_new(connection, tasks, {**_row(task), "run": run, "position": position})
        for position, task in enumerate(new, last + 1)
    )


def _row(task: TaskRun) -> dict[str, Any]:
    return {"task": task.task, "status": task.status.value, "body": document(task)}


def _tasks(connection: Connection, run: str) -> tuple[TaskRun, ...]:
    statement = select(tasks.c.body).where(tasks.c.run == run).order_by(tasks.c.position, tasks.c.task)
    return tuple(decode(TaskRun, body) for body in connection.execute(statement).scalars())
