"""Mails of false alarms that still wait are taken back."""

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
    """The same for every false alarm of late: a kill may have come between the decision and its mails."""
    for incident in ledger.incidents.find(statuses=(IncidentStatus.FALSE_ALARM,)):
        if incident.closed_at is not None and now - incident.closed_at < LONGEST_WAIT:
            take_back(ledger, incident, now=now)
