"""The inbox: a durable queue of posts between the crawlers and the classifier.

At least once: what is leased and not acknowledged comes back when its lease runs out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from config.settings import NO_ACCESS, Access
from domain.post import Post
from store.embedded import sqlite_path
from store.findings import Examined


@dataclass(frozen=True, kw_only=True, slots=True)
class Leased:
    """A post in somebody's hands until its lease runs out."""

    token: str
    """Names this lease; once the post is leased anew, an older token acknowledges and buries nothing."""
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


class Inbox(Examined, Protocol):
    """A durable queue of posts. Every method raises ``StoreError`` when the backend refuses.

    What ``put`` returned for has reached the disk; texts come back with NUL and lone surrogates as U+FFFD.
    """

    def put(self, posts: Sequence[Post], *, now: datetime) -> int:
        """Store posts, all or none; returns how many were added.

        A copy identical in every field to one that waits or is leased is not added again.
        """

    def lease(self, limit: int, *, now: datetime, lease: timedelta) -> list[Leased]:
        """The oldest waiting posts, at most ``limit``, hidden from others until ``now + lease``."""

    def give_back(self, leased: Sequence[Leased]) -> None:
        """As if they had not been leased: they wait again, with the tries of before."""

    def acknowledge(self, tokens: Sequence[str]) -> int:
        """Remove what was done; returns how many tokens were still good."""

    def bury(self, token: str, *, reason: str, now: datetime) -> None:
        """Move a poison post to the dead letters; a token that is no longer good moves nothing."""

    def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, the last that was buried first."""

    def revive(self, *, now: datetime) -> int:
        """Put every dead letter back among the waiting posts, with no tries; returns how many there were."""

    def depth(self, *, now: datetime) -> Depth:
        """How much waits, is leased, is dead, and since when."""

    def close(self) -> None:
        """Release files and connections."""


def open_inbox(url: str, access: Access = NO_ACCESS) -> Inbox:
    """The inbox at an address: ``sqlite:///path`` or ``redis[s]://[user@]host[:port][/db][?prefix=name]``.

    Raises ``ConfigError`` for another scheme, ``StoreError`` for a backend that refuses.
    """
    if url.partition("://")[0] in ("redis", "rediss"):
        from store.inbox.redis import open_redis

        return open_redis(url, access)
    others = "，或 redis://用户@主机:6379/0、rediss://…"
    path = sqlite_path(url, "收件队列 YUJING_INBOX_URL ", others=others)
    from store.inbox.sqlite import SqliteInbox

    return SqliteInbox(path)
