"""Counts as arrays: which series there are, and how many posts each had in every 5-minute bucket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from store.posts import Posts

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]

STEP_S = 300
"""Seconds of a bucket; buckets are aligned to the epoch."""
PER_HOUR = 12
PER_DAY = 288
LOCAL_SHIFT = 8 * PER_HOUR
"""Asia/Shanghai is UTC+8 the year round: buckets to add for local hours."""

POSTS, NEGATIVE, STORIES = 0, 1, 2
"""Measures: all posts, negative posts, distinct stories among the negative ones."""


def bucket_of(at: datetime) -> int:
    """Number of the bucket that holds ``at`` (buckets since the epoch)."""
    return int(at.timestamp() // STEP_S)


def time_of(bucket: int) -> datetime:
    """Aware UTC start of a bucket."""
    return datetime.fromtimestamp(bucket * STEP_S, tz=UTC)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which series there are: for every brand the whole brand, then one series a topic."""

    brands: tuple[str, ...]
    topics: tuple[str, ...]

    @property
    def width(self) -> int:
        """Series of one brand."""
        return 1 + len(self.topics)

    @property
    def size(self) -> int:
        """All series."""
        return len(self.brands) * self.width

    def key(self, index: int) -> tuple[str, str]:
        """Brand and topic (empty: whole brand) of a series."""
        brand, topic = divmod(index, self.width)
        return self.brands[brand], self.topics[topic - 1] if topic else ""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Counts of all series in the buckets [first, first + n)."""

    first: int
    counts: Floats
    """[measure, series, bucket]"""

    @property
    def end(self) -> int:
        """The bucket after the last."""
        return self.first + int(self.counts.shape[2])

    def part(self, since: int, until: int) -> Floats:
        """Counts of the buckets [since, until), which must lie inside."""
        return self.counts[:, :, since - self.first : until - self.first]


class Counts(Protocol):
    """Where counts come from: the posts store, or a file that is replayed."""

    def read(self, layout: Layout, since: int, until: int) -> Window:
        """Counts of the buckets [since, until)."""


class StoredCounts:
    """Counts from the posts store."""

    def __init__(self, posts: Posts) -> None:
        self._posts = posts

    def read(self, layout: Layout, since: int, until: int) -> Window:
        """One query for the whole range."""
        counts = np.zeros((3, layout.size, max(0, until - since)))
        place = {layout.key(i): i for i in range(layout.size)}
        rows = self._posts.counts(
            since=time_of(since), until=time_of(until), step_s=STEP_S, brands=layout.brands, topics=True
        )
        for row in rows:
            index = place.get((row.brand, row.topic))
            if index is not None:
                at = bucket_of(row.bucket) - since
                counts[:, index, at] = (row.posts, row.negative, row.negative_stories)
        return Window(first=since, counts=counts)
