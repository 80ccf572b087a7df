"""What every spider shares: its source, its lists, and what became of each of them."""

from __future__ import annotations

import asyncio
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
from crawlers.pipelines import Harvest, Intake
from crawlers.urls import same_origin
from domain.source_run import Outcome


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
        self.found: set[str] = set()
        self._had = 0
        """Posts whose whole text was asked for, and came."""
        self._failed: list[tuple[Outcome, str]] = []
        """Why those of others did not."""
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
            return  # the end of the list, as some sites tell it
        missing = f"第 {page} 页没有帖子，但前面写明还有 {owed} 条" if page > 1 and listing.bare else ""
        self.outcomes.append((listing.outcome, self._where(name, missing or listing.detail)))
        self.found.update(draft.native_id for draft in listing.drafts)
        yield from self.gather(listing)
        listed = len(listing.drafts) + len(listing.rejects)
        so_far = before + listed
        if listing.more and page < self.source.pages and (listing.total is None or so_far < listing.total):
            # Sites count what they hide or show twice: only a whole page less is a page that is missing.
            owed = (listing.total or 0) - so_far
            yield self._page(name, page + 1, so_far, owed if owed >= listed else 0)

    def on_failure(self, failure: Any) -> None:
        """Note why a page of a list could not be had."""
        outcome, detail = explain(failure.value)
        name = failure.request.cb_kwargs.get("name", "") if hasattr(failure, "request") else ""
        self.outcomes.append((outcome, self._where(name, detail)))

    def _where(self, name: str, detail: str) -> str:
        return f"{name}：{detail}" if detail and name else detail

    @property
    def host(self) -> str:
        """Host (and port) of the source."""
        return urlsplit(self.base).netloc
