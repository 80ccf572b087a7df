"""What every ledger promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.alert import AlertState, Level
from domain.assessment import Sentiment, Stance
from domain.correction import Correction
from domain.errors import StoreError
from domain.incident import IncidentStatus, TimelineEvent
from domain.plan import PlanRun, TaskRun, TaskStatus
from domain.signal import Signal
from domain.source_run import Outcome, SourceRun
from store.ledger import ANEW, AuditEntry, Lease, Ledger, Silence

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def test_states_are_saved_and_replaced(ledger: Ledger, ledger2: Ledger) -> None:
    ledger.states.save("baseline", {"a": {"x": [1, 2.5, "三", None]}, "b": {}})
    ledger.states.save("baseline", {"b": {"y": True}})
    ledger.states.save("other", {"a": {"z": 1}})
    assert ledger2.states.load("baseline") == {"a": {"x": [1, 2.5, "三", None]}, "b": {"y": True}}
    ledger.states.replace("baseline", {"c": {}})
    ledger.states.save("baseline", {})
    assert (ledger2.states.load("baseline"), ledger2.states.load("other")) == ({"c": {}}, {"a": {"z": 1}})
    with pytest.raises(StoreError):
        ledger.states.replace("baseline", {"d": {}, "e": {"x": float("nan")}})
    assert ledger2.states.load("baseline") == {"c": {}}


def signal(id_: str, at: datetime, brand: str = "yunqiao") -> Signal:
    return Signal(
        id=id_,
        at=at,
        brand=brand,
        topic="",
        detector="volume",
        window_min=60,
        observed=20.0,
        expected=2.5,
        tail=9.0,
        share=0.8,
        usual_share=0.1,
        share_z=4.0,
        explanation="一句",
        posts=("p1",),
    )


def test_a_signal_is_recorded_once(ledger: Ledger, ledger2: Ledger, now) -> None:
    one, two, other = signal("1", now), signal("2", now + HOUR), signal("3", now, "other")
    assert ledger.signals.record([one, two]) == [one, two]
    assert ledger2.signals.record([two, other, other]) == [other]
    assert ledger.signals.get(["2", "x", "1", "2"]) == [two, one, two]
    assert ledger.signals.since(now) == [two, one, other]
    assert ledger.signals.since(now + MINUTE, brand="yunqiao") == [two]


def test_an_alert_takes_its_revisions_in_turn(ledger: Ledger, ledger2: Ledger, alert, now) -> None:
    first, second = alert(), alert(revision=2, level=Level.RED, at=now + HOUR)
    assert not ledger.alerts.put(second)
    assert ledger.alerts.put(first)
    assert not ledger2.alerts.put(first)
    assert ledger2.alerts.put(second)
    assert not ledger.alerts.put(replace(second, score=1.0))
    assert not ledger.alerts.put(alert(revision=4))
    assert ledger.alerts.get("a1") == second
    assert ledger.alerts.get("unknown") is None
    assert ledger.journal.revisions("a1") == [first, second] and ledger.journal.revisions("unknown") == []


def test_open_alerts_never_share_a_fingerprint(ledger: Ledger, alert, now) -> None:
    assert ledger.alerts.put(alert("a1", fingerprint="f"))
    assert not ledger.alerts.put(alert("a2", fingerprint="f"))
    assert ledger.alerts.set_state("a1", AlertState.RESOLVED, expect=[AlertState.FIRING])
    assert ledger.alerts.put(alert("a2", fingerprint="f"))
    assert not ledger.alerts.set_state("a1", AlertState.FIRING, expect=[AlertState.RESOLVED])
    assert not ledger.alerts.put(alert("a1", fingerprint="f", revision=2))
    assert ledger.alerts.put(alert("a1", fingerprint="f", revision=2, state=AlertState.RESOLVED))


def test_a_state_changes_only_from_the_expected(ledger: Ledger, ledger2: Ledger, alert) -> None:
    ledger.alerts.put(alert())
    acknowledged = AlertState.ACKNOWLEDGED
    assert ledger.alerts.set_state("a1", acknowledged, expect=[AlertState.FIRING])
    assert not ledger2.alerts.set_state("a1", acknowledged, expect=[AlertState.FIRING])
    assert not ledger.alerts.set_state("unknown", acknowledged, expect=list(AlertState))
    assert ledger2.alerts.get("a1") == alert(state=acknowledged)
    assert ledger2.alerts.pending() == [alert(state=acknowledged)]


def test_alerts_are_found_newest_first(ledger: Ledger, alert, now) -> None:
    made = [alert(f"a{n}", at=now + n * MINUTE, brand="x" if n % 2 else "") for n in range(4)]
    for each in made:
        ledger.alerts.put(each)
    assert [each.id for each in ledger.alerts.find()] == ["a3", "a2", "a1", "a0"]
    assert [each.id for each in ledger.alerts.find(brand="", limit=1)] == ["a2"]
    assert [each.id for each in ledger.alerts.find(brand="x", since=now + 2 * MINUTE)] == ["a3"]
    assert ledger.alerts.find(states=[AlertState.RESOLVED]) == []


def test_each_revision_is_handled_once(ledger: Ledger, ledger2: Ledger, alert, now) -> None:
    first, second = alert(), alert(revision=2, at=now + HOUR)
    ledger.alerts.put(first)
    ledger.alerts.put(second)
    assert ledger.alerts.pending() == [first, second]
    assert ledger.alerts.handled(first, at=now)
    assert not ledger2.alerts.handled(first, at=now)
    assert ledger2.alerts.pending() == [second]


def test_a_message_is_enqueued_once_and_comes_back_whole(
    ledger: Ledger, ledger2: Ledger, notification
) -> None:
    one = notification(subject="坏\x00\ud800")
    assert ledger.outbox.counts() == {}
    assert ledger.outbox.enqueue([one, notification("n2"), notification("n2")]) == 2
    assert ledger2.outbox.enqueue([one]) == 0
    assert ledger2.outbox.find(limit=1) == [replace(one, subject="坏\ufffd\ufffd")]


def test_messages_are_leased_when_their_time_has_come(
    ledger: Ledger, ledger2: Ledger, notification, now
) -> None:
    late = notification("late", not_before=now + HOUR)
    ledger.outbox.enqueue([late, notification("b", not_before=now - MINUTE), notification("a")])
    lease = {"now": now, "lease": 5 * MINUTE}
    first = ledger.outbox.lease(1, **lease)
    second = ledger2.outbox.lease(9, **lease)
    assert [(each.id, each.tries) for each in first + second] == [("b", 1), ("a", 1)]
    assert ledger.outbox.lease(9, **lease) == []
    again = ledger.outbox.lease(9, now=now + 5 * MINUTE, lease=MINUTE)
    assert [(each.id, each.tries) for each in again] == [("b", 2), ("a", 2)]


def test_the_end_of_a_message(ledger: Ledger, notification, now) -> None:
    ledger.outbox.enqueue([notification(id_) for id_ in ("sent", "retry", "failed", "leased", "free")])
    assert len(ledger.outbox.lease(4, now=now, lease=HOUR)) == 4
    ledger.outbox.sent("sent", at=now)
    ledger.outbox.failed("failed", error="550", at=now)
    ledger.outbox.retry("retry", not_before=now + MINUTE, error="451")
    ledger.outbox.retry("sent", not_before=now, error="late")
    ledger.outbox.failed("sent", error="late", at=now)
    ledger.outbox.sent("failed", at=now)
    assert ledger.outbox.counts() == {"waiting": 3, "sent": 1, "failed": 1}
    states = {each.id: (each.state, each.error, each.sent_at) for each in ledger.outbox.find()}
    assert states["sent"] == ("sent", "", now)
    assert states["failed"] == ("failed", "550", None)
    assert states["retry"] == ("waiting", "451", None)
    assert [each.id for each in ledger.outbox.lease(9, now=now + MINUTE, lease=HOUR) if each.id == "retry"]
    assert [each.id for each in ledger.outbox.find(state="sent")] == ["sent"]


def test_a_message_that_is_put_off_was_not_tried(ledger: Ledger, notification, now) -> None:
    ledger.outbox.enqueue([notification("a")])
    assert [each.tries for each in ledger.outbox.lease(1, now=now, lease=HOUR)] == [1]
    ledger.outbox.postpone("a", not_before=now + MINUTE)
    assert ledger.outbox.lease(1, now=now, lease=HOUR) == []
    assert [each.tries for each in ledger.outbox.lease(1, now=now + MINUTE, lease=HOUR)] == [1]


def test_only_a_message_in_nobodys_hands_is_dropped(ledger: Ledger, notification, now) -> None:
    ledger.outbox.enqueue([notification("a"), notification("b", not_before=now + HOUR)])
    ledger.outbox.lease(1, now=now, lease=MINUTE)
    assert not ledger.outbox.drop("a", reason="newer", at=now)
    assert ledger.outbox.drop("b", reason="newer", at=now)
    assert not ledger.outbox.drop("b", reason="newer", at=now)
    assert ledger.outbox.drop("a", reason="newer", at=now + MINUTE)
    assert ledger.outbox.lease(9, now=now + 2 * HOUR, lease=MINUTE) == []
    assert {(each.state, each.body) for each in ledger.outbox.find()} == {("dropped", b"")}


def test_old_messages_that_have_ended_keep_all_but_their_bodies(ledger: Ledger, notification, now) -> None:
    ids = ("sent", "failed", "held", "new", "waiting", "operator")
    incidents = {"held": "INC-open", "operator": ""}
    made = {"new": now + HOUR}
    ledger.outbox.enqueue(
        [
            notification(id_, incident=incidents.get(id_, "INC-closed"), created_at=made.get(id_, now))
            for id_ in ids
        ]
    )
    for id_ in ("sent", "held", "new", "operator"):
        ledger.outbox.sent(id_, at=now)
    ledger.outbox.failed("failed", error="550", at=now)
    assert ledger.outbox.forget(before=now + MINUTE, keep={"INC-open"}) == 3
    assert ledger.outbox.forget(before=now + MINUTE, keep={"INC-open"}) == 0
    assert {each.id for each in ledger.outbox.find() if not each.body} == {"sent", "failed", "operator"}
    assert {each.subject for each in ledger.outbox.find()} == {"【橙】云桥金融"}
    assert ledger.outbox.forget(before=now + 2 * HOUR, keep=()) == 2


def test_a_message_withdrawn_is_told_anew(ledger: Ledger, notification, alert, now) -> None:
    for each in (alert("a1"), alert("b1", fingerprint="b")):
        ledger.alerts.put(each)
    ledger.outbox.enqueue(
        [
            notification("m", alert="a1"),
            notification("g", alert="b1", state="dropped", error="grouped:m"),
            notification("second", alert="a1", recipient="lead@x"),
            notification("other", alert="a1"),
        ]
    )
    for each in ledger.alerts.pending():
        assert not ledger.outbox.withdraw(["m"], at=now), "one of its revisions is being handled"
        ledger.alerts.handled(each, at=now)
    ledger.outbox.lease(1, now=now, lease=MINUTE)
    assert not ledger.outbox.withdraw(["m"], at=now), "somebody may be sending it"
    later = now + MINUTE
    assert ledger.outbox.withdraw(["m", "second"], at=later) == {"m": {"a1", "b1"}, "second": {"a1"}}
    assert not ledger.outbox.withdraw(["m"], at=later)
    assert [each.id for each in ledger.outbox.find() if each.error != ANEW] == ["other"]
    assert [each.id for each in ledger.alerts.pending()] == ["a1", "b1"]


def test_what_is_told_anew_takes_its_old_place_once(
    ledger: Ledger, ledger2: Ledger, notification, alert, now
) -> None:
    ledger.alerts.put(alert("a1"))
    ledger.alerts.handled(alert("a1"), at=now)
    ledger.outbox.enqueue([notification("m", alert="a1")])
    ledger.outbox.lease(1, now=now, lease=MINUTE)
    ledger.outbox.retry("m", not_before=now, error="451")
    assert ledger.outbox.withdraw(["m"], at=now)
    [gone] = ledger.outbox.find()
    assert (gone.state, gone.error, gone.body) == ("dropped", ANEW, b"")
    anew = notification("m", alert="a1", subject="anew", created_at=now + MINUTE)
    assert ledger.outbox.enqueue([anew]) == 1
    assert ledger2.outbox.enqueue([replace(anew, subject="late")]) == 0
    assert ledger.outbox.find() == [replace(anew, tries=1)]


def test_what_has_grown_since_comes_back_as_it_is_now(ledger: Ledger, notification, alert, now) -> None:
    first = (alert("a1"), alert("b1", fingerprint="b"))
    for each in (*first, alert("b1", fingerprint="b", revision=2)):
        ledger.alerts.put(each)
        ledger.alerts.handled(each, at=now)
    ledger.outbox.enqueue(
        [
            notification("m", alert="a1"),
            notification("g", alert="b1", state="dropped", error="grouped:m"),
            notification("b-2", alert="b1", revision=2, state="sent"),
        ]
    )
    assert ledger.outbox.withdraw(["m"], at=now)
    assert [(each.id, each.revision) for each in ledger.alerts.pending()] == [("a1", 1), ("b1", 2)]
    assert {(each.id, each.error) for each in ledger.outbox.find()} == {
        ("m", ANEW),
        ("g", "withdrawn"),
        ("b-2", ""),
    }


def test_messages_are_found_by_what_they_are_about(ledger: Ledger, notification, now) -> None:
    ledger.outbox.enqueue(
        [
            notification("1", incident="i1", alert="x", route="r", recipient="p@x"),
            notification("2", incident="i1", created_at=now + HOUR),
        ]
    )
    find = ledger.outbox.find
    assert [each.id for each in find(incident="i1")] == ["2", "1"]
    assert [each.id for each in find(incident="i1", alert="x", route="r", recipient="p@x")] == ["1"]
    assert find(incident="i2") == []


def test_what_is_grouped_into_a_message_is_told_when_that_is_sent(ledger: Ledger, notification, now) -> None:
    ledger.outbox.enqueue(
        [
            notification("m"),
            *(notification(id_, state="dropped", error="grouped:m") for id_ in ("g1", "g2")),
            notification("g3", state="dropped", error="grouped:else"),
            notification("g4", state="dropped", error="x grouped:m"),
        ]
    )
    assert [(each.id, each.sent_at) for each in ledger.outbox.carried("m")] == [("g1", None), ("g2", None)]
    assert ledger.outbox.carried("g1") == []
    ledger.outbox.sent("m", at=now)
    assert {each.id for each in ledger.outbox.find() if each.sent_at == now} == {"m", "g1", "g2"}
    ledger.outbox.sent("m", at=now + HOUR)
    assert {each.sent_at for each in ledger.outbox.carried("m")} == {now}


@pytest.mark.parametrize(
    ("changes", "overtaken"),
    [
        ({"alert": "a1"}, True),
        ({"alert": "g1"}, True),
        ({"incident": "i1"}, True),
        ({"alert": "a1", "state": "sent"}, True),
        ({"alert": "a1", "state": "dropped", "error": "grouped:x"}, True),
        ({"alert": "a1", "state": "dropped", "error": "withdrawn"}, False),
        ({"alert": "a1", "state": "dropped", "error": ANEW}, False),
        ({"alert": "a1", "recipient": "lead@x"}, False),
        ({}, False),
    ],
)
def test_a_message_is_overtaken_by_a_later_one_of_the_same(
    ledger: Ledger, notification, now, changes: dict, overtaken: bool
) -> None:
    first = notification("m", alert="a1", incident="i1")
    grouped = notification("g", alert="g1", incident="i2", state="dropped", error="grouped:m")
    later = notification("x", **({"alert": "x", "incident": "i3", "created_at": now + HOUR} | changes))
    ledger.outbox.enqueue([first, grouped, later])
    assert ledger.outbox.overtaken(first) is overtaken


def test_nothing_is_grouped_into_a_message_that_another_process_wrote(
    ledger: Ledger, ledger2: Ledger, notification
) -> None:
    grouped = {"state": "dropped", "error": "grouped:m"}
    assert ledger.outbox.enqueue([notification("m"), notification("g1", **grouped)]) == 2
    assert ledger2.outbox.enqueue([notification("m"), notification("g2", **grouped)]) == 0
    assert ledger2.outbox.enqueue([notification("m"), notification("g1", **grouped)]) == 0
    assert [each.id for each in ledger2.outbox.carried("m")] == ["g1"]


def test_one_open_incident_per_brand_and_topic(ledger: Ledger, ledger2: Ledger, incident, now) -> None:
    made = ledger.incidents.open(*incident())
    assert made.id == "INC-20261122-001"
    assert ledger2.incidents.open(*incident(level=Level.RED)) == made
    assert [event.incident for event in ledger.incidents.timeline(made.id)] == [made.id]
    other = ledger2.incidents.open(*incident(topic=""))
    assert (other.id, other.version) == ("INC-20261122-002", 1)
    closed = replace(made, status=IncidentStatus.CLOSED, closed_at=now, version=2)
    assert ledger.incidents.change(closed, incident()[1])
    # 23:30 in UTC is the next morning in Shanghai.
    late = ledger.incidents.open(*incident(opened_at=datetime.fromisoformat("2026-11-22T23:30:00+00:00")))
    assert late.id == "INC-20261123-001"
    reopened = replace(closed, status=IncidentStatus.CONFIRMED, version=3)
    assert not ledger.incidents.change(reopened, incident()[1])


def test_a_change_needs_the_version_before(ledger: Ledger, ledger2: Ledger, incident, now) -> None:
    made = ledger.incidents.open(*incident())
    event = TimelineEvent(incident=made.id, at=now, actor="李", kind="acknowledged", reason="在看")
    mine = replace(made, owner="李", acknowledged_at=now, version=2)
    assert ledger.incidents.change(mine, event)
    assert not ledger2.incidents.change(replace(made, owner="王", version=2), event)
    assert not ledger2.incidents.change(replace(mine, version=4), event)
    assert ledger2.incidents.get(made.id) == mine
    ledger.incidents.note(replace(event, kind="note"))
    assert [(each.seq, each.kind) for each in ledger2.incidents.timeline(made.id)] == [
        (1, "opened"),
        (2, "acknowledged"),
        (3, "note"),
    ]
    assert ledger.incidents.get("unknown") is None
    assert ledger.incidents.timeline("unknown") == []


def test_incidents_are_found(ledger: Ledger, incident, now) -> None:
    for n in range(3):
        ledger.incidents.open(*incident(topic=f"t{n}", opened_at=now + n * MINUTE))
    whole = ledger.incidents.open(*incident(topic="", brand="other"))
    find = ledger.incidents.find
    assert [each.topic for each in find(brand="yunqiao")] == ["t2", "t1", "t0"]
    assert find(topic="") == [whole]
    assert [each.topic for each in find(statuses=[IncidentStatus.TRIAGE], limit=1)] == ["t2"]
    assert find(statuses=[IncidentStatus.CLOSED]) == []


def task(name: str, now: datetime) -> TaskRun:
    return TaskRun(run="r1", task=name, title=name, role="值班指挥", due_at=now)


def test_a_plan_starts_once_for_an_incident(ledger: Ledger, ledger2: Ledger, incident, now) -> None:
    opened = ledger.incidents.open(*incident())
    event = TimelineEvent(incident=opened.id, at=now, actor="李", kind="plan_started")
    run = PlanRun(
        id="r1",
        incident=opened.id,
        plan="p",
        version="1",
        started_at=now,
        started_by="李",
        frozen={"tasks": [{"id": "b"}]},
        tasks=(task("b", now), task("a", now)),
    )
    assert ledger.plan_runs.start(run, event)
    assert not ledger2.plan_runs.start(replace(run, id="r2"), event)
    assert not ledger2.plan_runs.start(replace(run, plan="q"), event)
    assert ledger2.plan_runs.find(incident=opened.id) == ledger2.plan_runs.find() == [run]
    done = replace(task("a", now), status=TaskStatus.DONE, evidence="链接", done_at=now)
    assert ledger.plan_runs.set_task(done, expect=TaskStatus.OPEN, event=event)
    assert not ledger2.plan_runs.set_task(done, expect=TaskStatus.OPEN, event=event)
    assert ledger.plan_runs.add_tasks("r1", [task("a", now), task("c", now)], event) == 1
    assert ledger.plan_runs.add_tasks("r1", [task("c", now)], event) == 0
    assert ledger2.plan_runs.find()[0].tasks == (task("b", now), done, task("c", now))
    assert [each.kind for each in ledger.incidents.timeline(opened.id)] == ["opened"] + ["plan_started"] * 3
    assert ledger.plan_runs.find(incident="unknown") == []


def test_a_silence_is_in_force_until_it_ends(ledger: Ledger, now) -> None:
    one = Silence(
        id="s1",
        brand="yunqiao",
        topic="",
        starts_at=now,
        ends_at=now + HOUR,
        created_by="李",
        reason="演练",
        below=Level.ORANGE,
    )
    later = replace(one, id="s2", starts_at=now + HOUR, ends_at=now + 2 * HOUR)
    ledger.silences.add(one)
    ledger.silences.add(later)
    with pytest.raises(StoreError):
        ledger.silences.add(one)
    assert ledger.silences.active(now) == [one]
    assert ledger.silences.active(now + HOUR) == [later]
    assert ledger.silences.all() == [later, one]
    assert ledger.silences.end("s1", at=now + MINUTE, actor="王")
    assert not ledger.silences.end("s1", at=now + MINUTE, actor="王")
    assert ledger.silences.active(now + MINUTE) == []


def test_the_health_of_sources(ledger: Ledger, now) -> None:
    def run(source: str, minute: int, outcome: Outcome) -> SourceRun:
        at = now + minute * MINUTE
        return SourceRun(source=source, started_at=at, ended_at=at, outcome=outcome, found=3, detail="x")

    good, bad, other = (
        run("a", 1, Outcome.EMPTY),
        run("a", 2, Outcome.BLOCKED),
        run("b", 0, Outcome.UNREACHABLE),
    )
    for each in (good, bad, other):
        ledger.source_runs.record(each)
    assert ledger.source_runs.last() == {"a": bad, "b": other}
    assert ledger.source_runs.last_seeing() == {"a": now + MINUTE}
    assert ledger.source_runs.last_seeing(until=now + MINUTE) == {"a": now + MINUTE}
    assert ledger.source_runs.last_seeing(until=now) == {}
    assert ledger.source_runs.history("a") == [bad, good]
    assert ledger.source_runs.history("a", limit=1) == [bad]


def test_what_crawlers_have_seen(ledger: Ledger, ledger2: Ledger, now) -> None:
    keys = [f"https://example.com/{'长' * 3000}{n}" for n in range(1200)]
    ledger.source_runs.mark("a", {key: str(n) for n, key in enumerate(keys)}, at=now)
    ledger2.source_runs.mark("a", {keys[0]: "new", "\ud800": "x"}, at=now)
    found = ledger.source_runs.seen("a", [*keys, "unknown", "\ud800"])
    assert (len(found), found[keys[0]], found[keys[1199]], found["\ud800"]) == (1201, "new", "1199", "x")
    assert ledger.source_runs.seen("b", keys) == ledger.source_runs.seen("a", []) == {}


def test_the_audit_only_grows(ledger: Ledger, now) -> None:
    entries = [AuditEntry(at=now, actor="李", action="ack", subject=str(n), reason="r") for n in range(3)]
    for each in entries:
        ledger.audit.record(each)
    assert ledger.audit.last() == entries[::-1]
    assert ledger.audit.last(1) == entries[2:]


def test_corrections_are_kept_once_with_who_and_when(ledger: Ledger, ledger2: Ledger, now) -> None:
    one = Correction(post="p1", text="t", at=now, by="王芳", sentiment=Sentiment.NEUTRAL, topics=())
    two = Correction(post="p2", text="t", at=now, by="王芳", ad=True, note="软文\0")
    assert ledger.corrections.put([one, two, one]) == [one, two]
    assert ledger2.corrections.put([replace(one, at=now + HOUR, by="李雷")]) == []
    later = Correction(post="p1", text="t", at=now + HOUR, by="李雷", stance=Stance.DENY)
    merged = later.after(one)
    assert ledger2.corrections.put([later]) == [merged]
    assert ledger.corrections.of(["p1", "p3"]) == {"p1": merged}
    assert [each.post for each in ledger.corrections.all()] == ["p1", "p2"]
    entries = [(e.actor, e.action, e.subject) for e in ledger.audit.last()]
    assert entries == [("李雷", "label", "p1"), ("王芳", "label", "p2"), ("王芳", "label", "p1")]
    assert "情感 — → neutral；话题 — → 无" in [e.reason for e in ledger.audit.last()]


def test_a_lease_has_one_holder(ledger: Ledger, ledger2: Ledger) -> None:
    def take(where: Ledger, holder: str, *, seconds: float = 3600, gone: bool = False) -> Lease | None:
        return where.leases.take(
            "job", holder=holder, place=f"place {holder}", seconds=seconds, gone=lambda place: gone
        )

    assert ledger.leases.get("job") is None
    first = take(ledger, "a")
    assert first is not None
    assert take(ledger2, "b") is None
    assert ledger2.leases.get("job") == first
    assert ledger.leases.renew(first, seconds=7200)
    renewed = ledger2.leases.get("job")
    assert renewed is not None
    assert renewed.since == first.since
    assert renewed.expires_at > first.expires_at
    ledger.leases.release(first)
    assert ledger2.leases.get("job") is None
    second = take(ledger2, "b", seconds=0)
    assert second is not None
    third = take(ledger, "c")
    assert third is not None
    assert first.token < second.token < third.token
    assert not ledger2.leases.renew(second, seconds=1)
    ledger2.leases.release(second)
    assert ledger2.leases.get("job") == third
    last = take(ledger2, "d", gone=True)
    assert last is not None
    assert last.token > third.token
    assert ledger.leases.take("other", holder="a", place="", seconds=9, gone=lambda place: False) is not None


def test_texts_are_in_the_order_of_their_code_points(ledger: Ledger, alert, now) -> None:
    ids = ["b", "a", "B", "_", "é", "中", "一", "𝒳", "A b", "Ab", "\uffee"]
    for each in ids:
        ledger.alerts.put(alert(each))
    assert [each.id for each in ledger.alerts.find()] == sorted(ids)
    ledger.states.save("k", {each: {} for each in ids})
    assert list(ledger.states.load("k")) == sorted(ids)


def test_a_key_of_an_open_one_is_not_taken_by_another(ledger: Ledger, incident, now) -> None:
    first = ledger.incidents.open(*incident())
    closed = replace(first, status=IncidentStatus.CLOSED, version=2)
    event = TimelineEvent(incident=first.id, at=now, actor="李", kind="closed")
    assert ledger.incidents.change(closed, event)
    second = ledger.incidents.open(*incident())
    assert second.id != first.id
    assert not ledger.incidents.change(replace(first, version=3), event)
    assert len(ledger.incidents.timeline(first.id)) == 2


def test_a_sound_ledger_finds_nothing_wrong_with_itself(ledger: Ledger, now) -> None:
    ledger.audit.record(AuditEntry(at=now, actor="李", action="ack", subject="1"))
    found = ledger.examine()
    assert [finding for finding in found if not finding.ok] == []
    assert {"台账格式"} < {finding.subject for finding in found}
    assert ledger.mend() == []
