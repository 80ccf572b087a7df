"""From alerts to incidents, and what people decide about them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.alert import AlertState, Change, Level
from domain.errors import InputError, StoreError
from domain.incident import RULE, Incident, IncidentStatus, TimelineEvent
from response.incidents import Desk
from response.mails import sweep
from store.ledger import Ledger, Notification, open_ledger
from tests.response.conftest import PLAN, T0, plan_for

HOUR = timedelta(hours=1)


def kinds(ledger: Ledger, incident: Incident | str) -> list[str]:
    id_ = incident if isinstance(incident, str) else incident.id
    return [event.kind for event in ledger.incidents.timeline(id_)]


@pytest.mark.parametrize(
    ("level", "opens"),
    [(Level.BLUE, False), (Level.YELLOW, True), (Level.ORANGE, True), (Level.RED, True)],
)
def test_alerts_of_yellow_and_above_open_an_incident(desk, alert, ledger, level: Level, opens: bool) -> None:
    incident = desk.on_alert(alert(level=level), now=T0)
    assert (incident is not None) == opens
    if incident is None:
        assert ledger.incidents.find() == []
        return
    assert incident.id == "INC-20261122-001"
    assert (incident.brand, incident.topic, incident.level) == ("yunqiao", "usury", level)
    assert (incident.status, incident.plan, incident.alerts) == (IncidentStatus.TRIAGE, "usury", ("a1",))
    assert incident.onset < incident.opened_at == T0
    (event,) = ledger.incidents.timeline(incident.id)
    assert (event.kind, event.actor, event.after["plan"]) == ("opened", RULE, "usury")
    assert "37 条" in event.reason


def test_operator_alerts_open_nothing(desk, alert) -> None:
    assert desk.on_alert(alert(brand="", topics=(), level=Level.RED), now=T0) is None


def test_topic_without_a_plan_opens_an_incident_without_one(desk, alert) -> None:
    incident = desk.on_alert(alert(topics=("rumor",)), now=T0)
    assert incident is not None and incident.plan == ""


def test_same_revision_again_changes_nothing(desk, alert, ledger) -> None:
    first = alert()
    one = desk.on_alert(first, now=T0)
    assert desk.on_alert(first, now=T0 + HOUR) == one
    assert kinds(ledger, one) == ["opened"]


def test_second_alert_of_brand_and_topic_joins(desk, alert, ledger) -> None:
    one = desk.on_alert(alert(), now=T0)
    two = desk.on_alert(alert("a2"), now=T0)
    assert two.id == one.id and two.alerts == ("a1", "a2")
    assert kinds(ledger, one) == ["opened", "joined"]
    assert desk.on_alert(alert("b1", brand="other"), now=T0).id != one.id
    assert desk.on_alert(alert("c1", topics=("fraud",)), now=T0).id != one.id
    assert desk.on_alert(alert("d1", level=Level.BLUE), now=T0) is None
    assert len(ledger.incidents.find()) == 3


def test_rise_is_taken_over_and_a_fall_is_not(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    risen = desk.on_alert(alert(level=Level.RED, change=Change.ESCALATED), now=T0 + HOUR)
    assert (risen.id, risen.level) == (incident.id, Level.RED)
    event = ledger.incidents.timeline(incident.id)[-1]
    assert (event.kind, event.before["level"], event.after["level"]) == ("level", "yellow", "red")
    fallen = desk.on_alert(alert(level=Level.BLUE), now=T0 + 2 * HOUR)
    assert fallen.level == Level.RED
    assert kinds(ledger, incident) == ["opened", "level", "updated"]


def test_topic_that_stands_out_later_brings_its_plan(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(topics=()), now=T0)
    assert (incident.topic, incident.plan) == ("", "")
    named = desk.on_alert(alert(topics=("usury", "fraud")), now=T0)
    assert (named.id, named.topic, named.plan) == (incident.id, "usury", "usury")
    assert kinds(ledger, incident) == ["opened", "topic"]


def test_topic_that_is_taken_leaves_the_nameless_incident_alone(desk, alert, ledger) -> None:
    usury = desk.on_alert(alert("a1"), now=T0)
    nameless = desk.on_alert(alert("a2", topics=()), now=T0)
    later = desk.on_alert(alert("a2", topics=("usury",)), now=T0)
    assert later.id == nameless.id != usury.id
    assert later.topic == ""


def test_a_topic_is_taken_however_many_incidents_of_it_have_ended_since(
    desk, alert, ledger, monkeypatch
) -> None:
    find = ledger.incidents.find
    monkeypatch.setattr(ledger.incidents, "find", lambda **asked: find(**{"limit": 2, **asked}))
    nameless = desk.on_alert(alert("a1", topics=()), now=T0)
    for number in range(3):
        ended = desk.on_alert(alert(f"e{number}"), now=T0 + HOUR)
        desk.close(ended.id, actor="王芳", reason="已平息", now=T0 + HOUR)
    assert desk.on_alert(alert("a1"), now=T0 + HOUR).topic == "usury"
    other = desk.on_alert(alert("a2", topics=()), now=T0 + 2 * HOUR)
    later = desk.on_alert(alert("a2"), now=T0 + 2 * HOUR)
    assert later.id == other.id != nameless.id
    assert later.topic == ""


def test_recovery_is_noted_once(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    recovered = alert(level=Level.BLUE, change=Change.RECOVERED)
    for _ in range(3):
        assert desk.on_alert(recovered, now=T0 + HOUR).status is IncidentStatus.TRIAGE
    assert kinds(ledger, incident) == ["opened", "recovered"]
    assert desk.on_alert(alert("a9", change=Change.RECOVERED), now=T0) is None


def test_acknowledging_names_the_owner_and_quiets_the_alerts(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    taken = desk.acknowledge(incident.id, actor="王芳", reason="我来", now=T0 + HOUR)
    assert (taken.owner, taken.acknowledged_at, taken.status) == ("王芳", T0 + HOUR, IncidentStatus.TRIAGE)
    assert ledger.alerts.get("a1").state is AlertState.ACKNOWLEDGED
    assert desk.acknowledge(incident.id, actor="王芳", now=T0 + 2 * HOUR) == taken
    handed = desk.acknowledge(incident.id, actor="李雷", now=T0 + 2 * HOUR)
    assert (handed.owner, handed.acknowledged_at) == ("李雷", T0 + HOUR)
    event = ledger.incidents.timeline(incident.id)[-1]
    assert (event.kind, event.actor, event.before, event.after) == (
        "acknowledged",
        "李雷",
        {"owner": "王芳"},
        {"owner": "李雷"},
    )
    assert [(e.actor, e.action, e.subject) for e in ledger.audit.last()] == [
        ("李雷", "acknowledge", incident.id),
        ("王芳", "acknowledge", incident.id),
    ]


def test_confirm_then_close(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    confirmed = desk.confirm(incident.id, actor="王芳", reason="核实了 20 条", now=T0)
    assert (confirmed.status, confirmed.owner) == (IncidentStatus.CONFIRMED, "王芳")
    assert desk.confirm(incident.id, actor="李雷", now=T0) == confirmed
    closed = desk.close(incident.id, actor="王芳", reason="已平息", now=T0 + HOUR)
    assert (closed.status, closed.closed_at) == (IncidentStatus.CLOSED, T0 + HOUR)
    event = ledger.incidents.timeline(incident.id)[-1]
    assert (event.kind, event.reason, event.before, event.after) == (
        "closed",
        "已平息",
        {"status": "confirmed"},
        {"status": "closed"},
    )


@pytest.mark.parametrize("decide", ["acknowledge", "confirm", "false_alarm", "close"])
def test_nothing_changes_after_the_end(desk, alert, ledger, decide: str) -> None:
    incident = desk.on_alert(alert(), now=T0)
    desk.close(incident.id, actor="王芳", reason="完", now=T0)
    before = ledger.incidents.timeline(incident.id)
    with pytest.raises(InputError, match="已结束（已关闭）"):
        getattr(desk, decide)(incident.id, actor="李雷", reason="再来", now=T0)
    with pytest.raises(InputError, match="已结束"):
        desk.start_plan(incident.id, "usury", actor="李雷", now=T0)
    with pytest.raises(InputError, match="没有事件 INC-1"):
        getattr(desk, decide)("INC-1", actor="李雷", reason="?", now=T0)
    assert ledger.incidents.timeline(incident.id) == before


@pytest.mark.parametrize("decide", ["false_alarm", "close"])
@pytest.mark.parametrize("reason", ["", "  "])
def test_an_end_needs_a_reason(desk, alert, ledger, decide: str, reason: str) -> None:
    incident = desk.on_alert(alert(), now=T0)
    with pytest.raises(InputError, match="原因"):
        getattr(desk, decide)(incident.id, actor="王芳", reason=reason, now=T0)
    assert ledger.incidents.get(incident.id) == incident


def test_false_alarm_stays_quiet_until_the_level_rises(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(level=Level.ORANGE), now=T0)
    ended = desk.false_alarm(incident.id, actor="王芳", reason="旧闻", now=T0)
    assert ended.status is IncidentStatus.FALSE_ALARM and not ended.status.open
    assert ledger.alerts.get("a1").state is AlertState.ACKNOWLEDGED
    assert desk.on_alert(alert(level=Level.ORANGE), now=T0 + HOUR) is None
    assert desk.on_alert(alert(level=Level.BLUE, change=Change.RECOVERED), now=T0 + HOUR) is None
    assert len(ledger.incidents.find()) == 1
    fresh = desk.on_alert(alert(level=Level.RED, change=Change.ESCALATED), now=T0 + 2 * HOUR)
    assert fresh.id != incident.id and fresh.status is IncidentStatus.TRIAGE
    assert desk.on_alert(ledger.alerts.get("a1"), now=T0 + 2 * HOUR) == fresh


@pytest.mark.parametrize("raised_by", ["a person", "another alert"])
def test_a_false_alarm_covers_what_its_alert_had_reached_not_what_the_incident_had(
    desk, alert, ledger, raised_by: str
) -> None:
    if raised_by == "a person":
        incident = desk.on_alert(alert(), now=T0)
        desk.declare(incident.id, Level.RED, actor="李总", reason="先按红色准备", now=T0)
    else:
        incident = desk.on_alert(alert("a0", level=Level.RED), now=T0)
        assert desk.on_alert(alert(), now=T0).id == incident.id
    desk.false_alarm(incident.id, actor="王芳", reason="旧闻", now=T0 + HOUR)
    assert desk.on_alert(alert(level=Level.YELLOW), now=T0 + HOUR) is None
    fresh = desk.on_alert(alert(level=Level.ORANGE), now=T0 + 2 * HOUR)
    assert fresh is not None and fresh.id != incident.id


def test_news_after_the_close_is_a_new_incident_but_old_news_is_not(desk, alert, ledger) -> None:
    opened, updated = alert(), alert(minutes=5)
    incident = desk.on_alert(opened, now=T0)
    desk.on_alert(updated, now=T0)
    desk.close(incident.id, actor="王芳", reason="完", now=T0 + HOUR)
    assert desk.on_alert(opened, now=T0 + HOUR) is None
    assert desk.on_alert(updated, now=T0 + HOUR) is None
    fresh = desk.on_alert(alert(minutes=90), now=T0 + 2 * HOUR)
    assert fresh is not None and fresh.id != incident.id


def mail(ledger: Ledger, id_: str, incident: str, **fields: object) -> None:
    row = Notification(
        id=id_,
        channel="email",
        recipient="pr@example.com",
        subject="s",
        body=b"b",
        alert="a1",
        revision=1,
        incident=incident,
        route="r",
        created_at=T0,
        not_before=T0 + 9 * HOUR,
    )
    assert ledger.outbox.enqueue([replace(row, **fields)]) == 1


def test_false_alarm_takes_back_the_mails_that_wait(desk, alert, ledger) -> None:
    """Quiet hours hold mails until the morning: those of a false alarm are not sent then."""
    incident = desk.on_alert(alert(), now=T0)
    other = desk.on_alert(alert("b1", topics=("fraud",)), now=T0)
    mail(ledger, "m1", incident.id)
    mail(ledger, "m2", other.id)
    mail(ledger, "m3", incident.id, recipient="lead@example.com")
    mail(ledger, "m4", other.id, recipient="lead@example.com", state="dropped", error="grouped:m3")
    mail(ledger, "m5", incident.id, revision=2)
    mail(ledger, "m7", incident.id, alert="a2", state="dropped", error="grouped:m5")
    desk.false_alarm(incident.id, actor="王芳", reason="旧闻", now=T0)
    waiting = {row.id for row in ledger.outbox.find(state="waiting")}
    assert waiting == {"m2", "m3"}, "m3 also tells of the other incident"


def test_killed_before_its_mails_were_taken_back_a_false_alarm_still_sends_none(
    desk, alert, ledger, monkeypatch
) -> None:
    """The sweep of the next look at the alerts does what the dead process did not; twice does no harm."""
    incident = desk.on_alert(alert(), now=T0)
    other = desk.on_alert(alert("b1", topics=("fraud",)), now=T0)
    mail(ledger, "m1", incident.id)
    mail(ledger, "m2", other.id)
    with monkeypatch.context() as dying:
        dying.setattr(ledger.outbox, "drop", killed)
        with pytest.raises(Killed):
            desk.false_alarm(incident.id, actor="王芳", reason="旧闻", now=T0)
    assert ledger.incidents.get(incident.id).status is IncidentStatus.FALSE_ALARM
    assert {row.id for row in ledger.outbox.find(state="waiting")} == {"m1", "m2"}
    for _ in range(2):
        sweep(ledger, now=T0 + HOUR)
        assert {row.id for row in ledger.outbox.find(state="waiting")} == {"m2"}


@pytest.mark.parametrize("decide", ["acknowledge", "confirm", "declare", "start_plan", ""])
def test_what_waits_is_written_anew_when_a_person_has_decided(desk, alert, ledger, decide: str) -> None:
    """It says that nobody has taken the incident, and proposes the plan."""
    told = alert()
    incident = desk.on_alert(told, now=T0)
    mail(ledger, "m1", incident.id)
    ledger.alerts.handled(told, at=T0)
    sweep(ledger, now=T0)
    desk.on_alert(alert(level=Level.ORANGE), now=T0 + HOUR)
    ledger.alerts.handled(ledger.alerts.get("a1"), at=T0 + HOUR)
    decisions = {
        "acknowledge": lambda: desk.acknowledge(incident.id, actor="王芳", now=T0 + HOUR),
        "confirm": lambda: desk.confirm(incident.id, actor="王芳", now=T0 + HOUR),
        "declare": lambda: desk.declare(incident.id, Level.RED, actor="王芳", reason="线下", now=T0 + HOUR),
        "start_plan": lambda: desk.start_plan(incident.id, "usury", actor="王芳", now=T0 + HOUR),
        "": lambda: None,
    }
    decisions[decide]()
    sweep(ledger, now=T0 + HOUR)
    assert [row.id for row in ledger.outbox.find(state="waiting")] == ([] if decide else ["m1"])
    assert [each.revision for each in ledger.alerts.pending()] == ([2] if decide else [])
    mail(ledger, "m2", incident.id, revision=2, created_at=T0 + HOUR)
    sweep(ledger, now=T0 + 2 * HOUR)
    assert "m2" in {row.id for row in ledger.outbox.find(state="waiting")}, "written since"


class Killed(BaseException):
    """The process is gone."""


def killed(*_: object, **__: object) -> bool:
    raise Killed


def test_a_level_declared_higher_holds_at_once_and_appends_its_tasks(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(level=Level.ORANGE), now=T0)
    desk.start_plan(incident.id, "", actor="李雷", now=T0)
    risen = desk.declare(incident.id, Level.RED, actor="韩梅", reason="有人聚集", now=T0 + HOUR)
    assert (risen.level, risen.owner) == (Level.RED, "李雷")
    (run,) = ledger.plan_runs.find(incident=incident.id)
    assert {task.task: task.due_at for task in run.tasks}["stop"] == T0 + HOUR + timedelta(minutes=30)
    declared = next(e for e in ledger.incidents.timeline(incident.id) if e.kind == "declared")
    assert (declared.before["level"], declared.after["level"]) == ("orange", "red")
    assert (declared.actor, declared.reason) == ("韩梅", "有人聚集")
    assert desk.on_alert(alert(level=Level.ORANGE, minutes=70), now=T0 + 2 * HOUR).level is Level.RED


def test_a_level_is_lowered_only_after_its_alerts_have_recovered(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(level=Level.ORANGE), now=T0)
    desk.start_plan(incident.id, "", actor="李雷", now=T0)
    desk.acknowledge(incident.id, actor="王芳", now=T0)
    with pytest.raises(InputError, match="预警 a1 尚未恢复"):
        desk.declare(incident.id, Level.YELLOW, actor="韩梅", reason="平息", now=T0 + HOUR)
    over = alert(level=Level.ORANGE, change=Change.RECOVERED, minutes=400)
    desk.on_alert(over, now=T0 + 7 * HOUR)
    lowered = desk.declare(incident.id, Level.YELLOW, actor="韩梅", reason="平息", now=T0 + 7 * HOUR)
    assert lowered.level is Level.YELLOW
    (run,) = ledger.plan_runs.find(incident=incident.id)
    assert "refund" in {task.task for task in run.tasks}, "nothing is ever deleted"
    with pytest.raises(InputError, match="原因"):
        desk.declare(incident.id, Level.RED, actor="韩梅", reason=" ", now=T0 + 7 * HOUR)


def test_two_desks_open_one_incident(desk, alert, ledger, url) -> None:
    """Another process may open between this one's reading and writing."""
    second = open_ledger(url)
    other = Desk(ledger=second, plans={"usury": PLAN}, plan_for=plan_for)
    one, two = alert("a1"), alert("a2")
    original = ledger.incidents.open

    def late(incident: Incident, event: TimelineEvent) -> Incident:
        other.on_alert(two, now=T0)
        return original(incident, event)

    ledger.incidents.open = late  # type: ignore[method-assign]
    found = desk.on_alert(one, now=T0)
    second.close()
    assert len(ledger.incidents.find()) == 1
    assert set(found.alerts) == {"a1", "a2"}


