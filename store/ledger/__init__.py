"""The ledger: what was decided, by rule or by a person, and the state that must survive a restart.

One small repository for each noun, over one SQLAlchemy engine. Every change of state is a conditional
UPDATE (``… WHERE version = ?``), so that two processes never do the same thing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from config.settings import NO_ACCESS, Access
from domain.alert import Alert, AlertState, Level
from domain.correction import Correction
from domain.incident import Incident, IncidentStatus, TimelineEvent
from domain.plan import PlanRun, TaskRun, TaskStatus
from domain.signal import Signal
from domain.source_run import SourceRun
from store.embedded import sqlite_path
from store.findings import Examined

LONGEST_WAIT = timedelta(days=5)
"""How long a message is tried again (RFC 5321 §4.5.4.1): longer than a weekend without a mail server.

Only a wrong setting makes messages wait longer.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """A rendered message on its way out."""

    id: str
    """Unique for (alert, revision, route, recipient): enqueued again, nothing happens."""
    channel: str
    recipient: str
    subject: str
    body: bytes
    """The whole message, ready to send (RFC 5322 for e-mail)."""
    alert: str
    revision: int
    incident: str
    route: str
    created_at: datetime
    not_before: datetime
    tries: int = 0
    """How often it was leased, this time included."""
    state: str = "waiting"
    """waiting, sent, failed, dropped."""
    error: str = ""
    sent_at: datetime | None = None
    """When the recipient got it, or the mail of another alert that it was grouped into."""
    message_id: str = ""
    level: Level = Level.NONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """Alerts that match are recorded and not sent until it ends (静默)."""

    id: str
    brand: str
    """Empty: any."""
    topic: str
    """The lead topic of an alert, which names it; empty: any."""
    starts_at: datetime
    ends_at: datetime
    created_by: str
    reason: str
    below: Level = Level.RED
    """Only alerts below this level are silenced."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """Who changed what, append-only."""

    at: datetime
    actor: str
    action: str
    subject: str
    reason: str = ""


GROUPED = "grouped:"
"""Begins the ``error`` of a dropped notification that is told in another one's mail; its id follows."""
ANEW = "told anew"
"""The ``error`` of a dropped notification whose revision is pending again: it is written anew in its place."""
SCHEDULER = "scheduler"
"""Name of the lease of the process that runs the jobs."""
ERASED = "erased"
"""Kind of the documents in ``States`` that name erased authors by their key: what comes of theirs is not stored."""
MOST_OPEN = 10_000
"""Limit of a question that must miss no open incident: more than there can be, one for each brand and topic."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right of one process to do what only one may do, until it expires."""

    name: str
    """What it is for."""
    holder: str
    """Who has it, for people: host and process."""
    place: str = ""
    """Who has it, for other processes (``monitor.leader.Place``)."""
    token: int = 0
    """Greater for every new holder: what an older one asks for later is refused."""
    since: datetime
    """When this holder got it."""
    expires_at: datetime
    """By the database's clock."""


class States(Protocol):
    """Small named JSON documents: baselines, last-run times."""

    def load(self, kind: str) -> Mapping[str, dict[str, object]]:
        """All documents of a kind, by key."""

    def save(self, kind: str, documents: Mapping[str, dict[str, object]]) -> None:
        """Replace the named documents, all or none."""

    def replace(self, kind: str, documents: Mapping[str, dict[str, object]]) -> None:
        """Replace everything of a kind, all or none."""


class Signals(Protocol):
    """What detectors found."""

    def record(self, signals: Sequence[Signal]) -> list[Signal]:
        """Store those not stored yet; returns them."""

    def get(self, ids: Sequence[str]) -> list[Signal]:
        """By id, in the order asked."""

    def since(self, at: datetime, *, brand: str = "") -> list[Signal]:
        """Newest first."""


