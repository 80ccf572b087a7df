"""Starting a plan, its frozen copy, and tasks that a rise appends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from config.environment import shipped
from config.load import load
from domain.alert import Change, Level
from domain.errors import InputError
from domain.incident import IncidentStatus
from domain.local_time import said
from domain.plan import TaskStatus
from response import plans as running
from response.incidents import Desk
from tests.response.conftest import PLAN, T0, plan_for

HOUR = timedelta(hours=1)


def test_starting_freezes_the_plan_and_sets_the_due_times(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    run = desk.start_plan(incident.id, "", actor="王芳", now=T0 + HOUR)
    assert (run.plan, run.version, run.started_by) == ("usury", "3", "王芳")
    assert [(t.task, t.due_at - T0 - HOUR, t.status) for t in run.tasks] == [
        ("acknowledge", timedelta(minutes=5), TaskStatus.OPEN),
        ("verify", timedelta(minutes=15), TaskStatus.OPEN),
    ]
    stored = ledger.incidents.get(incident.id)
    assert (stored.status, stored.owner) == (IncidentStatus.RESPONDING, "王芳")
    assert json.loads(json.dumps(run.frozen)) == running.freeze(PLAN)
    assert [e.kind for e in ledger.incidents.timeline(incident.id)] == [
        "opened",
        "responding",
        "plan_started",
    ]
    assert ledger.audit.last()[0].action == "start_plan"


def test_rise_appends_tasks_due_from_then_and_deletes_none(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    run = desk.start_plan(incident.id, "usury", actor="王芳", now=T0)
    done = replace(run.tasks[0], status=TaskStatus.DONE, done_at=T0)
    event = ledger.incidents.timeline(incident.id)[-1]
    assert ledger.plan_runs.set_task(done, expect=TaskStatus.OPEN, event=replace(event, kind="task_done"))
    risen = alert(level=Level.ORANGE, change=Change.ESCALATED)
    for _ in range(2):
        desk.on_alert(risen, now=T0 + HOUR)
    desk.on_alert(alert(level=Level.RED, change=Change.ESCALATED), now=T0 + 2 * HOUR)
    (run,) = ledger.plan_runs.find(incident=incident.id)
    assert [(t.task, t.due_at - T0) for t in run.tasks] == [
        ("acknowledge", timedelta(minutes=5)),
        ("verify", timedelta(minutes=15)),
        ("refund", HOUR + timedelta(minutes=60)),
        ("stop", 2 * HOUR + timedelta(minutes=30)),
    ]
    assert run.tasks[0].status is TaskStatus.DONE
    kinds = [e.kind for e in ledger.incidents.timeline(incident.id)]
    assert kinds.count("tasks_added") == 2


def test_a_later_edit_of_the_plan_does_not_change_the_run(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    desk.start_plan(incident.id, "usury", actor="王芳", now=T0)
    edited = replace(PLAN, version="4", tasks=PLAN.tasks[:1])
    later = Desk(ledger=ledger, plans={"usury": edited}, plan_for=plan_for)
    later.on_alert(alert(level=Level.RED, change=Change.ESCALATED), now=T0 + HOUR)
    (run,) = ledger.plan_runs.find(incident=incident.id)
    assert run.version == "3"
    assert [t.task for t in run.tasks] == ["acknowledge", "verify", "refund", "stop"]


def test_a_plan_starts_once_and_must_exist(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    desk.start_plan(incident.id, "usury", actor="王芳", now=T0)
    with pytest.raises(InputError, match="已经启动过预案 usury"):
        desk.start_plan(incident.id, "usury", actor="李雷", now=T0)
    with pytest.raises(InputError, match="没有预案 usurry"):
        desk.start_plan(incident.id, "usurry", actor="李雷", now=T0)
    with pytest.raises(InputError, match="没有事件"):
        desk.start_plan("INC-1", "usury", actor="李雷", now=T0)
    desk.start_plan(incident.id, "fraud", actor="李雷", now=T0)
    assert {run.plan for run in ledger.plan_runs.find(incident=incident.id)} == {"usury", "fraud"}
    other = desk.on_alert(alert("b1", topics=("rumor",)), now=T0)
    with pytest.raises(InputError, match="没有建议的预案"):
        desk.start_plan(other.id, "", actor="李雷", now=T0)


def test_every_shipped_plan_can_run_at_every_level(alert, ledger) -> None:
    settings = load(shipped())
    desk = Desk(ledger=ledger, plans=settings.plans, plan_for=settings.plan_for)
    for topic in settings.topics:
        incident = desk.on_alert(alert(topic.id, topics=(topic.id,)), now=T0)
        assert incident.plan == topic.plan
        run = desk.start_plan(incident.id, "", actor="王芳", now=T0)
        counts = [len(run.tasks)]
        for level in (Level.ORANGE, Level.RED):
            desk.on_alert(
                alert(topic.id, topics=(topic.id,), level=level, change=Change.ESCALATED), now=T0 + HOUR
            )
            counts.append(len(ledger.plan_runs.find(incident=incident.id)[0].tasks))
        assert counts[0] >= 8 and counts[0] < counts[1] <= counts[2] == len(settings.plans[topic.plan].tasks)
        assert running.frozen_tasks(run.frozen) == settings.plans[topic.plan].tasks


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(5, "5 分钟"), (60, "1 小时"), (90, "90 分钟"), (1440, "24 小时"), (4320, "3 天"), (4380, "73 小时")],
)
def test_time_limits_are_said_as_people_say_them(minutes: int, words: str) -> None:
    assert said(minutes) == words
