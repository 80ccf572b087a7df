"""From alerts to the outbox: the ordered stages, on one screen.

    route → silence → recall → dedupe → group → cool down → escalate → recover → quiet hours → write → enqueue

Order of the changes that outlive a crash: waiting mails that are out of date are taken back, which lets all that
they told come back; the new mail is enqueued, then the revision is marked handled. Killed anywhere in between, the
revision comes back; its notification id is the same, so it is found in the outbox and stops. Two pipelines at once
end the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from alerts.envelope import Cause, Decision, Envelope, Why
from alerts.evidence import Evidence
from alerts.render import Writer
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
    Stage,
    decide,
    newest,
)
from alerts.view import AlertView
from config.settings import Route
from domain.alert import Alert, Level
from domain.errors import DeliveryError, YujingError
from domain.incident import OPEN, Incident, TimelineEvent
from store.ledger import GROUPED, MOST_OPEN, Ledger, Notification

ACTOR = "rule:alerts"
IN_OUTBOX = (Why.ENQUEUED, Why.GROUPED, Why.ALREADY_ENQUEUED)
"""Ends of an envelope whose news is on its way; the last one after a kill between enqueue and handled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one run did."""

    enqueued: tuple[Notification, ...]
    decisions: tuple[Decision, ...]
    """Every stage's, in order; the last one of an alert and recipient is what became of it."""
    handled: int
    """Revisions that will not come back."""

    @property
    def regroups(self) -> bool:
        """Mails were taken back, and what they told waits for the next run to be told in others."""
        return any(decision.why is Why.REGROUP for decision in self.decisions)


