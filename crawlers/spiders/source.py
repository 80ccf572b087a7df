"""What every spider shares: its source, its lists, and what became of each of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

import scrapy
from scrapy.http import Request, Response

from config.settings import Source
from crawlers.draft import Draft
from crawlers.failures import explain
from crawlers.health import Listing
from crawlers.marks import Mark
from crawlers.pipelines import Harvest, Intake
from crawlers.urls import same_origin
from crawlers.walks import Walk
from domain.source_run import Outcome

SURGE = 10
"""Times ``pages`` that a list is walked at most, while most of what is on it is new."""


class SourceSpider(scrapy.Spider):
    """Walks the lists of one source; subclasses say where lists are and how a page of one is read."""

    name = "source"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(
        self, *, source: Source, intake: Intake, now: Callable[[], datetime], cookie: str = "", **kwargs: Any
    ) -> None:
        super().__init__(name=source.id, **kwargs)
        self.source, self.intake, self.now = source, intake, now
        self.base = source.base_url.rstrip("/")
        self.outcomes: list[tuple[Outcome, str]] = []
        self.found: dict[str, Mark | None] = {}
        """What the lists hold, with the marks of earlier crawls on it."""
        self._walks: dict[str, Walk] = {}
        self._had = 0
        """Posts whose whole text was asked for, and came."""
        self._failed: list[tuple[Outcome, str]] = []
        """Why those of others did not."""
        self._started, self._began = now(), time.monotonic()
        self._cookie = {"Cookie": cookie} if cookie else {}

    # --- What a kind of source defines ---

    def lists(self) -> Iterable[str]:
        """Names of the lists: queries, boards, companies, paths."""
        raise TypeError(f"{type(self).__name__} names no lists")

    def address(self, name: str, page: int) -> str:
        """Address of a page (from 1) of a list."""
        raise TypeError(f"{type(self).__name__} has no addresses")

    def read(self, response: Response, name: str) -> Listing:
        """What a page of a list says."""
        raise TypeError(f"{type(self).__name__} reads nothing")

    def gather(self, listing: Listing) -> Iterator[Harvest | Request]:
        """What to do with the posts of a page; here: take them as they are."""
        yield Harvest(drafts=listing.drafts, rejects=listing.rejects)

    def came_to(self) -> list[tuple[Outcome, str]]:
        """What became of each page of a list, and why, once the crawl has ended.

        Half of the whole texts missing is a source that does not see; single ones are accidents.
        """
        if len(self._failed) < 3 or len(self._failed) <= self._had:
            return self.outcomes
        outcome, detail = self._failed[0]
        return [*self.outcomes, (outcome, f"{len(self._failed)} 篇正文未取到：{detail}")]

    def without(self, draft: Draft, outcome: tuple[Outcome, str], *, final: bool = False) -> Harvest:
        """The whole text could not be had: what the list shows is better than nothing."""
        self._failed.append(outcome)
        return Harvest(drafts=(draft,), short=not final)

    # --- The walk ---

    async def start(self) -> AsyncIterator[Request]:
        """The first page of every list."""
        names = tuple(dict.fromkeys(self.lists()))
        if not names:
            self.outcomes.append((Outcome.SCHEMA_CHANGED, "没有配置要抓取的内容（queries 或 paths 为空）"))
        for name in names:
            yield self._page(name, 1, 0)

    def stop(self) -> None:
        """End the crawl early; what was gathered is kept."""
        engine: Any = self.crawler.engine
        self._stopping = asyncio.ensure_future(engine.close_spider_async(reason="store"))

    def request(
        self, url: str, callback: Callable[..., Any], errback: Callable[..., Any], **kwargs: Any
    ) -> Request:
        """A request of this source, with its headers; the operator's cookie goes to its own origin only."""
        headers = {**self.headers, **(self._cookie if same_origin(url, self.base) else {})}
        return Request(
            url, callback=callback, errback=errback, headers=headers, dont_filter=True, cb_kwargs=kwargs
        )

    def _page(self, name: str, page: int, before: int, owed: int = 0) -> Request:
        where = {"name": name, "page": page, "before": before, "owed": owed}
        return self.request(self.address(name, page), self.on_list, self.on_failure, **where)

    def on_list(
        self, response: Response, name: str, page: int, before: int, owed: int = 0
    ) -> Iterator[Harvest | Request]:
        """Note what a page of a list says, gather its posts, go on to the next page.

        ``before``: posts listed on the pages before; ``owed``: how many more than a page they said were to come.
        """
        listing = self.read(response, name)
        if page > 1 and (listing.outcome is Outcome.EMPTY or (listing.bare and not owed)):
            self._walk(name).through = True  # the end of the list, as some sites tell it
            return
        if page > self.source.pages and not listing.drafts:
            self._cut_off(name, page, listing.detail)
            return
        missing = f"第 {page} 页没有帖子，但前面写明还有 {owed} 条" if page > 1 and listing.bare else ""
        self.outcomes.append((listing.outcome, self._where(name, missing or listing.detail)))
        if page == 1 and listing.more:
            self._walks[name] = Walk(since=self.intake.begin(name, at=self._started))
        walk = self._walk(name)
        # Before they are gathered, which makes them known.
        new = self._mostly_new(listing, walk) and page >= self.source.pages and not self.intake.first
        yield from self.gather(listing)
        listed = len(listing.drafts) + len(listing.rejects)
        so_far = before + listed
        if not listing.more or (listing.total is not None and so_far >= listing.total):
            walk.through = bool(listing.drafts) or listing.outcome is Outcome.EMPTY
        elif page < self.source.pages or (new and self._may_walk_on(page)):
            # Sites count what they hide or show twice: only a whole page less is a page that is missing.
            owed = (listing.total or 0) - so_far
            yield self._page(name, page + 1, so_far, owed if owed >= listed else 0)
        else:
            # No later crawl would come further than to the last page of all, for lists only grow.
            walk.through = not new or page >= self.source.pages * SURGE
            if new:
                self._cut_off(name, page, "仍大多是新帖")

    def _walk(self, name: str) -> Walk:
        return self._walks.setdefault(name, Walk())

    def _mostly_new(self, listing: Listing, walk: Walk) -> bool:
        """Note what a page of a list holds; whether most of it was not there before."""
        natives = [draft.native_id for draft in listing.drafts]
        unmet = [native for native in natives if native not in self.found]
        known = self.intake.known(unmet)
        self.found |= {native: known.get(native) for native in unmet}
        return walk.mostly_new({native: self.found[native] for native in natives})

    def through(self) -> list[str]:
        """Lists of which a later crawl has nothing to take up."""
        return [name for name, walk in self._walks.items() if walk.through]

    def _may_walk_on(self, page: int) -> bool:
        """Past ``pages``; the other half of the time is for what was asked for already."""
        in_time = time.monotonic() - self._began < self.source.limit_s / 2
        return in_time and page < self.source.pages * SURGE

    def _cut_off(self, name: str, page: int, why: str) -> None:
        """The configured pages were seen, so the source sees; but there was more."""
        self.outcomes.append((Outcome.RESULTS, self._where(name, f"翻到第 {page} 页{why}，可能有遗漏")))

    def on_failure(self, failure: Any) -> None:
        """Note why a page of a list could not be had."""
        outcome, detail = explain(failure.value)
        asked = failure.request.cb_kwargs if hasattr(failure, "request") else {}
        name, page = asked.get("name", ""), asked.get("page", 1)
        if page > self.source.pages:
            self._cut_off(name, page, detail)
            return
        self.outcomes.append((outcome, self._where(name, detail)))

    def _where(self, name: str, detail: str) -> str:
        return f"{name}：{detail}" if detail and name else detail

    @property
    def host(self) -> str:
        """Host (and port) of the source."""
        return urlsplit(self.base).netloc
