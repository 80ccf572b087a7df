"""Spiders given saved pages: what they ask for, what they hand on, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scrapy.http import HtmlResponse, Request, Response

from config.settings import Source
from crawlers.dates import Stamp
from crawlers.draft import Draft
from crawlers.health import worst
from crawlers.pages.feed import WHOLE
from crawlers.pipelines import Harvest, Intake
from crawlers.rejects import Rejects
from crawlers.spiders.feed import FeedSpider
from crawlers.spiders.guba import GubaSpider
from crawlers.spiders.weibo import WeiboSpider
from domain.post import Engagement, Post, Tier
from domain.source_run import Outcome, SourceRun
from store.ledger import Ledger, open_ledger

NOW = datetime(2026, 3, 10, tzinfo=UTC)
WEIBO = Source(
    id="w",
    kind="weibo",
    name="w",
    base_url="https://m.weibo.example",
    platform="weibo",
    queries=("云桥金融",),
    pages=1,
)


class Box:
    """An inbox that remembers what was put."""

    def __init__(self) -> None:
        self.posts: list[Post] = []

    def put(self, posts: Sequence[Post], *, now: datetime) -> None:
        self.posts += posts


class Weibo:
    """A search that finds cut posts, and an address for their long texts."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger, self.folder, self.asked = ledger, folder, 0

    def intake(self, box: Box, now: datetime = NOW) -> Intake:
        return Intake(
            source="w", platform="weibo", tier=Tier.USER, inbox=box, seen=self.ledger.source_runs,  # type: ignore[arg-type]
            rejects=Rejects(self.folder), secret=b"k", now=lambda: now,
        )  # fmt: skip

    def crawl(self, *, reposts: int, long: Response, posts: int = 1) -> tuple[list[Post], Outcome]:
        box = Box()
        intake = self.intake(box)
        search = WeiboSpider(source=WEIBO, intake=intake, now=lambda: NOW)
        cards = [
            {"mblog": {"id": f"500{n}", "text": "云桥金融无法提现...全文", "isLongText": True,
                       "created_at": "Mon Mar 09 10:00:00 +0800 2026", "reposts_count": reposts}}
            for n in range(posts)
        ]  # fmt: skip
        page = Response(
            "https://m.weibo.example/x", body=json.dumps({"ok": 1, "data": {"cards": cards}}).encode()
        )
        self.asked = 0
        for found in search.on_list(page, "云桥金融", 1, 0):
            if isinstance(found, Request):
                self.asked += 1
                for harvest in search.on_rest(long, **found.cb_kwargs):
                    intake.take(harvest)
            else:
                intake.take(found)
        intake.flush()
        return box.posts, worst(search.came_to())[0]


LONG_TEXT = Response(
    "https://m.weibo.example/l", body=json.dumps({"data": {"longTextContent": "很长" * 99}}).encode()
)
REFUSED = Response("https://m.weibo.example/l", status=432)


@pytest.fixture
def search(tmp_path: Path) -> Iterator[Weibo]:
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite3")
    yield Weibo(ledger, tmp_path)
    ledger.close()


def test_counters_are_followed_while_the_long_text_is_refused(search: Weibo) -> None:
    asked = []
    for reposts in (0, 100, 5_000, 90_000, 90_000):
        posts, outcome = search.crawl(reposts=reposts, long=REFUSED)
        asked.append((search.asked, [post.engagement.reposts for post in posts], outcome))
    assert asked == [
        (1, [0], Outcome.RESULTS), (1, [100], Outcome.RESULTS), (1, [5_000], Outcome.RESULTS),
        (0, [90_000], Outcome.RESULTS), (0, [], Outcome.RESULTS),
    ]  # fmt: skip


def test_a_whole_text_is_never_replaced_by_a_part_of_it(search: Weibo) -> None:
    assert "很长" in search.crawl(reposts=1, long=LONG_TEXT)[0][0].text
    for reposts in (2, 3, 4, 5):
        assert search.crawl(reposts=reposts, long=REFUSED)[0] == []
    (post,), _ = search.crawl(reposts=5, long=LONG_TEXT)
    assert ("很长" in post.text, post.engagement.reposts) == (True, 5)


FEED = Source(id="w", kind="feed", name="w", base_url="https://n.example", platform="news", paths=("/rss",))


