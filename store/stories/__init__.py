"""Which posts are copies of one another, as far as is remembered: one table that all workers share."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config.settings import NO_ACCESS, Access


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """One remembered post."""

    post: str
    story: str
    """Id of the story's first post."""
    at: float
    """Publication, seconds since the epoch."""
    account: str
    """Key of a private account; empty for media and where it is unknown."""
    signature: bytes
    """MinHash values; empty for a text too short to compare."""


class Rows(Protocol):
    """The table in the hands of one worker, alone, until its transaction ends."""

    def story_of(self, post: str) -> str | None:
        """The story of a post that is remembered."""

    def firsts(self, keys: Sequence[int], *, least: int) -> list[Kept]:
        """First posts of stories that share at least ``least`` of the bands."""

    def add(self, kept: Kept, keys: Sequence[int]) -> None:
        """Remember a post; ``keys`` are the bands by which it is found, 63-bit numbers."""

    def accounts(self, story: str, *, since: float, until: float, limit: int) -> list[str]:
        """Private accounts that published the story within a time."""

    def acts(self, accounts: Sequence[str], *, near: float, limit: int) -> list[tuple[str, str, float]]:
        """What these accounts published, as (account, story, at), nearest to a time first."""

    def cut(self, *, keep: float, most: int) -> None:
        """Forget what is more than ``keep`` seconds older than the newest post, and the oldest beyond ``most``."""


class StoryTable(Protocol):
    """Every method raises ``StoreError`` when the backend refuses."""

    def writing(self) -> AbstractContextManager[Rows]:
        """A transaction that one worker at a time is in; rolled back on any exception."""

    def size(self) -> int:
        """How many posts are remembered."""

    def close(self) -> None:
        """Release files and connections."""


def open_stories(url: str, access: Access = NO_ACCESS) -> StoryTable:
    """The table at an address: ``sqlite:///path``, or the ledger's ``postgresql+psycopg://…`` for several hosts.

    Raises ``ConfigError`` for another scheme, ``StoreError``.
    """
    if url.startswith("postgresql"):
        from store.stories.postgresql import PostgresqlStories

        return PostgresqlStories(url, access)
    from store.stories.sqlite import SqliteStories

    return SqliteStories(Path(url.removeprefix("sqlite:///")))
