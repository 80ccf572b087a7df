"""Near-duplicates as one story, in a small table that all workers share (``store.stories``).

MinHash by datasketch over 3-character shingles; sixteen bands of four find the candidates, the signatures' agreement
decides. Only the last days are kept, so memory and disk are bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.clean import normalise, own_words
from nlp.coordination import WINDOW_S, Act, suspicion
from nlp.minhash import shingles
from store.stories import Kept, Rows, StoryTable

PERMUTATIONS = 64
BANDS = 16
ALIKE = 0.8
SHARED = BANDS - int(PERMUTATIONS * (1 - ALIKE))
"""Bands that two signatures share at least when they are alike: each unequal value breaks one of them. Texts of one
template with other numbers share fewer, and there may be thousands of them."""
LEAST = 6
"""Shingles below which a text is too short to be a copy of anything but itself."""
READ = 2_000
"""Characters of a text that are compared."""
CUT_AFTER = 5_000
"""Posts between two times of forgetting."""
_SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """A post as the stories see it."""

    post: str
    text: str
    at: datetime
    account: str = ""
    """Key of a private account; empty for media, who print the same agency text as a matter of course."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Where a post belongs."""

    story: str
    """Id of the story's first post."""
    coordination: float
    """Suspicion that accounts act together, 0..1."""


class Stories:
    """Story ids. The same post always gets the same one while it is remembered; several processes agree.

    ``table`` is shared by all workers. ``keep``: how long a post is remembered after the newest one; ``most``: how
    many posts at most.
    """

    def __init__(
        self, table: StoryTable, *, keep: timedelta = timedelta(days=7), most: int = 200_000
    ) -> None:
        self._table, self._keep, self._most = table, keep.total_seconds(), most
        self._since_cut = CUT_AFTER  # a worker that only ever places a few posts forgets as well
        self._empty: Any = None

    def close(self) -> None:
        """Release the table."""
        self._table.close()

    def assign(self, post_id: str, text: str, published_at: datetime) -> str:
        """Story id of one post. Raises ``StoreError``."""
        return self.place([Told(post=post_id, text=text, at=published_at)])[0].story

    def place(self, told: Sequence[Told]) -> list[Placed]:
        """Stories of many posts, in order, in one transaction. Raises ``StoreError``."""
        signed = [self._signature(t.text) for t in told]
        with self._table.writing() as rows:
            stories = [self._story(rows, t, s) for t, s in zip(told, signed, strict=True)]
            placed = [
                Placed(story=story, coordination=_suspicion(rows, story, t))
                for story, t in zip(stories, told, strict=True)
            ]
            self._since_cut += len(told)
            if self._since_cut >= CUT_AFTER:
                rows.cut(keep=self._keep, most=self._most)
                self._since_cut = 0
        return placed

    def _signature(self, text: str) -> NDArray[np.uint32] | None:
        """MinHash of what the author wrote himself; None for a text too short to compare."""
        from datasketch import MinHash

        plain = normalise(text[: 4 * READ])[:READ]
        marks = shingles(own_words(plain))
        if not len(marks):
            marks = shingles(plain)
        if len(marks) < LEAST:
            return None
        if self._empty is None:
            self._empty = MinHash(num_perm=PERMUTATIONS, seed=_SEED, hashfunc=_as_is)
        made = self._empty.copy()
        made.update_batch((marks & np.uint64(0xFFFFFFFF)).tolist())
        values: NDArray[np.uint32] = made.hashvalues.astype(np.uint32)
        return values

    def _story(self, rows: Rows, told: Told, signature: NDArray[np.uint32] | None) -> str:
        known = rows.story_of(told.post)
        if known:
            return known
        at = told.at.timestamp()
        story = told.post
        keys: list[int] = []
        if signature is not None:
            keys = _keys(signature)
            story = self._nearest(rows.firsts(keys, least=SHARED), signature, at) or told.post
        blob = b"" if signature is None else signature.tobytes()
        kept = Kept(post=told.post, story=story, at=at, account=told.account, signature=blob)
        # Copies are found through the story's first post: bands stay few in a flood.
        rows.add(kept, keys if story == told.post else ())
        return story

    def _nearest(self, firsts: Sequence[Kept], signature: NDArray[np.uint32], at: float) -> str | None:
        best: tuple[float, float, str] | None = None
        for first in firsts:
            alike = float((np.frombuffer(first.signature, np.uint32) == signature).mean())
            if alike >= ALIKE and abs(first.at - at) <= self._keep:
                best = max(best or (0.0, 0.0, ""), (alike, -first.at, first.story))
        return best[2] if best else None


def _suspicion(rows: Rows, story: str, told: Told) -> float:
    at = told.at.timestamp()
    here = rows.accounts(story, since=at - WINDOW_S, until=at + WINDOW_S, limit=200)
    if len(here) < 3 or not told.account:
        return 0.0
    acts: list[Act] = rows.acts(here, near=at, limit=1000)
    return suspicion(acts, story, at)


def _as_is(value: int) -> int:
    return value


def _keys(signature: NDArray[np.uint32]) -> list[int]:
    """One 63-bit number a band: its place and its four hashes."""
    width = PERMUTATIONS // BANDS
    return [
        hash((band, *struct.unpack(f"<{width}I", signature[band * width : (band + 1) * width].tobytes())))
        >> 1
        for band in range(BANDS)
    ]
