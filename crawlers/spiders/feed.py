"""Feeds, and the pages of those entries whose feed carries only a summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import time
from itertools import pairwise
from typing import Any
from urllib.parse import urljoin, urlsplit

from scrapy.http import Request, Response

from crawlers.dates import SHANGHAI, Stamp, same_day
from crawlers.draft import Draft
from crawlers.failures import explain
from crawlers.health import SHORT, Listing, of_status, wall_text, walled
from crawlers.pages import article, feed
from crawlers.pages.article import Article
from crawlers.pipelines import Harvest
from crawlers.spiders.source import SourceSpider
from crawlers.urls import same_site
from domain.source_run import Outcome

HEAD = 20
"""Characters of a summary by which its page is known again."""
ALIKE = 0.25
"""Share of their pairs of letters in which a short page and its entry agree at least; the brand's name is less."""


class FeedSpider(SourceSpider):
    """``paths`` are paths of feeds. An article is fetched once, and only from the feed's own site."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._asked: set[str] = set()
        self._listed: dict[str, set[str]] = {}
        """Native ids of each feed."""
        self._untimed: set[str] = set()
        """Those of which neither feed nor page told a time."""
        self._ahead: set[str] = set()
        """Those that their feed dates in the future."""
        self._whole: set[str] = set()
        """Those whose page was had before, and is asked for again because their time has come."""

    def lists(self) -> Iterable[str]:
        """The feeds."""
        return self.source.paths

    def address(self, name: str, page: int) -> str:
        """Feeds have one page."""
        return urljoin(f"{self.base}/", name.lstrip("/") if not name.startswith("http") else name)

    def read(self, response: Response, name: str) -> Listing:
        """One feed."""
        listing = feed.parse(
            response.body,
            base_url=response.url,
            now=self.now(),
            declared=_charset(response),
            status=response.status,
            named=f"{self.source.id} {urlsplit(name).path}",
        )
        self._listed[name] = {draft.native_id for draft in listing.drafts}
        self._ahead |= {draft.native_id for draft in listing.drafts if draft.ahead}
        return listing

    def came_to(self) -> list[tuple[Outcome, str]]:
        """A feed none of whose entries has a time is not seen: they are counted nowhere."""
        outcomes = list(super().came_to())
        for name, natives in self._listed.items():
            ahead = len(natives & self._untimed & self._ahead)
            if natives and natives <= self._untimed:
                outcomes.append((Outcome.SCHEMA_CHANGED, self._where(name, "所有帖子都没有可读的发布时间")))
            elif ahead:
                why = f"{ahead} 条的发布时间在未来（对方时钟快或时区写错），到那时才计入统计"
                outcomes.append((Outcome.RESULTS, self._where(name, why)))
        return outcomes

    def _where(self, name: str, detail: str) -> str:
        # Outcomes are shown and kept in many places, and what opens a private feed stands in its query.
        return super()._where(urlsplit(name).path, detail)

    def gather(self, listing: Listing) -> Iterator[Harvest | Request]:
        """Entries not seen before, or whose time has come: whole ones at once, the others with their page."""
        known = self.intake.known([draft.native_id for draft in listing.drafts])
        at_once = []
        for draft in listing.drafts:
            mark = known.get(draft.native_id)
            if mark and mark.settled and not mark.awaits(draft.stamp):
                self._time(draft, mark.stamp)
                continue
            if mark and mark.short == 0:
                self._whole.add(draft.native_id)
            if draft.native_id in self._asked:
                continue
            self._asked.add(draft.native_id)
            if draft.more and same_site(draft.more, self.base):
                yield self.request(draft.more, self.on_article, self.on_no_article, draft=draft)
            else:
                self._time(draft)
                at_once.append(draft)
        yield Harvest(drafts=tuple(at_once), rejects=listing.rejects)

    def on_article(self, response: Response, draft: Draft) -> Iterator[Harvest]:
        """A page came: its text, where it has more than the feed's summary."""
        refused = of_status(response.status)
        if refused:
            gone = refused.bare  # 404, 410: it will not come back
            yield self.without(draft, (refused.outcome, refused.detail), final=gone)
            return
        page = article.parse(response.body, now=self.now(), url=response.url, declared=_charset(response))
        if _is_wall(page, draft, response):
            yield self.without(draft, (Outcome.BLOCKED, "文章页要求登录或验证"))
            return
        if _is_another(page, draft):
            yield self.without(draft, (Outcome.SCHEMA_CHANGED, "文章页上不是这篇文章"))
            return
        self._had += 1
        stamp = _when(draft.stamp, page.stamp)
        self._time(draft, stamp)
        yield Harvest(
            drafts=(
                replace(
                    draft,
                    text=page.text if len(page.text) >= len(draft.text) * 0.8 else draft.text,
                    title=draft.title or page.title,
                    author_name=draft.author_name or page.author,
                    stamp=stamp,
                ),
            )
        )

    def without(self, draft: Draft, outcome: tuple[Outcome, str], *, final: bool = False) -> Harvest:
        """As everywhere; but a summary is never final for an entry whose whole text is stored."""
        return super().without(draft, outcome, final=final and draft.native_id not in self._whole)

    def _time(self, draft: Draft, stamp: Stamp | None = None) -> None:
        """Note whether an entry has a time: its feed's, be it only a day, or the one that was found elsewhere."""
        if draft.stamp is None and (stamp is None or stamp.date_only):
            self._untimed.add(draft.native_id)

    def on_no_article(self, failure: Any) -> Iterator[Harvest]:
        """No page came: the summary is better than nothing."""
        outcome = explain(failure.value)
        yield self.without(failure.request.cb_kwargs["draft"], outcome, final=outcome[0] is Outcome.BLOCKED)


def _when(told: Stamp | None, shown: Stamp | None) -> Stamp | None:
    """The time that a feed tells of its entry; its page's where the feed tells none, or no more than that day.

    Midnight to the second is how feeds write a day.
    """
    if told is None or shown is None:
        return told or shown
    a_day = told.date_only or told.at.astimezone(SHANGHAI).time() == time()
    return shown if a_day and not shown.date_only and same_day(told, shown) else told


def _is_wall(page: Article, draft: Draft, response: Response) -> bool:
    """Whether a login or a captcha came for the article: the extractor takes their words for a text.

    A page without text is one that is not called as its entry: 验证码 stands in the source of many.
    """
    if not page.text:
        return _is_another(page, draft) and walled(response.text if hasattr(response, "text") else "")
    # What the feed says too is the post's own; but the headline alone stands above a wall as well.
    below = "\n".join(line for line in page.text.split("\n") if line != page.title)
    own = draft.text[:HEAD] in below or wall_text(f"{draft.title}\n{draft.text}")
    return not own and wall_text(f"{page.title}\n{below}")


def _is_another(page: Article, draft: Draft) -> bool:
    """Whether a short page speaks of something else than its entry: that it was deleted, costs money, needs a script.

    A page without text (of pictures, a film) is known by its title.
    """
    shown, said = _pairs(page.text or page.title), _pairs(f"{draft.title}\n{draft.text}")
    return len(page.text) < SHORT and len(shown & said) < max(1, ALIKE * min(len(shown), len(said)))


def _pairs(text: str) -> set[tuple[str, str]]:
    """The pairs of neighbouring letters of a text."""
    letters = [letter for letter in text.lower() if letter.isalnum()]
    return set(pairwise(letters))


def _charset(response: Response) -> str:
    header = (response.headers.get("Content-Type") or b"").decode("latin-1")
    return header.partition("charset=")[2].split(";")[0].strip(" \"'")
