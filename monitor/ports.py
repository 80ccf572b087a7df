"""What the watch asks of stores: the posts behind a count, and four repositories of the ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from domain.assessment import Sentiment
from store.ledger import Alerts, Signals, SourceRuns, States
from store.posts import Judged


class TopPosts(Protocol):
    """The posts behind a count; ``store.posts.Posts`` is one."""

    def top(
        self,
        *,
        brand: str,
        since: datetime,
        until: datetime,
        topic: str = "",
        sentiment: Sentiment | None = Sentiment.NEGATIVE,
        limit: int = 10,
        per_story: int = 1,
    ) -> list[Judged]:
        """The most influential posts, at most ``per_story`` of one story."""


class WatchLedger(Protocol):
    """The repositories of the ledger that the watch needs."""

    @property
    def states(self) -> States:
        """Baselines."""

    @property
    def signals(self) -> Signals:
        """What detectors found."""

    @property
    def alerts(self) -> Alerts:
        """Alerts and their revisions."""

    @property
    def source_runs(self) -> SourceRuns:
        """How crawls ended."""
