"""What the journal of every ledger tells."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from domain.alert import AlertState, Change
from domain.source_run import Outcome, SourceRun
from store.ledger import Ledger

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def test_the_journal_tells_of_alerts_that_are_open_or_changed_lately(ledger: Ledger, alert, now) -> None:
    old = alert("a1", at=now - HOUR)
    ended = alert("a1", at=now, revision=2, change=Change.RECOVERED, state=AlertState.RESOLVED)
    living = alert("a2", at=now - HOUR)
    for each in (living, old, ended):
        assert ledger.alerts.put(each)
    ledger.alerts.set_state("a2", AlertState.ACKNOWLEDGED, expect=[AlertState.FIRING])
    told = replace(living, state=AlertState.ACKNOWLEDGED)
    assert ledger.journal.alerts(since=now) == [(old, ended), (told,)]
    assert ledger.journal.alerts(since=now + MINUTE) == [(told,)]
    assert ledger.journal.alerts(since=now, limit=1) == [(old, ended)]
    assert ledger.journal.alerts(since=now, after="a1") == [(told,)]


def test_the_journal_tells_of_incidents_in_the_order_of_their_events(ledger: Ledger, incident, now) -> None:
    one, event = incident()
    other, _ = incident(brand="hekou")
    one, other = ledger.incidents.open(one, event), ledger.incidents.open(other, event)
    ledger.incidents.note(replace(event, incident=one.id, at=now + MINUTE))
    told = ledger.journal.incidents(after=0)
    assert [(each.what, each.at) for each in told] == [(one.id, now), (other.id, now), (one.id, now + MINUTE)]
    assert ledger.journal.incidents(after=0, limit=2) == told[:2]
    assert ledger.journal.incidents(after=told[1].n) == told[2:]


def test_the_journal_tells_of_deliveries_until_they_are_long_settled(
    ledger: Ledger, notification, now
) -> None:
    made = [notification(f"n{n}", created_at=now - HOUR, not_before=now - HOUR) for n in range(5)]
    ledger.outbox.enqueue(made)
    ledger.outbox.sent("n0", at=now)
    ledger.outbox.sent("n1", at=now - MINUTE)
    ledger.outbox.failed("n2", error="x", at=now)
    ledger.outbox.drop("n3", reason="y", at=now - MINUTE)
    told = ledger.journal.deliveries(since=now)
    assert [(each.id, each.state, each.body) for each in told] == [
        ("n0", "sent", b""),
        ("n2", "failed", b""),
        ("n4", "waiting", b""),
    ]
    assert replace(told[2], body=made[4].body) == made[4]
    assert ledger.journal.deliveries(since=now, after="n0", limit=1) == told[1:2]
    assert [each.id for each in ledger.journal.deliveries(since=now - HOUR)] == [each.id for each in made]


def test_the_journal_tells_of_every_crawl_once(ledger: Ledger, now) -> None:
    runs = [
        SourceRun(source=source, started_at=now, ended_at=now + n * MINUTE, outcome=Outcome.RESULTS)
        for n, source in enumerate("aba")
    ]
    for each in runs:
        ledger.source_runs.record(each)
    told = ledger.journal.source_runs(after=0)
    assert [(each.what, each.at) for each in told] == [(run, run.ended_at) for run in runs]
    assert ledger.journal.source_runs(after=told[0].n, limit=1) == told[1:2]
