"""The walk down a list, from its newest post to what was known before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from crawlers.marks import Mark

MOST = 0.8
"""Share of a page. Not all: a known post may be pinned, or somebody has answered it; on the page where the new ones
end there may be as few."""


@dataclass(kw_only=True, slots=True)
class Walk:
    """That of one crawl down one list."""

    since: datetime | None = None
    """When the crawl began that was broken off before its walk was through: what was taken from then on is no known
    post, for behind it there is what nobody took. None: the last walk was through."""
    through: bool = False
    """It met known posts, or the list's end, or came as far as a walk may."""
    _listed: set[str] = field(default_factory=set)
    _new: bool = True
    _repeats: int = 0

    def mostly_new(self, page: Mapping[str, Mark | None]) -> bool:
        """Whether most of the next page's posts, given with their marks, are new; not those of pages before.

        A page that only repeats says what the one before it said: so many posts may have come in between that the list
        moved by a page. The second in a row is of a site that has no further pages.
        """
        fresh = [mark for native, mark in page.items() if native not in self._listed]
        self._listed |= page.keys()
        if fresh:
            self._repeats = 0
            self._new = sum(not self._knew(mark) for mark in fresh) >= MOST * len(fresh)
        else:
            self._repeats += 1
        return self._new and self._repeats < 2

    def _knew(self, mark: Mark | None) -> bool:
        """Whether a post was taken before this walk, or the one that it takes up, began."""
        return mark is not None and not (self.since and mark.taken and mark.taken >= self.since)