class Pipeline:
    """Turns pending alert revisions into notifications; safe to run twice, and by two processes at once."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        routes: Sequence[Route],
        plan_of: Callable[[str], str],
        evidence: Evidence,
        writer: Writer,
    ) -> None:
        """``plan_of``: plan id of a topic id, empty when there is none."""
        self._ledger = ledger
        self._routing = Routing(routes=routes, plan_of=plan_of)
        self._evidence = evidence
        self._writer = writer

    def stages(self, *, wait: bool = True) -> tuple[Stage, ...]:
        """The stages after routing, in order."""
        return (
            Silencing(self._ledger),
            Recalling(self._ledger.outbox),
            Deduping(),
            Grouping(wait=wait),
            Cooling(),
            Escalating(),
            Recovering(),
            Quieting(),
        )

    def run(self, pending: Sequence[Alert], *, now: datetime, wait: bool = True) -> Outcome:
        """Handle the revisions of ``ledger.alerts.pending()``.

        ``wait=False`` does not hold new alerts for their group: for runs that nothing follows (``--once``).
        Raises ``StoreError`` when the ledger refuses; what was done until then stays done, the rest comes back.
        """
        latest = newest(pending)
        incidents = {alert.id: self._incident(alert) for alert in latest.values()}
        decisions = [_superseded(alert) for alert in pending if alert != latest[alert.id]]
        envelopes: list[Envelope] = []
        for alert in latest.values():
            addressed = self._routing.address(alert, incidents[alert.id], now=now)
            envelopes += addressed.envelopes
            decisions += addressed.decisions
        for stage in self.stages(wait=wait):
            passed = stage(envelopes, now=now)
            envelopes = list(passed.envelopes)
            decisions += passed.decisions
        written, unwritten = self._written(envelopes, now=now)
        # Only now, and all at once: what cannot be written leaves its forerunner to be sent, and an alert that one
        # recipient's mail gives back does not look, in the next one's, like one that is just being handled.
        older = [old.id for _, envelope in written for old in envelope.replaces]
        taken = self._ledger.outbox.withdraw(older, at=now)
        enqueued, last = self._enqueue(written, taken, now=now)
        decisions += [*unwritten, *last]
        back = {(d.alert, d.revision) for d in decisions if not d.why.final or _is_undone(d, taken)}
        done = [alert for alert in pending if (alert.id, alert.revision) not in back]
        handled = sum(self._settle(alert, incidents[alert.id], decisions, now=now) for alert in done)
        for muted in {decision.alert for decision in decisions if decision.why is Why.SILENCED}:
            self._note(latest[muted], incidents[muted], decisions, now=now)
        return Outcome(enqueued=tuple(enqueued), decisions=tuple(decisions), handled=handled)

    def _incident(self, alert: Alert) -> Incident | None:
        """The incident that holds the alert, an open one first; else the open one of its brand and lead topic."""
        if not alert.brand:
            return None
        find = self._ledger.incidents.find
        # Asked for by themselves: however many have ended since, an open one is not pushed out of sight.
        known = [*find(brand=alert.brand, statuses=OPEN, limit=MOST_OPEN), *find(brand=alert.brand)]
        holding = [incident for incident in known if alert.id in incident.alerts]
        alike = [i for i in known if i.status.open and i.topic == alert.lead_topic]
        return next(iter((*holding, *alike)), None)

    def _enqueue(
        self,
        written: Iterable[tuple[Notification, Envelope]],
        taken: Mapping[str, Set[str]],
        *,
        now: datetime,
    ) -> tuple[list[Notification], list[Decision]]:
        enqueued: list[Notification] = []
        decisions: list[Decision] = []
        for mail, envelope in written:
            why = self._put(mail, envelope, taken, now=now)
            if why is Why.ENQUEUED:
                enqueued.append(mail)
                decisions.append(decide("enqueue", why, envelope, mail.subject))
            else:
                decisions += [decide("enqueue", why, each) for each in (envelope, *envelope.companions)]
        return enqueued, decisions

    def _written(
        self, envelopes: Iterable[Envelope], *, now: datetime
    ) -> tuple[list[tuple[Notification, Envelope]], list[Decision]]:
        written: list[tuple[Notification, Envelope]] = []
        decisions: list[Decision] = []
        views: dict[str, AlertView] = {}
        for envelope in envelopes:
            alert = envelope.alert
            try:
                if alert.id not in views:
                    views[alert.id] = self._evidence.collect(alert, envelope.incident, now=now)
                written.append((self._write(views[alert.id], envelope, now=now), envelope))
            except YujingError as error:
                bad = isinstance(error, DeliveryError)
                why = Why.BAD_ADDRESS if bad else Why.POSTPONED
                decisions += [decide("write", why, e, str(error)) for e in (envelope, *envelope.companions)]
        return written, decisions

    def _write(self, view: AlertView, envelope: Envelope, *, now: datetime) -> Notification:
        shown = tuple(self._evidence.companion(other.alert) for other in envelope.companions)
        letter = self._writer.write(replace(view, companions=shown), envelope, now=now)
        return replace(
            _row(envelope, now=now), subject=letter.subject, body=letter.body, message_id=letter.message_id
        )

    def _put(
        self, mail: Notification, envelope: Envelope, taken: Mapping[str, Set[str]], *, now: datetime
    ) -> Why:
        """Enqueue a mail whose forerunners were taken back; a rise does so in any case, the others come back.

        While an older mail is being handed over, two at once would break the cool-down; where one told other alerts
        too, they are grouped anew.
        """
        told = {envelope.alert.id, *(other.alert.id for other in envelope.companions)}
        for old in envelope.replaces:
            if mail.level > old.level:
                continue
            if old.id not in taken:
                return Why.HANDING_OVER
            if not taken[old.id] <= told:
                return Why.REGROUP
        grouped = [
            replace(_row(other, now=now), subject=mail.subject, state="dropped", error=f"{GROUPED}{mail.id}")
            for other in envelope.companions
        ]
        stored = self._ledger.outbox.enqueue([mail, *grouped])
        return Why.ENQUEUED if stored else Why.HANDING_OVER

    def _settle(
        self, alert: Alert, incident: Incident | None, decisions: Sequence[Decision], *, now: datetime
    ) -> bool:
        if not self._ledger.alerts.handled(alert, at=now):
            return False
        self._note(alert, incident, decisions, now=now)
        return True

    def _note(
        self, alert: Alert, incident: Incident | None, decisions: Sequence[Decision], *, now: datetime
    ) -> None:
        """What became of a revision, once: a silenced one comes back at every run."""
        if incident is not None:
            event = _event(alert, incident, decisions, now=now)
            self._ledger.incidents.note(
                event, unless=lambda told: any(each.after == event.after for each in told)
            )


def _is_undone(decision: Decision, taken: Mapping[str, Set[str]]) -> bool:
    """It was found in the outbox, in a mail that has been taken back since: another process wrote that meanwhile."""
    return decision.why is Why.ALREADY_ENQUEUED and any(decision.alert in told for told in taken.values())


def _superseded(alert: Alert) -> Decision:
    return Decision(stage="pipeline", why=Why.SUPERSEDED, alert=alert.id, revision=alert.revision)


def _row(envelope: Envelope, *, now: datetime) -> Notification:
    alert = envelope.alert
    return Notification(
        id=envelope.id,
        channel=envelope.route.channel,
        recipient=envelope.recipient,
        subject="",
        body=b"",
        alert=alert.id,
        revision=alert.revision,
        incident=envelope.incident.id if envelope.incident else "",
        route=envelope.route.name,
        created_at=now,
        not_before=envelope.not_before,
        level=Level.NONE if envelope.cause is Cause.RECOVERED else alert.level,
    )


def _event(
    alert: Alert, incident: Incident, decisions: Sequence[Decision], *, now: datetime
) -> TimelineEvent:
    """What became of a revision, by recipient, for the incident's timeline."""
    last = {
        decision.recipient: decision
        for decision in decisions
        if (decision.alert, decision.revision) == (alert.id, alert.revision)
    }
    sent = [who for who, decision in last.items() if decision.why in IN_OUTBOX]
    stopped = {who or "-": decision.why.value for who, decision in last.items() if who not in sent}
    reason = f"已排队通知 {len(sent)} 人" if sent else "没有发出通知"
    return TimelineEvent(
        incident=incident.id,
        at=now,
        actor=ACTOR,
        kind="notified" if sent else "not_notified",
        reason=reason,
        after={"alert": alert.id, "revision": str(alert.revision), "to": ", ".join(sorted(sent)), **stopped},
    )
