"""Each stage by itself: what it stops, what it changes, and the reason it names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from alerts.envelope import Cause, Envelope, Why
from alerts.stages import (
    Cooling,
    Deduping,
    Escalating,
    Grouping,
    Quieting,
    Recalling,
    Recovering,
    Routing,
    Silencing,
)
from domain.alert import AlertState, Change, Level, Reason
from domain.incident import Incident, IncidentStatus
from store.ledger import GROUPED, Ledger, Notification, Silence
from tests.alerts import sample
from tests.alerts.sample import AT

NOW = AT + timedelta(minutes=1)


def envelope(**changes: object) -> Envelope:
    values = {
        "alert": sample.alert(),
        "incident": None,
        "route": sample.ROUTE,
        "recipient": "pr-duty@example.com",
        "not_before": NOW,
    }
    return Envelope(**(values | changes))


def mail(**changes: object) -> Notification:
    values = {
        "id": "m1", "channel": "email", "recipient": "pr-duty@example.com", "subject": "", "body": b"",
        "alert": sample.alert().id, "revision": 1, "incident": "", "route": sample.ROUTE.name,
        "created_at": AT, "not_before": AT, "state": "sent", "sent_at": AT, "level": Level.ORANGE,
        "message_id": "<m1@x>",
    }  # fmt: skip
    return Notification(**(values | changes))


def case(status: IncidentStatus, level: Level = Level.ORANGE) -> Incident:
    return Incident(
        id="INC-1",
        brand="yunqiao",
        topic=sample.TOPIC,
        level=level,
        status=status,
        opened_at=AT,
        onset=AT,
        plan="",
    )


def test_routing_addresses_every_recipient_of_every_route_and_says_who_it_left_out() -> None:
    other = sample.ROUTE.model_copy(
        update={"name": "委员会", "level": "red", "to": ("a@x.example", "b@x.example")}
    )
    routing = Routing(routes=(sample.ROUTE, other), plan_of=lambda _: "")
    passed = routing.address(sample.alert(), None, now=NOW)
    assert [e.recipient for e in passed.envelopes] == ["pr-duty@example.com"]
    red = routing.address(sample.alert(level=Level.RED, peak=Level.RED), None, now=NOW)
    assert [e.recipient for e in red.envelopes] == ["pr-duty@example.com", "a@x.example", "b@x.example"]
    nobody = routing.address(sample.blind(), None, now=NOW)
    assert [d.why for d in nobody.decisions] == [Why.NO_ROUTE]
    assert "operator" in nobody.decisions[0].detail


@pytest.mark.parametrize(
    ("brand", "topic", "below", "stopped"),
    [
        ("yunqiao", sample.TOPIC, Level.RED, True),
        ("", "", Level.RED, True),
        ("yunqiao", "customer_complaint", Level.RED, False),  # beside the lead topic only
        ("yunqiao", "rumor", Level.RED, False),
        ("ansui", "", Level.RED, False),
        ("yunqiao", "", Level.ORANGE, False),
    ],
)
def test_silences_stop_what_matches_below_their_level(
    ledger: Ledger, brand: str, topic: str, below: Level, stopped: bool
) -> None:
    ledger.silences.add(
        Silence(
            id="s1", brand=brand, topic=topic, starts_at=AT, ends_at=AT + timedelta(hours=4), created_by="王芳",
            reason="已知活动", below=below,
        )
    )  # fmt: skip
    passed = Silencing(ledger)([envelope()], now=NOW)
    assert bool(passed.envelopes) is not stopped
    assert [d.why for d in passed.decisions] == ([Why.SILENCED] if stopped else [])
    late = Silencing(ledger)([envelope()], now=AT + timedelta(hours=5))
    assert late.envelopes


def test_a_silence_does_not_hold_what_another_topic_carries(ledger: Ledger) -> None:
    ledger.silences.add(
        Silence(
            id="s1", brand="yunqiao", topic="service_outage", starts_at=AT, ends_at=AT + timedelta(hours=4),
            created_by="王芳", reason="计划内维护",
        )
    )  # fmt: skip
    outage = sample.alert(topics=("service_outage", sample.TOPIC), reasons=())
    assert not Silencing(ledger)([envelope(alert=outage)], now=NOW).envelopes
    joined = Reason(
        rule="withdrawal_cluster", points=0, text="38 个账号", level=outage.level, topic=sample.TOPIC
    )
    risen = envelope(alert=replace(outage, reasons=(joined,)))
    assert Silencing(ledger)([risen], now=NOW).envelopes == (risen,)


def test_a_false_alarm_stops_updates_until_the_level_rises(ledger: Ledger) -> None:
    silencing = Silencing(ledger)
    ledger.alerts.put(sample.alert())
    # Red is the incident's level, by a person or another alert; the alert itself was orange.
    opened = sample.incident(ledger, sample.alert())
    ended = replace(opened, status=IncidentStatus.FALSE_ALARM, level=Level.RED)
    same = silencing([envelope(incident=ended)], now=NOW)
    assert [d.why for d in same.decisions] == [Why.FALSE_ALARM]
    risen = envelope(incident=ended, alert=sample.alert(revision=2, level=Level.RED))
    assert silencing([risen], now=NOW).envelopes == (risen,)
    confirmed = envelope(incident=case(IncidentStatus.CONFIRMED))
    assert silencing([confirmed], now=NOW).envelopes == (confirmed,)


@pytest.mark.parametrize(
    ("mails", "level", "cause", "was"),
    [
        ([], Level.ORANGE, Cause.NEW, Level.NONE),
        ([mail()], Level.ORANGE, Cause.UPDATE, Level.ORANGE),
        ([mail()], Level.RED, Cause.ESCALATED, Level.ORANGE),
        ([mail()], Level.YELLOW, Cause.LOWERED, Level.ORANGE),
        ([mail(state="waiting", sent_at=None)], Level.RED, Cause.NEW, Level.NONE),
        ([mail(state="failed", sent_at=None)], Level.RED, Cause.NEW, Level.NONE),
        ([mail(state="dropped", sent_at=None, error=f"{GROUPED}m0")], Level.RED, Cause.NEW, Level.NONE),
        (
            [mail(state="dropped", error=f"{GROUPED}m0")],
            Level.RED,
            Cause.ESCALATED,
            Level.ORANGE,
        ),
        ([mail(), mail(id="m2", created_at=NOW, level=Level.RED)], Level.ORANGE, Cause.LOWERED, Level.RED),
        ([mail(recipient="other@example.com")], Level.RED, Cause.NEW, Level.NONE),
    ],
)
def test_recalling_measures_the_change_against_what_this_person_was_told(
    ledger: Ledger, mails: list[Notification], level: Level, cause: Cause, was: Level
) -> None:
    ledger.outbox.enqueue(mails)
    [got] = Recalling(ledger.outbox)(
        [envelope(alert=sample.alert(level=level, revision=5))], now=NOW
    ).envelopes
    assert (got.cause, got.was) == (cause, was)


def test_recalling_looks_through_the_whole_incident(ledger: Ledger) -> None:
    ledger.outbox.enqueue([mail(alert="older-alert", incident="INC-1")])
    [got] = Recalling(ledger.outbox)([envelope(incident=case(IncidentStatus.TRIAGE))], now=NOW).envelopes
    assert [m.id for m in got.told] == ["m1"]
    assert got.cause is Cause.NEW


def test_deduping_stops_what_is_enqueued_and_second_routes_to_one_person() -> None:
    again = envelope(enqueued=True)
    other = envelope(route=sample.ROUTE.model_copy(update={"name": "二"}))
    passed = Deduping()([again, envelope(), other], now=NOW)
    assert len(passed.envelopes) == 1
    assert [d.why for d in passed.decisions] == [Why.ALREADY_ENQUEUED, Why.SAME_RECIPIENT]


@pytest.mark.parametrize("louder_first", [True, False])
def test_of_two_routes_to_one_person_the_one_that_reaches_them_first_speaks(louder_first: bool) -> None:
    night = AT + timedelta(hours=3)
    louder = sample.ROUTE.model_copy(update={"name": "信息安全", "quiet_hours": None})
    yellow = envelope(alert=sample.alert(level=Level.YELLOW), not_before=night)
    pair = [replace(yellow, route=louder), yellow]
    passed = Deduping()(pair if louder_first else pair[::-1], now=night)
    assert [e.route.name for e in passed.envelopes] == ["信息安全"]
    assert [(d.route, d.detail) for d in passed.decisions] == [(sample.ROUTE.name, "信息安全")]
    quick = sample.ROUTE.model_copy(update={"name": "快", "cooldown_min": 10})
    told = envelope(told=(mail(),), cause=Cause.UPDATE)
    both = [told, replace(told, route=quick)]
    assert [e.route.name for e in Deduping()(both, now=NOW).envelopes] == ["快"]


def test_grouping_waits_then_joins_new_alerts_of_a_brand_under_the_gravest() -> None:
    lesser = envelope(alert=sample.alert(id="b", level=Level.YELLOW, score=55.0))
    both = [lesser, envelope()]
    early = Grouping()(both, now=AT + timedelta(seconds=29))
    assert early.envelopes == ()
    assert {d.why for d in early.decisions} == {Why.GROUP_WAIT}
    [lead] = Grouping()(both, now=AT + timedelta(seconds=30)).envelopes
    assert lead.alert.level is Level.ORANGE
    assert [e.alert.id for e in lead.companions] == ["b"]
    assert len(Grouping(wait=False)(both, now=AT).envelopes) == 1


def test_red_waits_for_nobody() -> None:
    red = envelope(alert=sample.alert(level=Level.RED))
    assert Grouping()([red], now=AT).envelopes == (red,)


def test_known_incidents_of_a_brand_keep_their_own_threads() -> None:
    first = envelope(told=(mail(),), cause=Cause.UPDATE, incident=case(IncidentStatus.TRIAGE))
    second = envelope(alert=sample.alert(id="b"), told=(mail(id="m2"),), cause=Cause.UPDATE)
    assert len(Grouping()([first, second], now=NOW).envelopes) == 2


def test_two_alerts_of_one_incident_share_a_mail() -> None:
    incident = case(IncidentStatus.TRIAGE)
    pair = [
        envelope(told=(mail(),), cause=Cause.UPDATE, incident=incident),
        envelope(told=(mail(),), cause=Cause.UPDATE, incident=incident, alert=sample.alert(id="b")),
    ]
    [lead] = Grouping()(pair, now=NOW).envelopes
    assert len(lead.companions) == 1


def test_what_ended_untold_shares_the_mail_of_what_began_since_in_its_incident() -> None:
    incident = case(IncidentStatus.TRIAGE)
    ended = sample.alert(change=Change.RECOVERED, state=AlertState.RESOLVED)
    over = envelope(alert=ended, incident=incident, cause=Cause.RECOVERED, unread=True)
    begun = envelope(alert=sample.alert(id="b"), incident=incident)
    elsewhere = envelope(alert=sample.alert(id="c"))
    first, second = Grouping()([over, begun, elsewhere], now=NOW).envelopes
    assert (first.alert.id, [each.alert for each in first.companions]) == ("b", [ended])
    assert (second.alert.id, second.companions) == ("c", ())


@pytest.mark.parametrize(
    ("told", "waits_until"),
    [
        ((), None),
        ((mail(),), AT + timedelta(hours=1)),
        ((mail(sent_at=AT - timedelta(minutes=59, seconds=1)),), None),
        ((mail(sent_at=NOW, state="dropped", error=f"{GROUPED}m0"),), NOW + timedelta(hours=1)),
    ],
)
def test_cooling_moves_what_comes_too_soon_to_the_end_of_the_window(told: tuple, waits_until: object) -> None:
    passed = Cooling()([envelope(told=told)], now=NOW)
    assert passed.envelopes[0].not_before == (waits_until or NOW)
    assert [d.why for d in passed.decisions] == ([Why.COOLING] if waits_until else [])


@pytest.mark.parametrize(
    ("level", "last", "cause", "breaks"),
    [
        (Level.RED, Level.ORANGE, Cause.ESCALATED, True),
        (Level.ORANGE, Level.ORANGE, Cause.UPDATE, False),
        (Level.YELLOW, Level.ORANGE, Cause.LOWERED, False),
        (Level.YELLOW, Level.NONE, Cause.NEW, True),
        (Level.RED, Level.ORANGE, Cause.RECOVERED, False),
    ],
)
def test_only_a_rise_breaks_the_cool_down(level: Level, last: Level, cause: Cause, breaks: bool) -> None:
    late = AT + timedelta(hours=1)
    waiting = envelope(
        alert=sample.alert(level=level), told=(mail(level=last),), cause=cause, not_before=late
    )
    passed = Escalating()([waiting], now=NOW)
    assert passed.envelopes[0].not_before == (NOW if breaks else late)
    assert [d.why for d in passed.decisions] == ([Why.LEVEL_ROSE] if breaks else [])


def test_recovery_is_told_to_those_who_knew() -> None:
    over = sample.alert(change=Change.RECOVERED, state=AlertState.RESOLVED, level=Level.NONE)
    unknown = envelope(alert=over, cause=Cause.RECOVERED)
    knew = replace(unknown, told=(mail(),))
    about_to = replace(unknown, unread=True)
    passed = Recovering()([unknown, knew, about_to], now=NOW)
    assert passed.envelopes == (knew, about_to)
    assert [d.why for d in passed.decisions] == [Why.NEVER_TOLD, Why.RECOVERED, Why.RECOVERED]


@pytest.mark.parametrize(("minutes", "told"), [(-1, True), (1, False)])
def test_no_end_is_told_after_another_alert_of_the_incident_that_began_later(
    minutes: int, told: bool
) -> None:
    over = sample.alert(change=Change.RECOVERED, state=AlertState.RESOLVED)
    other = mail(alert="b", created_at=AT + timedelta(minutes=minutes))
    passed = Recovering()([envelope(alert=over, cause=Cause.RECOVERED, told=(mail(), other))], now=NOW)
    assert bool(passed.envelopes) is told
    assert [d.why for d in passed.decisions] == [Why.RECOVERED if told else Why.GOES_ON]


def test_the_night_holds_back_what_is_below_the_routes_level() -> None:
    night = AT + timedelta(hours=3)
    yellow = envelope(alert=sample.alert(level=Level.YELLOW), not_before=night)
    passed = Quieting()([yellow, envelope(not_before=night)], now=night)
    assert [e.not_before for e in passed.envelopes] == [AT + timedelta(hours=9, minutes=55), night]
    assert [d.why for d in passed.decisions] == [Why.QUIET_HOURS]


def test_a_cool_down_that_ends_at_night_ends_in_the_morning() -> None:
    ends_at_night = envelope(alert=sample.alert(level=Level.YELLOW), not_before=AT + timedelta(hours=2))
    [held] = Quieting()([ends_at_night], now=AT + timedelta(minutes=70)).envelopes
    assert held.not_before == AT + timedelta(hours=9, minutes=55)
