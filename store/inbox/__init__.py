"""The inbox: a durable queue of posts between the crawlers and the classifier.

At least once: what is leased and not acknowledged comes back when its lease runs out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from domain.post import Post


@dataclass(frozen=True, kw_only=True, slots=True)
class Leased:
    """A post in somebody's hands until its lease runs out."""

    token: str
    """Names this lease; a token whose lease ran out acknowledges nothing."""
    post: Post
    tries: int
    """How often it was leased, this time included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Depth:
    """How much waits."""

    waiting: int
    leased: int
    dead: int
    oldest: datetime | None
    """When the oldest waiting post was put; None when nothing waits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A post that could not be processed, with its reason."""

    post: Post
    reason: str
    at: datetime


class Inbox(Protocol):
    """A durable queue of posts. Every method raises ``StoreError`` when the backend refuses."""

    def put(self, posts: Sequence[Post], *, now: datetime) -> int:
        """Store posts, all or none; returns how many were added (an identical waiting copy is not)."""

    def lease(self, limit: int, *, now: datetime, lease: timedelta) -> list[Leased]:
        """The oldest waiting posts, at most ``limit``, hidden from others until ``now + lease``."""

    def acknowledge(self, tokens: Sequence[str]) -> int:
        """Remove what was done; returns how many tokens were still good."""

    def bury(self, token: str, *, reason: str, now: datetime) -> None:
        """Move a poison post to the dead letters."""

    def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters."""

    def depth(self, *, now: datetime) -> Depth:
        """How much waits, is leased, is dead, and since when."""

    def close(self) -> None:
        """Release files and connections."""
