"""Mails that still wait while people decide: those of false alarms are taken back, the others written anew."""

from __future__ import annotations

from datetime import datetime

from domain.incident import Incident, IncidentStatus
from store.ledger import LONGEST_WAIT, Ledger


def take_back(ledger: Ledger, incident: Incident, *, now: datetime) -> None:
    """Mails of an incident that wait (quiet hours, cool-down) are not sent any more.

    One that also carries another alert's news stays: losing that would be worse than a needless mail.
    """
    for mail in ledger.outbox.find(incident=incident.id, state="waiting", limit=1000):
        if all(other.incident == incident.id for other in ledger.outbox.carried(mail.id)):
            ledger.outbox.drop(mail.id, reason=f"false alarm {incident.id}", at=now)


def sweep(ledger: Ledger, *, now: datetime) -> None:
    """Bring the mails that wait in line with what people decided, whichever process did, and however it ended."""
    for incident in ledger.incidents.find(statuses=(IncidentStatus.FALSE_ALARM,)):
        if incident.closed_at is not None and now - incident.closed_at < LONGEST_WAIT:
            take_back(ledger, incident, now=now)
    _write_anew(ledger, now=now)


def _write_anew(ledger: Ledger, *, now: datetime) -> None:
    """A mail says who has taken its incident, how far that is and what comes next: as it is when it is sent."""
    waiting = [mail for mail in ledger.journal.deliveries(since=now) if mail.state == "waiting"]
    decided = {
        id_: _last_decided(ledger, id_) for id_ in {mail.incident for mail in waiting if mail.incident}
    }
    stale = [mail.id for mail in waiting if (at := decided.get(mail.incident)) and at > mail.created_at]
    ledger.outbox.withdraw(stale, at=now)


def _last_decided(ledger: Ledger, id_: str) -> datetime | None:
    """When a person last did something about an open incident."""
    incident = ledger.incidents.get(id_)
    if incident is None or not incident.status.open:
        return None
    people = (event.at for event in ledger.incidents.timeline(id_) if not event.actor.startswith("rule:"))
    return max(people, default=None)