def test_an_incident_that_ends_this_moment_takes_no_alert_in(desk, alert, ledger) -> None:
    """Somebody may close it between this desk's reading and writing."""
    old = desk.on_alert(alert("a1"), now=T0)
    original = ledger.incidents.change

    def late(changed: Incident, event: TimelineEvent) -> bool:
        ledger.incidents.change = original
        desk.close(old.id, actor="韩梅", reason="完", now=T0 + HOUR)
        return original(changed, event)

    ledger.incidents.change = late  # type: ignore[method-assign]
    found = desk.on_alert(alert("a2", level=Level.RED, minutes=60), now=T0 + HOUR)
    closed = ledger.incidents.get(old.id)
    assert (closed.status, closed.alerts, closed.level) == (IncidentStatus.CLOSED, ("a1",), old.level)
    assert found.id != old.id and found.alerts == ("a2",) and found.status.open


def test_overtaken_decision_is_taken_on_what_the_other_left(desk, alert, ledger) -> None:
    incident = desk.on_alert(alert(), now=T0)
    original, overtaken = ledger.incidents.change, []

    def late(changed: Incident, event: TimelineEvent) -> bool:
        if not overtaken:
            overtaken.append(True)
            stored = ledger.incidents.get(incident.id)
            rival = replace(stored, level=Level.RED, version=stored.version + 1)
            assert original(rival, replace(event, actor="李雷", kind="level"))
        return original(changed, event)

    ledger.incidents.change = late  # type: ignore[method-assign]
    confirmed = desk.confirm(incident.id, actor="王芳", now=T0)
    assert (confirmed.level, confirmed.status) == (Level.RED, IncidentStatus.CONFIRMED)
    ledger.incidents.change = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(StoreError) as caught:
        desk.close(incident.id, actor="王芳", reason="完", now=T0)
    assert not caught.value.permanent


