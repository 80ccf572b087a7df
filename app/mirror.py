"""Copies what happened from the ledger, and the dead letters, to where Kibana sees it: beside the posts.

At least once: how far it came is kept in the ledger, and what was copied again replaces itself. No failure of it
reaches the alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TypeVar

from domain.alert import Alert
from domain.errors import StoreError
from domain.local_time import spoken
from domain.source_run import SourceRun
from store.events import Event, Events, documents
from store.findings import Finding
from store.inbox import DeadLetter, Inbox
from store.ledger import Appended, Ledger, Notification

STATE = "mirror"
"""Kind of its documents among the ledger's states: a place for each kind of event, and ``STATUS``."""
STATUS = "status"
"""``last_success``, ``error`` (empty when the last run went well), ``error_since``: times in ISO 8601, or null."""
OVERLAP = timedelta(minutes=15)
"""What is younger is copied again: a slow writer's row may appear behind the place that was reached."""
LATE = timedelta(minutes=10)
"""Further behind, the copy is worth a word."""
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
DEAD = 500
"""Dead letters in the first question; four times as many in the next."""

What = TypeVar("What")
Place = Mapping[str, object]


class Mirror:
    """Brings the copy up to date when asked. ``mask`` hides personal data in what people and servers wrote."""

    def __init__(self, *, events: Events, ledger: Ledger, inbox: Inbox, mask: Callable[[str], str]) -> None:
        self._events, self._ledger, self._inbox, self._mask = events, ledger, inbox, mask

    def run(self, now: datetime) -> None:
        """Copy what is new or has changed.

        Raises ``StoreError`` when that fails for a reason that was not told the last time; the next run goes on
        where this one ended.
        """
        places = self._ledger.states.load(STATE)
        status = places.get(STATUS, {})
        try:
            self._copy(places, now)
        except StoreError as error:
            since = status.get("error_since") or now.isoformat()
            self._save(STATUS, {**status, "error": str(error), "error_since": since})
            if status.get("error") != str(error):
                raise
        else:
            self._save(STATUS, {"last_success": now.isoformat(), "error": "", "error_since": None})

    def examine(self, now: datetime) -> list[Finding]:
        """Whether its indices are as they should be, and how far it is behind."""
        status = self._ledger.states.load(STATE).get(STATUS, {})
        last, error = status.get("last_success"), str(status.get("error", ""))
        reached = (
            f"复制到 {spoken(datetime.fromisoformat(last))}" if isinstance(last, str) else "还没有复制过"
        )
        late = isinstance(last, str) and now - datetime.fromisoformat(last) > LATE
        remedy = (
            "先解决所说的问题；恢复后会自动补上" if error else "看看 yujing watch 是否在运行" if late else ""
        )
        copied = Finding(
            subject="复制",
            ok=not error and not late,
            text=reached + (f"，此后未成功：{error}" if error else ""),
            remedy=remedy,
        )
        return [*self._events.examine(), copied]

    def mend(self) -> list[Finding]:
        """Put its indices right."""
        return self._events.mend()

    def _copy(self, places: Mapping[str, Place], now: datetime) -> None:
        if not self._events.any():
            places = {}
        settled, journal = now - OVERLAP, self._ledger.journal
        kinds: dict[str, Callable[[Place], Iterator[Place]]] = {
            "alert": lambda place: self._by_time(self._alerts, place, settled),
            "incident": lambda place: self._by_number(journal.incidents, self._of_incidents, place, settled),
            "delivery": lambda place: self._by_time(self._deliveries, place, settled),
            "source_run": lambda place: self._by_number(journal.source_runs, self._of_runs, place, settled),
            "dead_letter": lambda place: self._by_time(self._dead_letters, place, settled),
        }
        refused = None
        for kind, copied in kinds.items():
            try:
                for reached in copied(places.get(kind, {})):
                    self._save(kind, reached)
            except StoreError as error:
                # What is refused for good says nothing of the other kinds; an engine that is away says all.
                if not error.permanent:
                    raise
                refused = refused or error
        if refused:
            raise refused

    def _save(self, key: str, document: Place) -> None:
        self._ledger.states.save(STATE, {key: dict(document)})

    # ------------------------------------------------------------------ ways through the ledger

    def _by_time(
        self, pages: Callable[[datetime], Iterator[list[Event]]], place: Place, settled: datetime
    ) -> Iterator[Place]:
        """Everything that changed since a time; the place is reached when all of it is copied."""
        for page in pages(_since(place)):
            self._events.put(page)
        yield {"at": settled.isoformat()}

    def _by_number(
        self,
        ask: Callable[..., list[Appended[What]]],
        told: Callable[[Sequence[What]], list[Event]],
        place: Place,
        settled: datetime,
    ) -> Iterator[Place]:
        """Everything appended after a number; the place moves only over what is old enough."""
        reached = position = _number(place)
        while page := ask(after=position):
            self._events.put(told([each.what for each in page]))
            if reached == position:
                old = list(takewhile(lambda each: each.at < settled, page))
                reached = old[-1].n if old else reached
            position = page[-1].n
            yield {"n": reached}

    # ------------------------------------------------------------------ from nouns to events

    def _alerts(self, since: datetime) -> Iterator[list[Event]]:
        after = ""
        while page := self._ledger.journal.alerts(since=since, after=after):
            after = page[-1][-1].id
            yield [event for revisions in page for event in documents.of_alert(revisions, self._mask)]

    def _deliveries(self, since: datetime) -> Iterator[list[Event]]:
        after = ""
        while page := self._ledger.journal.deliveries(since=since, after=after):
            after = page[-1].id
            alerts = self._alerts_of(page)
            yield [documents.of_delivery(each, alerts[each.alert], self._mask) for each in page]

    def _alerts_of(self, notifications: Sequence[Notification]) -> dict[str, Alert | None]:
        return {id_: self._ledger.alerts.get(id_) for id_ in {each.alert for each in notifications}}

    def _of_incidents(self, ids: Sequence[str]) -> list[Event]:
        events: list[Event] = []
        for id_ in dict.fromkeys(ids):
            incident = self._ledger.incidents.get(id_)
            if incident is not None:
                timeline = self._ledger.incidents.timeline(id_)
                events.append(documents.of_incident(incident, self._mask))
                events += documents.of_timeline(incident, timeline, self._mask)
        return events

    def _of_runs(self, runs: Sequence[SourceRun]) -> list[Event]:
        return [documents.of_source_run(run, self._mask) for run in runs]

    def _dead_letters(self, since: datetime) -> Iterator[list[Event]]:
        yield [documents.of_dead_letter(letter, self._mask) for letter in _dead_since(self._inbox, since)]


def _dead_since(inbox: Inbox, since: datetime) -> list[DeadLetter]:
    """The inbox tells the newest first, so it is asked for more until the oldest told is too old."""
    limit = DEAD
    while True:
        found = inbox.dead(limit=limit)
        if len(found) < limit or found[-1].at < since:
            return [letter for letter in found if letter.at >= since]
        limit *= 4


def _since(place: Place) -> datetime:
    at = place.get("at")
    return datetime.fromisoformat(at) if isinstance(at, str) else BEGINNING


def _number(place: Place) -> int:
    n = place.get("n")
    return n if isinstance(n, int) else 0
