"""What happened, beside the posts in Elasticsearch: a copy of the ledger's events for people who look in Kibana.

The ledger stays the truth; nothing reads this copy back. An embedded installation has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from config.settings import NO_ACCESS, Access
from store.findings import Examined

SCHEMES = ("elasticsearch", "https")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One document; stored again, it replaces itself."""

    id: str
    """Made of what it tells, so that a replay doubles nothing."""
    kind: str
    """alert, incident, timeline, delivery, source_run, dead_letter."""
    at: datetime
    """Aware UTC; never changes, for it names the index of the event."""
    body: Mapping[str, object]
    """Further fields, as in ``deploy/elasticsearch/events/template.json``; empty ones are left out."""
    version: int | None = None
    """Grows as the event changes: a smaller one never replaces a greater one. None: it does not change."""


class Events(Examined, Protocol):
    """The copy. Every method but those of ``Examined`` raises ``StoreError`` when the backend refuses."""

    def put(self, events: Sequence[Event]) -> None:
        """Store them. What was stored before an error stays: put them all again."""

    def any(self) -> bool:
        """Whether anything was ever stored; False after the cluster was made anew."""

    def close(self) -> None:
        """Release connections."""


def has_events(url: str) -> bool:
    """Whether there are events beside the posts of an address."""
    return urlsplit(url).scheme in SCHEMES


def open_events(url: str, access: Access = NO_ACCESS, *, patience_s: float | None = None) -> Events | None:
    """The events beside the posts of an address; None where posts are embedded. Raises ``ConfigError``.

    ``patience_s``: how long a server that does not answer is asked again, None: as long as suits a service.
    """
    if not has_events(url):
        return None
    from store.events.elastic import PATIENCE_S, ElasticEvents

    return ElasticEvents.at(url, access, patience_s=PATIENCE_S if patience_s is None else patience_s)
