"""The questions to the table, in the SQL that both databases speak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from store.stories import Kept

Execute = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""Runs one statement with ``?`` for values and returns its rows."""


class SqlRows:
    """See ``store.stories.Rows``."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def story_of(self, post: str) -> str | None:
        """The story of a post that is remembered."""
        found = self._execute("SELECT story FROM story_posts WHERE post = ?", (post,))
        return str(found[0][0]) if found else None

    def firsts(self, keys: Sequence[int], *, least: int) -> list[Kept]:
        """First posts of stories that share at least so many of the bands."""
        rows = self._execute(
            "SELECT post, story, at, account, signature FROM story_posts WHERE post IN"
            f" (SELECT post FROM story_bands WHERE key IN ({_marks(keys)}) GROUP BY post HAVING count(*) >= ?)",
            (*keys, least),
        )
        return [
            Kept(post=post, story=story, at=at, account=account, signature=bytes(signature))
            for post, story, at, account, signature in rows
        ]

    def add(self, kept: Kept, keys: Sequence[int]) -> None:
        """Remember a post."""
        values = (kept.post, kept.story, kept.at, kept.account, kept.signature)
        self._execute(
            "INSERT INTO story_posts (post, story, at, account, signature) VALUES (?, ?, ?, ?, ?)", values
        )
        if keys:
            self._execute(
                f"INSERT INTO story_bands (key, post) VALUES {', '.join(['(?, ?)'] * len(keys))}",
                [value for key in keys for value in (key, kept.post)],
            )

    def accounts(self, story: str, *, since: float, until: float, limit: int) -> list[str]:
        """Private accounts that published the story within a time."""
        rows = self._execute(
            "SELECT DISTINCT account FROM story_posts WHERE story = ? AND at BETWEEN ? AND ? AND account <> ''"
            " LIMIT ?",
            (story, since, until, limit),
        )
        return [str(account) for (account,) in rows]

    def acts(self, accounts: Sequence[str], *, near: float, limit: int) -> list[tuple[str, str, float]]:
        """What these accounts published, nearest to a time first."""
        rows = self._execute(  # accounts are never empty; to say so is what lets SQLite use the partial index
            f"SELECT account, story, at FROM story_posts WHERE account IN ({_marks(accounts)}) AND account <> ''"
            " ORDER BY abs(at - ?) LIMIT ?",
            (*accounts, near, limit),
        )
        return [(account, story, at) for account, story, at in rows]

    def cut(self, *, keep: float, most: int) -> None:
        """Forget what is too old or too much."""
        ((newest, count),) = self._execute("SELECT max(at), count(*) FROM story_posts", ())
        oldest = float(newest or 0) - keep
        if count > most:
            ((last,),) = self._execute(
                "SELECT at FROM story_posts ORDER BY at DESC LIMIT 1 OFFSET ?", (most,)
            )
            oldest = max(oldest, float(last))
        self._execute(
            "DELETE FROM story_bands WHERE post IN (SELECT post FROM story_posts WHERE at <= ?)", (oldest,)
        )
        self._execute("DELETE FROM story_posts WHERE at <= ?", (oldest,))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