def read_feed(search: Weibo, minutes: int, entries: dict[str, str], page: Response) -> tuple[list[Post], str]:
    """What a crawl of a feed puts so long after it is ``NOW``, and what it says; entries: texts by their times."""
    box, now = Box(), NOW + timedelta(minutes=minutes)
    intake = search.intake(box, now=now)
    spider = FeedSpider(source=FEED, intake=intake, now=lambda: now)
    items = "".join(
        f"<item><link>/{n}</link><pubDate>{at}</pubDate><description>{text}</description>"
        f"<content:encoded>{text if len(text) > WHOLE else ''}</content:encoded></item>"
        for n, (at, text) in enumerate(entries.items())
    )
    xmlns = 'xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    body = f'<?xml version="1.0"?><rss version="2.0" {xmlns}><channel><title>t</title>{items}</channel></rss>'
    for found in spider.on_list(HtmlResponse("https://n.example/rss", body=body.encode()), "/rss", 1, 0):
        asked = isinstance(found, Request)
        for harvest in spider.on_article(page, **found.cb_kwargs) if asked else [found]:
            intake.take(harvest)
    intake.flush()
    return box.posts, worst(spider.came_to())[1]


LONG_PAGE = HtmlResponse(
    "https://n.example/0",
    body=f"<html><body><article><p>{'云桥金融爆雷了。' * 99}</p></article></body></html>".encode(),
)
GONE = HtmlResponse("https://n.example/0", status=404)


@pytest.mark.parametrize("text", ["云桥金融爆雷了。" * 199, "云桥金融爆雷了。"])
def test_an_entry_dated_ahead_gets_its_time_when_it_has_come_and_keeps_its_text(
    search: Weibo, text: str
) -> None:
    entries = {"Tue, 10 Mar 2026 00:12:00 GMT": text, "Mon, 09 Mar 2026 08:00:00 GMT": "云桥金融" * 999}
    said = "/rss：1 条的发布时间在未来（对方时钟快或时区写错），到那时才计入统计"
    (post, _), detail = read_feed(search, 0, entries, LONG_PAGE)
    assert (post.date_only, detail) == (True, said)
    assert read_feed(search, 1, entries, GONE) == ([], said)
    if len(text) < WHOLE:
        assert read_feed(search, 10, entries, GONE) == ([], ""), "its page has gone: the text is worth more"
    (again,), detail = read_feed(search, 20, entries, LONG_PAGE)
    assert (again.published_at, again.date_only) == (NOW + timedelta(minutes=12), False)
    assert (again.text, detail) == (post.text, "")
    assert read_feed(search, 30, entries, GONE) == ([], "")


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (432, "", Outcome.BLOCKED),
        (200, '{"ok": -100, "url": "https://passport.weibo.com/"}', Outcome.BLOCKED),
        (200, '{"ok": 0, "msg": "请求过于频繁，歇歇吧"}', Outcome.BLOCKED),
        (200, '{"ok": 1, "data": {"content": "改名"}}', Outcome.SCHEMA_CHANGED),
        (503, "", Outcome.UNREACHABLE),
    ],
)
def test_long_texts_that_cannot_be_had_are_said(
    search: Weibo, status: int, body: str, outcome: Outcome
) -> None:
    answer = Response("https://m.weibo.example/l", status=status, body=body.encode())
    posts, came_to = search.crawl(reposts=1, long=answer, posts=3)
    assert (len(posts), came_to) == (3, outcome)


def test_a_time_takes_the_place_of_the_day_on_which_a_post_was_first_seen(search: Weibo) -> None:
    box = Box()
    for stamp in (None, None, Stamp(at=NOW - timedelta(hours=2)), Stamp(at=NOW), None):
        intake = search.intake(box)
        changed = Engagement(likes=len(box.posts))
        intake.take(Harvest(drafts=(Draft(native_id="1", text="爆雷", stamp=stamp, engagement=changed),)))
        intake.flush()
    told = [(post.published_at, post.date_only) for post in box.posts]
    noon, then = (NOW.replace(hour=4), True), (NOW - timedelta(hours=2), False)
    assert told == [noon, noon, then, then, then]


def test_the_operators_cookie_goes_to_its_own_origin_only(search: Weibo) -> None:
    spider = WeiboSpider(source=WEIBO, intake=search.intake(Box()), now=lambda: NOW, cookie="SUB=secret")
    sent = {
        url: spider.request(url, print, print).headers.get("Cookie")
        for url in ("https://m.weibo.example/x", "http://m.weibo.example/x", "https://ugc.weibo.example/x")
    }
    assert list(sent.values()) == [b"SUB=secret", None, None]


def board(posts: Iterable[int], *, count: int) -> bytes:
    rows = [
        {"post_id": i, "post_title": f"提现第{i}天", "post_publish_time": "2026-03-09 10:00:00"}
        for i in posts
    ]
    return f"<script>var article_list={json.dumps({'re': rows, 'count': count})};</script>".encode()


