"""The invented sites, over HTTP, read by the real page parsers: what is published comes back, nothing else."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest

from app.sandbox.rows import Row
from app.sandbox.scenario import Scenario, build
from app.sandbox.sites import TOPIC, Directory, address
from app.sandbox.web import Web
from crawlers.health import Listing
from crawlers.pages import article, feed, guba, heimao, weibo
from domain.source_run import Outcome

ENDS = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
DIRECTORY = Directory(codes={"云桥金融": "yunqiao", "青石支付": "watched_1"})
HOSTILE = '</script><script>alert(1)</script> & "引号" <b>粗</b>\n第二行 ' + "云桥金融长文，" * 60
LONG = "云桥金融的提现昨天下午开始就没有到账，客服一直说在处理。" * 20
OTHER = "云桥金融方面表示，支付通道正在升级，预计三个工作日内处理完毕，请用户耐心等待。"


class Sites:
    """The web with a clock that a test turns."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.now = scenario, scenario.ends
        self.web = Web(scenario, DIRECTORY, lambda: self.now)

    def get(self, kind: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.web.urls[kind]).netloc, timeout=10)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def weibo(self, word: str, page: int = 1) -> Listing:
        status, body = self.get(
            "weibo", f"/api/container/getIndex?containerid=100103&q={quote(word)}&page={page}"
        )
        return weibo.parse(body, base_url="http://x", now=self.now, status=status)

    def guba(self, code: str, page: int = 1) -> Listing:
        status, body = self.get("guba", f"/list,{code}_{page}.html")
        return guba.parse(body, base_url="http://x", now=self.now, board=code, status=status)

    def heimao(self, brand: str, page: int = 1) -> Listing:
        path = f"/api/company/received_complaints?couid={DIRECTORY.company(brand)}&type=1&page={page}"
        status, body = self.get("heimao", path)
        return heimao.parse(body, base_url="http://x", now=self.now, status=status)

    def feed(self, path: str = "/rss.xml") -> Listing:
        status, body = self.get("news", path)
        return feed.parse(body, base_url=self.web.urls["news"], now=self.now, status=status)


def texts(listing: Listing) -> set[str]:
    return {draft.text for draft in listing.drafts}


EVENT = [
    Row(text="云桥金融提现没到账", platform="weibo", offset_s=0),
    Row(text="回楼上，我也是", platform="weibo", offset_s=60),
    Row(text=HOSTILE, platform="weibo", offset_s=120),
    Row(text=HOSTILE, platform="guba", offset_s=180),
    Row(text=HOSTILE, platform="heimao", offset_s=240),
    Row(text=f"{LONG}\n{OTHER}", title="云桥金融提现迟到", platform="news", offset_s=300),
    Row(text=HOSTILE, title="<script>云桥金融", platform="news", offset_s=360),
    Row(text="与别家无关", brand="青石支付", platform="guba", offset_s=420),
    Row(text="记者从有关方面获悉。", title="某平台公告", platform="news", offset_s=480),
]


@pytest.fixture
def sites() -> Iterator[Sites]:
    names = {"云桥金融": ("云桥金融", "云桥")}
    made = Sites(build(brand="云桥金融", event=EVENT, calm=[], ends=ENDS, names=names))
    with made.web:
        yield made


def test_search_finds_those_that_name_the_brand_and_the_topic_page_the_others(sites: Sites) -> None:
    found = sites.weibo("云桥金融")
    assert found.outcome is Outcome.RESULTS
    assert len(found.drafts) == 2
    assert "云桥金融提现没到账" in texts(found)
    assert texts(sites.weibo(f"云桥金融{TOPIC}")) == {"回楼上，我也是"}
    assert sites.weibo("没有这个词").outcome is Outcome.EMPTY


def test_long_posts_are_cut_and_can_be_had_whole(sites: Sites) -> None:
    (cut,) = [draft for draft in sites.weibo("云桥金融").drafts if draft.more]
    status, body = sites.get("weibo", f"/statuses/extend?id={cut.more}")
    assert weibo.parse_long(body, status=status) == HOSTILE.strip()
    assert len(cut.text) < len(HOSTILE)


