"""What travels through the stages: one alert for one recipient, and the decisions taken about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from config.settings import Route
from domain.alert import Alert, Level
from domain.incident import Incident
from store.ledger import Notification


class Cause(StrEnum):
    """What a mail tells its recipient, measured against what this recipient was told before."""

    NEW = "new"
    UPDATE = "update"
    ESCALATED = "escalated"
    LOWERED = "lowered"
    RECOVERED = "recovered"


class Why(StrEnum):
    """The named reason of a decision."""

    ROUTED = "routed"
    NO_ROUTE = "no_route"
    SUPERSEDED = "superseded"
    """A newer revision of the same alert is told instead."""
    SILENCED = "silenced"
    """Muted by a person; stays pending, so that what still goes on when the silence ends is told then."""
    CLOSED = "closed"
    """Its incident was closed after it: whoever closed it knew."""
    FALSE_ALARM = "false_alarm"
    """A person said so, and the level has not risen since."""
    SAME_RECIPIENT = "same_recipient"
    """Another route reaches the same person."""
    ALREADY_ENQUEUED = "already_enqueued"
    GROUP_WAIT = "group_wait"
    """Held for alerts of the same brand; stays pending."""
    GROUPED = "grouped"
    """Told in the mail of a graver alert of the same brand."""
    COOLING = "cooling"
    LEVEL_ROSE = "level_rose"
    RECOVERED = "recovered"
    NEVER_TOLD = "never_told"
    """Nobody was told that it began, so nobody is told that it ended."""
    GOES_ON = "goes_on"
    """It ended before another alert of its incident was told: no word of an end comes after that."""
    QUIET_HOURS = "quiet_hours"
    POSTPONED = "postponed"
    """Could not be written now; stays pending."""
    HANDING_OVER = "handing_over"
    """An older mail of the thread is being sent this moment; stays pending."""
    REGROUP = "regroup"
    """The older mail told other alerts too: stays pending, to be told with them anew."""
    BAD_ADDRESS = "bad_address"
    ENQUEUED = "enqueued"

    @property
    def final(self) -> bool:
        """False when the revision must come back."""
        return self not in COMING_BACK


COMING_BACK = (Why.SILENCED, Why.GROUP_WAIT, Why.POSTPONED, Why.HANDING_OVER, Why.REGROUP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One stage's word about one alert and recipient."""

    stage: str
    why: Why
    alert: str
    revision: int
    route: str = ""
    recipient: str = ""
    detail: str = ""
    """Numbers or names behind the reason; one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """An alert on its way to one recipient."""

    alert: Alert
    incident: Incident | None
    route: Route
    recipient: str
    not_before: datetime
    cause: Cause = Cause.NEW
    was: Level = Level.NONE
    """The level of this alert that the recipient was last told; NONE when never."""
    companions: tuple[Envelope, ...] = ()
    """Lesser alerts of the same brand told in the same mail."""
    told: tuple[Notification, ...] = ()
    """Mails of this thread that the recipient has; oldest first."""
    replaces: tuple[Notification, ...] = ()
    """Waiting mails of this thread, or that tell of this alert beside another: this one takes their place."""
    unread: bool = False
    """Something of this thread was written and, since the last one told, never sent."""
    enqueued: bool = False
    """This revision is in the outbox already, in whatever state, and not coming back."""

    @property
    def thread(self) -> str:
        """What a mail thread is about: the incident, or the alert where there is none."""
        return thread_of(self.alert, self.incident)

    @property
    def id(self) -> str:
        """Stable for (alert, revision, route, recipient)."""
        return notification_id(self.alert, route=self.route.name, recipient=self.recipient)

    @property
    def operator(self) -> bool:
        """About a source, not about a brand."""
        return not self.alert.brand


def thread_of(alert: Alert, incident: Incident | None) -> str:
    """Id of the incident, else of the alert."""
    return incident.id if incident else alert.id


def notification_id(alert: Alert, *, route: str, recipient: str) -> str:
    """32 hex digits over alert, revision, route and recipient."""
    text = "\0".join((alert.id, str(alert.revision), route, recipient))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def message_id(envelope: Envelope, *, domain: str) -> str:
    """Stable Message-ID over thread, alert, revision and recipient: a resent copy folds into the first."""
    alert = envelope.alert
    text = "\0".join((envelope.thread, alert.id, str(alert.revision), envelope.recipient))
    return f"<{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:32]}@{domain}>"