EXAMPLES = itertools.count()
"""Each example has a brand of its own in the ledger that they share."""
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["alert", "again", "acknowledge", "confirm", "false_alarm", "close", "start"]),
        st.sampled_from(["a1", "a2"]),
        st.sampled_from([Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED]),
        st.sampled_from([("usury",), ("fraud",), ()]),
        st.booleans(),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_invariants_of_any_history(desk, ledger, alert, acts) -> None:
    """At most one open incident a brand and topic; levels never fall; timelines and tasks only grow."""
    brand = f"brand{next(EXAMPLES)}"
    seen: dict[str, tuple[Incident, int, set[str]]] = {}
    revisions: dict[str, object] = {}
    for number, (act, id_, level, topics, recovered) in enumerate(acts):
        now = T0 + number * HOUR
        open_ones = [i for i in ledger.incidents.find(brand=brand) if i.status.open]
        try:
            if act == "alert":
                change = Change.RECOVERED if recovered else None
                key = f"{brand}/{id_}"
                revisions[id_] = alert(key, level=level, topics=topics, brand=brand, change=change)
                desk.on_alert(revisions[id_], now=now)
            elif act == "again" and id_ in revisions:
                before = ledger.incidents.find(brand=brand)
                desk.on_alert(revisions[id_], now=now)
                assert {i.id for i in ledger.incidents.find(brand=brand)} == {i.id for i in before}
            elif open_ones and act == "start":
                desk.start_plan(open_ones[0].id, "usury", actor="王芳", now=now)
            elif open_ones and act not in ("again", "start"):
                getattr(desk, act)(open_ones[0].id, actor="王芳", reason="因为", now=now)
        except InputError as error:
            assert "已经启动过" in str(error)
        found = ledger.incidents.find(brand=brand)
        still = [(i.brand, i.topic) for i in found if i.status.open]
        assert len(still) == len(set(still))
        for incident in found:
            timeline = ledger.incidents.timeline(incident.id)
            tasks = {t.task for run in ledger.plan_runs.find(incident=incident.id) for t in run.tasks}
            if incident.id in seen:
                before, events, had = seen[incident.id]
                assert incident.level >= before.level and incident.version >= before.version
                assert len(timeline) >= events and tasks >= had
                assert set(incident.alerts) >= set(before.alerts)
                assert before.status.open or incident == before
            seen[incident.id] = (incident, len(timeline), tasks)
            assert all(event.actor for event in timeline)