def test_hostile_text_comes_through_as_text(sites: Sites) -> None:
    assert texts(sites.guba("yunqiao")) == {HOSTILE.strip()}
    (complaint,) = sites.heimao("云桥金融").drafts
    assert complaint.text.startswith(HOSTILE.strip())
    _, page = sites.get("guba", "/list,yunqiao_1.html")
    assert page.count(b"</script>") == 1


def test_times_are_those_of_the_timetable(sites: Sites) -> None:
    expected = {post.id: post.at for post in sites.scenario.posts if post.site != "news"}
    drafts = [
        *sites.weibo("云桥金融").drafts,
        *sites.guba("yunqiao").drafts,
        *sites.heimao("云桥金融").drafts,
    ]
    assert len(drafts) == 4
    assert all(draft.stamp and draft.stamp.at == expected[draft.native_id] for draft in drafts)


def test_news_feed_and_article(sites: Sites) -> None:
    listing = sites.feed()
    assert [draft.title for draft in listing.drafts] == ["<script>云桥金融", "云桥金融提现迟到"]
    post = next(post for post in sites.scenario.posts if post.title == "云桥金融提现迟到")
    draft = listing.drafts[1]
    assert draft.url == sites.web.urls["news"] + address(post)
    assert draft.stamp and draft.stamp.at == post.at
    _, body = sites.get("news", address(post))
    page = article.parse(body, now=sites.now, url=draft.url)
    assert (page.title, page.author) == (post.title, post.writer.name)
    assert page.stamp and page.stamp.at == post.at
    assert page.text.replace("\n", "") == LONG + OTHER
    assert "坐等后续" not in page.text
    assert [d.title for d in sites.feed("/company/yunqiao.xml").drafts] == ["某平台公告"]


def test_nothing_is_readable_before_it_is_published(sites: Sites) -> None:
    sites.now = sites.scenario.onset + timedelta(seconds=200)
    assert len(sites.weibo("云桥金融").drafts) == 2
    assert len(sites.guba("yunqiao").drafts) == 1
    assert sites.heimao("云桥金融").outcome is Outcome.EMPTY
    assert sites.feed().outcome is Outcome.EMPTY
    article_path = address(sites.scenario.posts[5])
    assert sites.get("news", article_path)[0] == 404
    sites.now = sites.scenario.onset - timedelta(seconds=1)
    assert sites.guba("yunqiao").outcome is Outcome.EMPTY


def test_board_of_another_brand(sites: Sites) -> None:
    assert texts(sites.guba("watched_1")) == {"与别家无关"}
    assert sites.guba("nobody").outcome is not Outcome.EMPTY


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("weibo", "/"),
        ("weibo", "/detail/1"),
        ("guba", "/list,nobody_1.html"),
        ("guba", "/list,../../etc_1.html"),
        ("heimao", "/api/company/received_complaints?couid=7"),
        ("news", "/a/20261122/1.html"),
        ("news", "/%00"),
        ("news", "/[::1"),
    ],
)
def test_unknown_pages(sites: Sites, kind: str, path: str) -> None:
    assert sites.get(kind, path)[0] == 404


def test_robots_allow_what_is_crawled(sites: Sites) -> None:
    from protego import Protego

    for kind in sites.web.urls:
        status, body = sites.get(kind, "/robots.txt")
        rules = Protego.parse(body.decode())
        assert status == 200
        assert rules.can_fetch("/rss.xml", "Yujing")
        assert not rules.can_fetch("/admin/x", "Yujing")


def test_pages_of_a_list_together_hold_everything() -> None:
    event = [
        Row(text=f"云桥金融第{i}条", platform="guba" if i % 2 else "weibo", offset_s=i) for i in range(470)
    ]
    made = Sites(build(brand="云桥金融", event=event, calm=[], ends=ENDS, names={}))
    with made.web:
        boards = [made.guba("yunqiao", page) for page in (1, 2, 3, 4)]
        found = [draft.text for page in boards for draft in page.drafts]
        assert len(found) == len(set(found)) == 235
        assert not boards[3].drafts
        searched = [draft for page in (1, 2, 3) for draft in made.weibo("云桥金融", page).drafts]
        assert len(searched) == 235
        assert made.weibo("云桥金融", 4).outcome is Outcome.EMPTY
