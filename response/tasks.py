"""Tasks of a started plan: done, with what proves it, or open again. Also after the incident's end (复盘)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from domain.errors import InputError
from domain.incident import TimelineEvent
from domain.plan import PlanRun, TaskRun, TaskStatus
from response.plans import frozen_tasks
from store.ledger import AuditEntry, Ledger


def finish(
    ledger: Ledger, run_id: str, task_id: str, *, actor: str, evidence: str, reason: str, now: datetime
) -> TaskRun:
    """Mark a task done. ``run_id``: a run's id, or its incident's when that has one run.

    Raises ``InputError`` for an unknown run or task, one that is done already, or one without the evidence
    that its plan asks for.
    """
    run, task = _find(ledger, run_id, task_id)
    wanted = next((step.evidence for step in frozen_tasks(run.frozen) if step.id == task.task), "")
    if wanted and not evidence.strip():
        raise InputError(f"任务 {task.task} 要用 --evidence 写明凭证：{wanted}")
    after = replace(task, status=TaskStatus.DONE, assignee=actor, evidence=evidence, done_at=now)
    return _set(ledger, run, task, after, "task_done", actor=actor, reason=reason, now=now)


def reopen(ledger: Ledger, run_id: str, task_id: str, *, actor: str, reason: str, now: datetime) -> TaskRun:
    """Take a tick back; the timeline keeps both. Raises ``InputError`` when it is not done, or without a reason."""
    if not reason.strip():
        raise InputError("需要写明原因")
    run, task = _find(ledger, run_id, task_id)
    after = replace(task, status=TaskStatus.OPEN, assignee="", evidence="", done_at=None)
    return _set(ledger, run, task, after, "task_reopened", actor=actor, reason=reason, now=now)


def _find(ledger: Ledger, run_id: str, task_id: str) -> tuple[PlanRun, TaskRun]:
    incident = run_id.partition("/")[0]
    runs = [run for run in ledger.plan_runs.find(incident=incident) if run_id in (run.id, run.incident)]
    if not runs:
        raise InputError(f"没有已启动的预案 {run_id}")
    if len(runs) > 1:
        raise InputError(f"事件 {run_id} 启动了多份预案，请写明哪一份：{'、'.join(run.id for run in runs)}")
    run = runs[0]
    task = next((task for task in run.tasks if task.task == task_id), None)
    if task is None:
        raise InputError(f"{run.id} 没有任务 {task_id}；有：{'、'.join(task.task for task in run.tasks)}")
    return run, task


def _set(
    ledger: Ledger,
    run: PlanRun,
    before: TaskRun,
    after: TaskRun,
    kind: str,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> TaskRun:
    told = "；".join(part for part in (before.title, after.evidence, reason) if part)
    event = TimelineEvent(
        incident=run.incident,
        at=now,
        actor=actor,
        kind=kind,
        reason=told,
        before={"task": before.status.value},
        after={"task": after.status.value, "plan": run.plan, "id": after.task},
    )
    unchanged = before.status is after.status
    if unchanged or not ledger.plan_runs.set_task(after, expect=before.status, event=event):
        raise InputError(f"任务 {before.task} 已经是这个状态，或刚被别人改过")
    ledger.audit.record(
        AuditEntry(at=now, actor=actor, action=kind, subject=f"{run.id}/{after.task}", reason=told)
    )
    return after