class Alerts(Protocol):
    """Alerts, their revisions, and which revisions were handled."""

    def put(self, alert: Alert) -> bool:
        """Store a revision when it is the next one of its alert (1 for a new id); False when another was first.

        Nor is a second open alert of the same fingerprint stored: False.
        """

    def get(self, id_: str) -> Alert | None:
        """The newest revision."""

    def find(
        self,
        *,
        brand: str | None = None,
        states: Iterable[AlertState] = (),
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[Alert]:
        """Newest revisions, newest first."""

    def pending(self) -> list[Alert]:
        """Revisions nobody has handled, oldest first."""

    def handled(self, alert: Alert, *, at: datetime) -> bool:
        """Mark a revision handled; False when another process was first."""

    def set_state(self, id_: str, state: AlertState, *, expect: Iterable[AlertState]) -> bool:
        """Change the state if it is one of those expected; the revision stays, the next one brings its own."""


class Outbox(Protocol):
    """Messages on their way out."""

    def enqueue(self, notifications: Sequence[Notification]) -> int:
        """Store those not stored yet, or taken back to be told anew (their tries are counted on); returns how many.

        What is grouped into a message that another process stored before is not stored: that one does not tell it.
        """

    def lease(self, limit: int, *, now: datetime, lease: timedelta) -> list[Notification]:
        """Waiting messages whose time has come, hidden from other deliverers until ``now + lease``.

        Those whose time came first, first. One that was neither sent nor failed by then is leased again.
        """

    def sent(self, id_: str, *, at: datetime) -> None:
        """It was handed over, with all that is grouped into it."""

    def retry(self, id_: str, *, not_before: datetime, error: str) -> None:
        """A transient error: again later."""

    def postpone(self, id_: str, *, not_before: datetime) -> None:
        """It was leased too early: again later, and this was no try."""

    def failed(self, id_: str, *, error: str, at: datetime) -> None:
        """A permanent error, or tried too often for too long."""

    def drop(self, id_: str, *, reason: str, at: datetime) -> bool:
        """Take back a waiting message for good (state ``dropped``); its body is not kept.

        False when it is gone, or leased at the moment: somebody may be handing it over.
        """

    def withdraw(self, ids: Sequence[str], *, at: datetime) -> Mapping[str, Set[str]]:
        """Take back waiting messages with those grouped into them, and let what they tell be told anew.

        The newest revision of each alert comes back, whichever was told here: who has it is not told again. Rows stay:
        that something was about to be told is known, though it ends before it is written anew. Returns
        those taken, each with the ids of the alerts it told; not taken are those that are gone, or leased at the
        moment, or tell a revision that is only just being handled.
        """

    def find(
        self,
        *,
        incident: str = "",
        alert: str = "",
        recipient: str = "",
        route: str = "",
        state: str = "",
        limit: int = 100,
    ) -> list[Notification]:
        """Newest first."""

    def carried(self, id_: str) -> list[Notification]:
        """What else is told in a message: those grouped into it."""

    def forget(self, *, before: datetime, keep: Collection[str]) -> int:
        """Empty the bodies of messages made before a time whose life has ended; returns how many.

        That they were sent, and to whom, stays. ``keep``: incidents whose messages stay whole.
        """

    def overtaken(self, message: Notification) -> bool:
        """A later message, waiting or sent, tells its recipient of the same incident, or of an alert told in it."""

    def counts(self) -> Mapping[str, int]:
        """How many messages are in each state that any is in."""


class Incidents(Protocol):
    """Incidents and their append-only timelines."""

    def open(self, incident: Incident, event: TimelineEvent) -> Incident:
        """Store a new one, or return the open one of the same brand and topic that was first.

        ``incident.id`` is given by the ledger: INC-<local date of ``opened_at``>-<number>, and the event is
        filed under it; when an open one was first, nothing is written. Brand and topic name the open one.
        """

    def change(self, incident: Incident, event: TimelineEvent) -> bool:
        """Store ``incident`` if the stored version is ``incident.version - 1``, with its event; else False."""

    def get(self, id_: str) -> Incident | None:
        """One incident."""

    def find(
        self,
        *,
        brand: str = "",
        topic: str | None = None,
        statuses: Iterable[IncidentStatus] = (),
        limit: int = 100,
    ) -> list[Incident]:
        """Newest first."""

    def note(
        self, event: TimelineEvent, *, unless: Callable[[Sequence[TimelineEvent]], bool] | None = None
    ) -> None:
        """Append to the timeline without changing the incident.

        ``unless`` sees the timeline while nobody else can append to it, and says whether to leave it alone.
        """

    def timeline(self, id_: str) -> list[TimelineEvent]:
        """Oldest first."""


class PlanRuns(Protocol):
    """Started plans and their tasks."""

    def start(self, run: PlanRun, event: TimelineEvent) -> bool:
        """Store a run with its tasks; False when this plan already runs for this incident."""

    def find(self, *, incident: str = "") -> list[PlanRun]:
        """Newest first, with their tasks."""

    def set_task(self, task: TaskRun, *, expect: TaskStatus, event: TimelineEvent) -> bool:
        """Change a task if its status is the one expected."""

    def add_tasks(self, run: str, tasks: Sequence[TaskRun], event: TimelineEvent) -> int:
        """Append tasks (a level rose); those already there stay; returns how many were added."""


What = TypeVar("What")


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended(Generic[What]):
    """Something that was appended."""

    n: int
    """Grows in the order of appending; where writers do not queue up (PostgreSQL), a lower one may appear later."""
    at: datetime
    """When it happened."""
    what: What


class Journal(Protocol):
    """What happened lately, whoever did it: questions for a mirror of the ledger. Nothing here writes."""

    def alerts(self, *, since: datetime, after: str = "", limit: int = 100) -> list[tuple[Alert, ...]]:
        """All revisions of each alert that is open, or whose newest revision is of ``since`` or later.

        By id, only ids beyond ``after``, at most ``limit`` alerts; the newest revision in its present state.
        """

    def revisions(self, id_: str) -> list[Alert]:
        """All revisions of one alert as they were put, oldest first."""

    def incidents(self, *, after: int, limit: int = 500) -> list[Appended[str]]:
        """Ids of the incidents that something happened to: one for each event of a timeline with ``n > after``."""

    def deliveries(self, *, since: datetime, after: str = "", limit: int = 500) -> list[Notification]:
        """Messages that wait, or were made or settled at ``since`` or later, with an empty body.

        By id, only ids beyond ``after``.
        """

    def source_runs(self, *, after: int, limit: int = 500) -> list[Appended[SourceRun]]:
        """Crawls of all sources with ``n > after``, in the order in which they were recorded."""


class Silences(Protocol):
    """Who muted what until when."""

    def add(self, silence: Silence) -> None:
        """Store one."""

    def end(self, id_: str, *, at: datetime, actor: str) -> bool:
        """End one early; False when it had ended."""

    def active(self, at: datetime) -> list[Silence]:
        """Those in force."""

    def all(self) -> list[Silence]:
        """Newest first."""


class Corrections(Protocol):
    """What people said about posts against the model, one correction a post."""

    def put(self, corrections: Sequence[Correction]) -> list[Correction]:
        """Store them after what was said before, all or none; returns those, so merged, that changed anything.

        Each of these leaves an entry in the audit.
        """

    def of(self, posts: Sequence[str]) -> Mapping[str, Correction]:
        """Those of some posts, by post id."""

    def all(self) -> list[Correction]:
        """Newest first."""


class SourceRuns(Protocol):
    """How crawls ended, and what crawlers have seen."""

    def record(self, run: SourceRun) -> None:
        """Append one."""

    def last(self) -> Mapping[str, SourceRun]:
        """The newest run of each source."""

    def last_seeing(self, *, until: datetime | None = None) -> Mapping[str, datetime]:
        """When each source last ended with results or proved empty; at ``until`` or before, if given."""

    def history(self, source: str, *, limit: int = 50) -> list[SourceRun]:
        """Newest first."""

    def seen(self, source: str, keys: Sequence[str]) -> Mapping[str, str]:
        """Those keys (native ids, URLs) that were seen, with the mark left on them (a digest of what was seen)."""

    def mark(self, source: str, marks: Mapping[str, str], *, at: datetime) -> None:
        """Remember keys with their marks."""


class Audit(Protocol):
    """Append-only."""

    def record(self, entry: AuditEntry) -> None:
        """Append one."""

    def last(self, limit: int = 100) -> list[AuditEntry]:
        """Newest first."""


class Leases(Protocol):
    """Rights that one process has at a time. Times are those of the database's clock, which all hosts share."""

    def take(
        self, name: str, *, holder: str, place: str, seconds: float, gone: Callable[[str], bool]
    ) -> Lease | None:
        """The lease under a new token, when nobody has it, it has expired, or its holder's place is ``gone``."""

    def renew(self, lease: Lease, *, seconds: float) -> bool:
        """Have it for longer; False when another holder has taken it."""

    def release(self, lease: Lease) -> None:
        """Let it expire now; nothing when another holder has taken it."""

    def get(self, name: str) -> Lease | None:
        """Who has it; None when nobody does."""


class Ledger(Examined, Protocol):
    """All repositories over one database. Every method raises ``StoreError`` when the database refuses."""

    states: States
    signals: Signals
    alerts: Alerts
    outbox: Outbox
    incidents: Incidents
    journal: Journal
    plan_runs: PlanRuns
    silences: Silences
    corrections: Corrections
    source_runs: SourceRuns
    audit: Audit
    leases: Leases

    def close(self) -> None:
        """Release connections."""


def open_ledger(url: str, access: Access = NO_ACCESS) -> Ledger:
    """The ledger at an address, its schema brought to this version.

    ``sqlite:///path``, or ``postgresql+psycopg://user@host:5432/database`` with the password in ``access``.
    Raises ``ConfigError`` for another scheme, ``StoreError``.
    """
    from store.ledger.sql import SqlLedger

    if url.startswith("postgresql+psycopg:"):
        return SqlLedger.postgresql(url, access)
    others = "，或 postgresql+psycopg://用户@主机:5432/库名"
    return SqlLedger.sqlite(sqlite_path(url, "台账 YUJING_LEDGER_URL ", others=others))
