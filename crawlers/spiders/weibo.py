"""Weibo mobile search: pages of results, and the long text of posts that the list cuts short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import urlencode

from scrapy.http import Request, Response

from crawlers.draft import Draft
from crawlers.failures import explain
from crawlers.health import Listing
from crawlers.marks import MAX_TRIES
from crawlers.pages import weibo
from crawlers.pipelines import Harvest
from crawlers.spiders.source import SourceSpider


class WeiboSpider(SourceSpider):
    """``queries`` are search words; newest first."""

    headers: ClassVar[dict[str, str]] = {
        "MWeibo-Pwa": "1",
        "X-Requested-With": "XMLHttpRequest",
        "Accept": "application/json, text/plain, */*",
    }

    def lists(self) -> Iterable[str]:
        """The search words."""
        return self.source.queries

    def address(self, name: str, page: int) -> str:
        """``containerid`` holds a query of its own: type 61 (newest) and the words, which are repeated beside it."""
        inner = f"100103type=61&q={name}"
        query = urlencode({"containerid": inner, "q": name, "page_type": "searchall", "page": page})
        return f"{self.base}/api/container/getIndex?{query}"

    def read(self, response: Response, name: str) -> Listing:
        """One page of results."""
        return weibo.parse(response.body, base_url=self.base, now=self.now(), status=response.status)

    def gather(self, listing: Listing) -> Iterator[Harvest | Request]:
        """Whole posts at once; of the cut ones, those that are new or changed, when their rest has come.

        Those whose rest was asked for in vain often enough are taken as they are.
        """
        cut = [draft for draft in listing.drafts if draft.more]
        yield Harvest(drafts=tuple(d for d in listing.drafts if not d.more), rejects=listing.rejects)
        known = self.intake.known([draft.native_id for draft in cut])
        for draft in cut:
            mark = known.get(draft.native_id)
            if mark and mark.short >= MAX_TRIES:
                yield Harvest(drafts=(draft,), short=True)
            elif mark is None or not mark.settled or mark.engagement != draft.engagement:
                url = f"{self.base}/statuses/extend?{urlencode({'id': draft.more})}"
                yield self.request(url, self.on_rest, self.on_no_rest, draft=draft)

    def on_rest(self, response: Response, draft: Draft) -> Iterator[Harvest]:
        """The whole text came, or an answer without it."""
        whole = weibo.parse_long(response.body, status=response.status)
        own = draft.text.removesuffix(draft.passed_on)
        if len(whole) > len(own) // 2:
            self._had += 1
            yield Harvest(drafts=(replace(draft, text=whole + draft.passed_on),))
        else:
            yield self.without(draft, weibo.why_no_long(response.body, status=response.status))

    def on_no_rest(self, failure: Any) -> Iterator[Harvest]:
        """The cut text is better than nothing."""
        yield self.without(failure.request.cb_kwargs["draft"], explain(failure.value))