@pytest.mark.parametrize(
    ("count", "second", "status", "outcome"),
    [
        (5000, board((), count=5000), 200, Outcome.SCHEMA_CHANGED),
        (5000, b"", 404, Outcome.SCHEMA_CHANGED),
        (5000, board((), count=0), 200, Outcome.RESULTS),
        (83, board((), count=83), 200, Outcome.RESULTS),  # three hidden, or one shown twice
        (0, board((), count=0), 200, Outcome.RESULTS),
        (0, b"", 404, Outcome.RESULTS),
    ],
)
def test_an_empty_later_page_is_the_end_unless_more_was_stated(
    search: Weibo, count: int, second: bytes, status: int, outcome: Outcome
) -> None:
    source = Source(
        id="g", kind="guba", name="g", base_url="https://guba.example", platform="guba", paths=("1",), pages=3
    )
    spider = GubaSpider(source=source, intake=search.intake(Box()), now=lambda: NOW)
    *_, following = spider.on_list(
        Response("https://guba.example/1", body=board(range(80), count=count)), "1", 1, 0
    )
    assert isinstance(following, Request)
    later = Response(following.url, body=second, status=status)
    list(spider.on_list(later, **following.cb_kwargs))
    assert worst(spider.came_to())[0] is outcome


BOARD = Source(
    id="g", kind="guba", name="g", base_url="https://guba.example", platform="guba", paths=("1",), pages=1
)


class Board:
    """A board of which page after page is asked for."""

    def __init__(self, search: Weibo, **over: object) -> None:
        self.search, self.source, self.now = search, BOARD.model_copy(update=over), NOW
        search.ledger.source_runs.record(
            SourceRun(source="w", started_at=NOW, ended_at=NOW, outcome=Outcome.RESULTS)
        )

    def crawl(self, *pages: Iterable[int], through: bool = True) -> tuple[int, str]:
        """(How many pages it asked for, what it came to); a page that is not given cannot be had."""
        self.now += timedelta(minutes=10)
        intake = self.search.intake(Box(), now=self.now)
        spider = GubaSpider(source=self.source, intake=intake, now=lambda: self.now)
        request: Request | None = spider._page("1", 1, 0)
        asked = 0
        while request:
            asked += 1
            number = request.cb_kwargs["page"]
            status = 200 if number <= len(pages) else 503
            body = board(pages[number - 1] if status == 200 else (), count=5000)
            came, request = (
                spider.on_list(Response(request.url, body=body, status=status), **request.cb_kwargs),
                None,
            )
            for found in came:
                if isinstance(found, Request):
                    request = found
                else:
                    intake.take(found)
        intake.flush()
        if through:
            intake.finish(spider.through())
        return asked, worst(spider.came_to())[1]


def test_a_page_of_which_most_is_new_is_walked_past_and_the_second_that_only_repeats_is_not(
    search: Weibo,
) -> None:
    guba = Board(search)
    assert guba.crawl(range(10), range(10), range(10), range(10)) == (3, "")
    assert guba.crawl(range(10), range(10)) == (1, "")
    pinned = [3, *range(20, 29)]
    assert guba.crawl(pinned, range(29, 39), range(10)) == (3, "")
    moved = [range(60, 70), range(60, 70), range(50, 60), range(10)]
    assert guba.crawl(*moved) == (4, ""), "as many came in between as a page holds"
    every = [range(100 * n, 100 * n + 10) for n in range(1, 12)]
    assert guba.crawl(*every) == (10, "1：翻到第 10 页仍大多是新帖，可能有遗漏")
    assert guba.crawl(*every) == (1, ""), "no later crawl would come further"


def test_what_a_broken_walk_took_is_no_known_post_for_a_day(search: Weibo) -> None:
    guba = Board(search)
    guba.crawl(range(10), range(10), range(10))
    surge = [range(n, n + 10) for n in (60, 50, 40, 30, 20, 10, 0)]
    assert guba.crawl(*surge[:2])[0] == 3
    assert guba.crawl(*surge[:3], through=False)[0] == 4
    assert guba.crawl(*surge) == (7, "")
    assert guba.crawl(*surge) == (1, "")
    assert guba.crawl(range(80, 90))[0] == 2
    guba.now += timedelta(days=1)
    assert guba.crawl(range(80, 90), range(70, 80)) == (1, "")


def test_a_refusal_on_a_later_page_is_no_end(search: Weibo) -> None:
    source = WEIBO.model_copy(update={"pages": 2})
    spider = WeiboSpider(source=source, intake=search.intake(Box()), now=lambda: NOW)
    refusal = json.dumps({"ok": 0, "msg": "请求过于频繁，歇歇吧", "data": {"cards": []}}).encode()
    list(spider.on_list(Response("https://m.weibo.example/x", body=refusal), "云桥金融", 2, 10))
    assert worst(spider.came_to())[0] is Outcome.BLOCKED
