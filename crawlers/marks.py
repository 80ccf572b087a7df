"""Marks left on what was seen: enough to know whether it changed, without keeping it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from crawlers.dates import Stamp, day
from domain.post import Engagement, Post

MAX_TRIES = 3
"""Crawls that try to get the whole text of a post before its summary is taken for all there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What is remembered of a post that was put into the inbox."""

    first: datetime
    """Time of publication given at first sight; relative dates drift, this stays."""
    date_only: bool = False
    """``first`` is a day, given or assumed: a time that comes later takes its place."""
    engagement: Engagement
    short: int = 0
    """How often only part of its text could be had; 0: it is whole."""
    taken: datetime | None = None
    """When it was first put; None where that was not noted, which was long ago."""

    @classmethod
    def of(cls, post: Post, *, short: int = 0, taken: datetime | None = None) -> Mark:
        """The mark of a post that was put."""
        return cls(
            first=post.published_at,
            date_only=post.date_only,
            engagement=post.engagement,
            short=short,
            taken=taken,
        )

    @property
    def settled(self) -> bool:
        """Nothing is to be gained from fetching its text again."""
        return self.short == 0 or self.short >= MAX_TRIES

    @property
    def stamp(self) -> Stamp:
        """The time of publication."""
        return Stamp(at=self.first, date_only=self.date_only)

    def awaits(self, stamp: Stamp | None) -> bool:
        """Whether this is the time that takes the place of the day."""
        return self.date_only and stamp is not None and not stamp.date_only

    def __str__(self) -> str:
        e = self.engagement
        first = self.stamp.iso() if self.date_only else self.first.isoformat()
        taken = f"|{self.taken.isoformat()}" if self.taken else ""
        return f"{first}|{e.reposts},{e.comments},{e.likes},{e.views}|{self.short}{taken}"

    @classmethod
    def read(cls, text: str) -> Mark | None:
        """The mark of its ``str``; None for anything else, which then counts as unseen."""
        try:
            first, counts, short, *taken = text.split("|")
            reposts, comments, likes, views = (int(n) for n in counts.split(","))
            engagement = Engagement(reposts=reposts, comments=comments, likes=likes, views=views)
            date_only = "T" not in first
            at = day(*map(int, first.split("-"))).at if date_only else datetime.fromisoformat(first)
            return cls(
                first=at,
                date_only=date_only,
                engagement=engagement,
                short=int(short),
                taken=datetime.fromisoformat(taken[0]) if taken else None,
            )
        except ValueError:
            return None
