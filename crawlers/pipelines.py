"""From drafts to the inbox: mask → dedupe → put, and only then remember that they were seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from crawlers.draft import Draft, Reject, Unusable, to_post
from crawlers.marks import Mark
from crawlers.rejects import Rejects
from domain.errors import StoreError
from domain.post import Post, Tier
from store.inbox import Inbox
from store.ledger import SourceRuns

GIVEN_UP = timedelta(days=1)
"""So long it is tried to read a list that was left unread; what is behind then comes too late for an alert."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Harvest:
    """What a spider took from one page."""

    drafts: tuple[Draft, ...] = ()
    rejects: tuple[Reject, ...] = ()
    short: bool = False
    """Only part of these posts' text could be had; a later crawl tries again."""


@dataclass(kw_only=True, slots=True)
class Counts:
    """Of one crawl of one source."""

    new: int = 0
    refreshed: int = 0
    rejected: int = 0


class Intake:
    """Takes the drafts of one source; hands posts to the inbox in batches.

    A batch is put before its marks are written: a kill in between brings the posts again, which every
    later stage takes for the same posts; the other order would lose them.
    """

    def __init__(
        self,
        *,
        source: str,
        platform: str,
        tier: Tier,
        inbox: Inbox,
        seen: SourceRuns,
        rejects: Rejects,
        secret: bytes,
        now: Callable[[], datetime],
        batch: int = 200,
        linger_s: float = 2.0,
    ) -> None:
        self.source = source
        self.counts = Counts()
        self.failure: StoreError | OSError | None = None
        self._identity = {"platform": platform, "source": source, "tier": tier, "secret": secret}
        self._inbox, self._seen, self._rejects, self._now = inbox, seen, rejects, now
        self._batch, self._linger_s = batch, linger_s
        self._posts: list[Post] = []
        self._marks: dict[str, str] = {}
        self._done: set[str] = set()
        self._begun: set[str] = set()
        self._since = time.monotonic()

    @property
    def first(self) -> bool:
        """Whether no crawl of the source saw anything yet. Raises ``StoreError``."""
        return self.source not in self._seen.last_seeing()

    def known(self, natives: Sequence[str]) -> Mapping[str, Mark]:
        """Marks of those native ids that were seen in earlier crawls. Raises ``StoreError``."""
        found = self._seen.seen(self.source, natives) if natives else {}
        marks = {native: Mark.read(text) for native, text in found.items()}
        return {native: mark for native, mark in marks.items() if mark}

    def begin(self, name: str, *, at: datetime) -> datetime | None:
        """Note that a list is being read: not later than its first posts, so that a kill leaves the note.

        Returns when the crawl began that left it unread, where one did. Raises ``StoreError``.
        """
        self._begun.add(name)
        note = self._seen.seen(self.source, [_note(name)]).get(_note(name))
        since = datetime.fromisoformat(note) if note else None
        if since and at - since <= GIVEN_UP:
            return since
        self._marks[_note(name)] = at.isoformat()
        return None

    def finish(self, names: Iterable[str]) -> None:
        """These lists were read to what was known, and all of it is kept. Raises ``StoreError``."""
        self._marks |= {_note(name): "" for name in names if name in self._begun}
        self.flush()

    def take(self, harvest: Harvest) -> None:
        """Accept what a page brought. Raises ``StoreError`` or ``OSError`` when it cannot be kept."""
        self._refuse(harvest.rejects)
        fresh = {d.native_id: d for d in harvest.drafts if d.native_id not in self._done}
        known = self.known(list(fresh))
        for native, draft in fresh.items():
            self._offer(draft, known.get(native), harvest.short)
        if len(self._posts) >= self._batch or time.monotonic() - self._since > self._linger_s:
            self.flush()

    def flush(self) -> None:
        """Put what is gathered, then remember it. Raises ``StoreError``."""
        now = self._now()
        if self._posts:
            self._inbox.put(self._posts, now=now)
        if self._marks:
            self._seen.mark(self.source, self._marks, at=now)
        self._posts, self._marks = [], {}
        self._since = time.monotonic()

    def _offer(self, draft: Draft, mark: Mark | None, short: bool) -> None:
        same = mark is not None and mark.engagement == draft.engagement and not mark.awaits(draft.stamp)
        if mark and same and mark.settled:
            return
        try:
            post = to_post(draft, **self._identity, now=self._now(), first=mark.stamp if mark else None)  # type: ignore[arg-type]
        except Unusable as error:
            author = (draft.author_name, draft.author_id)
            self._refuse((Reject(reason=str(error), raw=str(draft), author=author),))
            return
        self._done.add(draft.native_id)
        if mark and short and not mark.short:
            return  # all of its text is stored: a part of it must not replace that
        tries = (mark.short if mark else 0) + 1 if short else 0
        if mark and short and same:
            self._marks[draft.native_id] = str(replace(mark, short=tries))
            return
        self._posts.append(post)
        self._marks[draft.native_id] = str(
            Mark.of(post, short=tries, taken=mark.taken if mark else post.fetched_at)
        )
        self.counts.refreshed += mark is not None
        self.counts.new += mark is None

    def _refuse(self, rejects: Sequence[Reject]) -> None:
        self.counts.rejected += len(rejects)
        self._rejects.write(self.source, rejects, now=self._now())


def _note(name: str) -> str:
    """Key of a list among the marks; no post is called so."""
    return f"list\0{name}"


@dataclass(slots=True)
class InboxPipeline:
    """Scrapy's item pipeline: an item is the ``Harvest`` of a page, for the spider's own ``Intake``."""

    crawler: Any
    _stopped: bool = field(default=False)

    @classmethod
    def from_crawler(cls, crawler: Any) -> InboxPipeline:
        """As Scrapy makes it."""
        return cls(crawler)

    def process_item(self, item: Harvest) -> Harvest:
        """Hand a harvest over; when the store refuses, the crawl ends and says so."""
        if not self._attempt(lambda: self._intake.take(item)):
            self.crawler.spider.stop()
        return item

    def close_spider(self) -> None:
        """Put the last batch."""
        self._attempt(self._intake.flush)

    @property
    def _intake(self) -> Intake:
        intake: Intake = self.crawler.spider.intake
        return intake

    def _attempt(self, act: Callable[[], None]) -> bool:
        """False for the first failure; after it nothing more is tried."""
        if self._stopped:
            return True
        try:
            act()
        except (StoreError, OSError) as error:
            self._stopped = True
            self._intake.failure = error
            return False
        return True
