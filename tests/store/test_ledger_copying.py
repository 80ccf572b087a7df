"""A ledger moved to the other kind of database, interrupted or not, is the same ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

import store.ledger.copying
from domain.alert import AlertState
from domain.assessment import Sentiment
from domain.correction import Correction
from domain.errors import InputError, StoreError
from domain.incident import TimelineEvent
from domain.plan import PlanRun, TaskRun
from domain.source_run import Outcome, SourceRun
from store.ledger import SCHEDULER, AuditEntry, Ledger, Silence, open_ledger
from store.ledger.copying import copy
from store.ledger.tables import plan_runs

HOUR = timedelta(hours=1)


@pytest.fixture
def new_ledger(new_ledger_database: Callable[[], str], tmp_path: Path) -> Iterator[Callable[[str], Ledger]]:
    opened: list[Ledger] = []

    def make(backend: str) -> Ledger:
        url = f"sqlite:///{tmp_path}/{len(opened)}.db" if backend == "sqlite" else new_ledger_database()
        opened.append(open_ledger(url))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def source(request, new_ledger) -> Ledger:
    return new_ledger(request.param)


@pytest.fixture
def target(source: Ledger, new_ledger) -> Ledger:
    """Of the other kind than the source."""
    return new_ledger("postgresql" if source.handle.dialect == "sqlite" else "sqlite")


def fill(ledger: Ledger, alert, incident, notification, now) -> None:
    """Something in every table, more than a batch where rows are numbered or ordered by text."""
    ledger.states.save(
        "baseline", {f"é{n}中\U0001d4b3": {"x": [n, 0.1, 1e300, None, "末\x00"]} for n in range(7)}
    )
    for n in range(9):
        ledger.alerts.put(alert(f"a{n}", at=now + n * HOUR + timedelta(microseconds=n)))
    ledger.alerts.put(alert("a1", revision=2, state=AlertState.RESOLVED))
    ledger.alerts.handled(alert("a1"), at=now)
    ledger.outbox.enqueue([notification(f"n{n}", body=bytes(range(256)) * 9) for n in range(23)])
    ledger.outbox.lease(5, now=now, lease=HOUR)
    ledger.outbox.sent("n1", at=now)
    opened = ledger.incidents.open(*incident())
    event = TimelineEvent(incident=opened.id, at=now, actor="李", kind="note", reason="一\n二")
    for _ in range(11):
        ledger.incidents.note(event)
    task = TaskRun(run="r1", task="t", title="t", role="值班指挥", due_at=now)
    run = PlanRun(
        id="r1", incident=opened.id, plan="p", version="1", started_at=now, started_by="李", frozen={"z": 1, "a": 2},
        tasks=(task, replace(task, task="u")),
    )  # fmt: skip
    assert ledger.plan_runs.start(run, event)
    ledger.silences.add(
        Silence(id="s", brand="", topic="", starts_at=now, ends_at=now + HOUR, created_by="李", reason="演练")
    )
    ledger.corrections.put([Correction(post="p1", text="t", at=now, by="王", sentiment=Sentiment.NEUTRAL)])
    for n in range(12):
        ledger.source_runs.record(
            SourceRun(source=f"x{n % 2}", started_at=now, ended_at=now, outcome=Outcome.EMPTY, found=n)
        )
        ledger.audit.record(AuditEntry(at=now, actor="李", action="ack", subject=str(n)))
    ledger.source_runs.mark("x", {f"k{n}": str(n) for n in range(450)}, at=now)


def answers(ledger: Ledger, now) -> list[object]:
    """Questions over every table."""
    incidents = ledger.incidents.find()
    return [
        ledger.states.load("baseline"), ledger.alerts.find(), ledger.alerts.pending(), ledger.outbox.find(), incidents,
        [ledger.incidents.timeline(each.id) for each in incidents], ledger.plan_runs.find(), ledger.silences.all(),
        ledger.corrections.all(), ledger.source_runs.last(), ledger.source_runs.history("x0"), ledger.audit.last(),
        ledger.source_runs.seen("x", [f"k{n}" for n in range(450)]), ledger.signals.since(now),
        ledger.outbox.lease(99, now=now, lease=HOUR),
    ]  # fmt: skip


@pytest.fixture
def filled(source: Ledger, alert, incident, notification, now) -> Ledger:
    fill(source, alert, incident, notification, now)
    return source


def test_every_answer_is_the_same_and_numbering_goes_on(
    filled: Ledger, target: Ledger, now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.ledger.copying, "BATCH", 5)
    said: list[tuple[str, int, int]] = []
    done = copy(filled, target, say=lambda *words: said.append(words))
    assert {each.table: each.rows for each in done} == {
        "states": 7, "signals": 0, "alerts": 9, "alert_revisions": 10, "outbox": 23, "incidents": 1, "timeline": 13,
        "plan_runs": 1, "tasks": 2, "silences": 1, "corrections": 1, "source_runs": 12, "seen": 450, "audit": 13,
    }  # fmt: skip
    assert ("seen", 450, 450) in said
    assert answers(target, now) == answers(filled, now)
    assert all(finding.ok for finding in target.examine())
    target.audit.record(AuditEntry(at=now, actor="王", action="ack", subject="new"))
    assert [each.subject for each in target.audit.last(2)] == ["new", "11"]
    with pytest.raises(InputError, match="不是空的"):
        copy(filled, target)


def test_a_copy_that_was_killed_goes_on_where_it_was(
    filled: Ledger, target: Ledger, now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.ledger.copying, "BATCH", 5)
    batches = 0

    class Killed(BaseException):
        pass

    def say(table: str, done: int, total: int) -> None:
        nonlocal batches
        batches += 1
        if table == "seen" and done == 200:
            raise Killed

    with pytest.raises(Killed):
        copy(filled, target, say=say)
    first: dict[str, int] = {}
    copy(filled, target, say=lambda table, done, total: first.setdefault(table, done))
    assert first["seen"] == 205
    assert answers(target, now) == answers(filled, now)


def test_a_source_that_changed_meanwhile_is_noticed_and_copied_by_the_next_call(
    filled: Ledger, target: Ledger, now
) -> None:
    calls: Counter[str] = Counter()

    def say(table: str, done: int, total: int) -> None:
        calls[table] += 1
        # The second time it is compared: all are copied, and those after it are not yet compared.
        if (table, calls[table]) == ("alerts", 2):
            filled.states.save("late", {"x": {}})
            with filled.handle.write() as connection:
                connection.execute(update(plan_runs).values(version="2"))
            filled.plan_runs.set_task(
                replace(filled.plan_runs.find()[0].tasks[0], assignee="王"),
                expect=filled.plan_runs.find()[0].tasks[0].status,
                event=TimelineEvent(incident="x", at=now, actor="王", kind="task"),
            )

    with pytest.raises(StoreError, match=r"plan_runs、.*states.*再运行一次") as caught:
        copy(filled, target, say=say)
    assert not caught.value.permanent
    copy(filled, target)
    assert answers(target, now) == answers(filled, now)


def test_a_target_or_source_in_use_is_refused(filled: Ledger, target: Ledger, new_ledger) -> None:
    with pytest.raises(InputError, match="同一个"):
        copy(filled, filled)
    for busy in (filled, target):
        lease = busy.leases.take(SCHEDULER, holder="h 进程 1", place="", seconds=99, gone=lambda place: False)
        assert lease
        with pytest.raises(InputError, match="h 进程 1"):
            copy(filled, target)
        busy.leases.release(lease)
    copy(filled, target)
    other = new_ledger("sqlite")
    other.states.save("x", {"y": {}})
    with pytest.raises(InputError, match="不是空的"):
        copy(filled, other)


def test_a_copy_of_another_source_is_not_mixed_with_this_one(
    filled: Ledger, target: Ledger, new_ledger, now
) -> None:
    class Killed(BaseException):
        pass

    def die(table: str, done: int, total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        copy(filled, target, say=die)
    other = new_ledger("sqlite")
    with pytest.raises(InputError, match="另一次"):
        copy(other, target)
