"""Mails that wait for the morning, as one run of the alerts leaves them: nothing may follow it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from app.wire import App
from domain.alert import Alert, Change, Level
from tests.alerts import sample

NIGHT = sample.AT + timedelta(hours=3)
"""After 23:00, when the duty officer is not woken by a yellow alert."""


def _yellow(app: App, **changes: object) -> Alert:
    alert = sample.alert(
        **{"level": Level.YELLOW, "peak": Level.YELLOW, "reasons": (), "at": NIGHT, "first_at": NIGHT}
        | changes
    )
    assert app.ledger.alerts.put(alert)
    return alert


def _subjects(app: App) -> list[str]:
    assert app.ledger.alerts.pending() == []
    return [mail.subject for mail in app.ledger.outbox.find(state="waiting")]


def test_a_mail_whose_incident_was_taken_is_written_anew_in_the_same_run(app: App) -> None:
    _yellow(app)
    app.handle_alerts(NIGHT, wait=False)
    [before] = app.ledger.outbox.find(state="waiting")
    [incident] = app.ledger.incidents.find()
    app.desk.acknowledge(incident.id, actor="王芳", now=NIGHT + timedelta(hours=1))
    app.handle_alerts(NIGHT + timedelta(hours=2), wait=False)
    assert _subjects(app) == [before.subject]
    [after] = app.ledger.outbox.find(state="waiting")
    assert (after.id, after.created_at) == (before.id, NIGHT + timedelta(hours=2))


def test_a_mail_of_two_alerts_is_regrouped_in_the_run_of_an_update(app: App) -> None:
    first = _yellow(app)
    _yellow(app, id="b", fingerprint="b", topics=("absconding",), score=51.0)
    app.handle_alerts(NIGHT, wait=False)
    [subject] = _subjects(app)
    later = NIGHT + timedelta(hours=1)
    assert app.ledger.alerts.put(replace(first, revision=2, change=Change.UPDATE, at=later))
    app.handle_alerts(later, wait=False)
    assert _subjects(app) == [subject]
    assert subject.endswith("另有 1 项")
