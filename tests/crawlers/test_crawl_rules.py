"""The rules around a crawl: whom to ask again when, whom never, with whose cookie."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from scrapy.http import HtmlResponse, Request
from twisted.internet.error import DNSLookupError

from app.cli import run
from app.commands import extract
from app.commands.crawl import choose, cookie
from config.settings import Source
from crawlers.dates import parse_date
from crawlers.draft import Draft, tidy
from crawlers.health import Listing, of_status, walled, worst
from crawlers.marks import MAX_TRIES, Mark
from crawlers.middlewares import retry_after
from crawlers.pages import article, feed, guba, heimao, weibo
from crawlers.pages.markup import plain
from crawlers.privacy import mask
from crawlers.rejects import MAX_FILE, Reject, Rejects
from crawlers.resolver import GuardedResolver
from crawlers.spiders.feed import FeedSpider
from crawlers.urls import canonical
from domain.errors import ConfigError, InputError, UsageError
from domain.post import Engagement
from domain.source_run import Outcome

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def source(id_: str = "weibo-search", **over: Any) -> Source:
    return Source(
        **{
            "id": id_,
            "kind": "weibo",
            "name": "x",
            "base_url": "https://m.weibo.example",
            "platform": "weibo",
            **over,
        }
    )


def test_retry_after() -> None:
    assert retry_after(None) is None
    assert retry_after(b"") is None
    assert retry_after(b"120") == 120
    assert retry_after(b"soon") is None
    assert retry_after(b"-5") is None
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True).encode()
    assert 86_000 < (retry_after(tomorrow) or 0) <= 86_400
    assert retry_after(b"Sun, 06 Nov 1994 08:49:37 GMT") == 0


def test_names_that_lead_into_the_private_network_are_refused() -> None:
    assert GuardedResolver._check("1.1.1.1", "a.example") == "1.1.1.1"
    for address in ("10.0.0.1", "127.0.0.1", "169.254.169.254"):
        with pytest.raises(DNSLookupError):
            GuardedResolver._check(address, "a.example")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, None), (206, None), (301, Outcome.SCHEMA_CHANGED), (400, Outcome.SCHEMA_CHANGED), (401, Outcome.BLOCKED),
        (403, Outcome.BLOCKED), (404, Outcome.SCHEMA_CHANGED), (412, Outcome.BLOCKED), (418, Outcome.BLOCKED),
        (429, Outcome.BLOCKED), (432, Outcome.BLOCKED), (500, Outcome.UNREACHABLE), (503, Outcome.UNREACHABLE),
    ],
)  # fmt: skip
def test_statuses(status: int, outcome: Outcome | None) -> None:
    found = of_status(status)
    assert (found.outcome if found else None) is outcome


def test_the_gravest_of_several_lists_is_the_crawls_outcome() -> None:
    results, empty = (Outcome.RESULTS, ""), (Outcome.EMPTY, "没有")
    assert worst([])[0] is Outcome.UNREACHABLE
    assert worst([empty])[0] is Outcome.EMPTY
    assert worst([empty, results])[0] is Outcome.RESULTS
    assert worst([results, (Outcome.UNREACHABLE, "超时")]) == (Outcome.UNREACHABLE, "超时")
    assert worst([(Outcome.BLOCKED, "墙"), (Outcome.SCHEMA_CHANGED, "变"), results]) == (
        Outcome.BLOCKED,
        "墙",
    )


def test_a_list_of_which_nothing_could_be_read_has_changed() -> None:
    assert Listing.of([], [Reject(reason="坏", raw="")]).outcome is Outcome.SCHEMA_CHANGED
    assert walled("<p>请完成验证</p>")
    assert not walled("<p>云桥金融提现</p>")


class Unread:
    """An intake to which everything is new."""

    def known(self, natives: Sequence[str]) -> dict[str, Mark]:
        return {}


def spider(kind: type[Any], **over: Any) -> Any:
    own = {"kind": "feed", "base_url": "https://n.example", **over}
    return kind(source=source(**own), intake=Unread(), now=lambda: NOW)


@pytest.mark.parametrize(
    ("shown", "wall"),
    [
        ("您的访问过于频繁，请完成验证后继续访问。", True),
        ("请先登录后查看全文内容，登录后继续阅读更多精彩内容。", True),
        ("请求过于频繁，请稍后再试", True),
        ("云桥金融的验证码一直收不到，登录不了，钱取不出来。", False),
        ("摘要，云桥金融提现延迟，页面总说请先登录，登录后又退出。", False),
        ("云桥金融登录后查看余额为零，请先登录的提示反复出现。" * 20, False),
    ],
)
def test_a_wall_is_no_articles_text_and_a_complaint_about_one_is(shown: str, wall: bool) -> None:
    page = f"<html><head><title>页</title></head><body><div id='content'><p>{shown}</p></div></body></html>"
    feeds = spider(FeedSpider)
    draft = Draft(native_id="1", text="摘要，云桥金融提现延迟", more="https://n.example/1")
    (harvest,) = feeds.on_article(HtmlResponse(draft.more, body=page.encode()), draft)
    assert harvest.short is wall
    assert (harvest.drafts[0].text == draft.text) is wall
    assert [outcome for outcome, _ in feeds._failed] == [Outcome.BLOCKED] * wall


SUMMARY = "云桥金融1号产品逾期，投资人提现失败、客服失联。"


@pytest.mark.parametrize("title", ["云桥金融暂停提现第1天，多名用户到门店讨要说法", SUMMARY])
def test_a_wall_under_the_articles_own_headline_is_asked_for_again(title: str) -> None:
    wall = "<p>您访问过于频繁，请完成验证后继续阅读</p><p>请输入验证码</p>"
    page = f"<title>{title}_某网</title><h1>{title}</h1><div class='content'>{wall}</div>"
    feeds = spider(FeedSpider)
    draft = Draft(native_id="1", text=title, more="https://n.example/1")
    (harvest,) = feeds.on_article(HtmlResponse(draft.more, body=page.encode()), draft)
    assert harvest.short and harvest.drafts[0].text == title
    assert [outcome for outcome, _ in feeds._failed] == [Outcome.BLOCKED]


@pytest.mark.parametrize(
    ("title", "shown", "another"),
    [
        ("提示", "抱歉，您访问的文章已被删除或不存在，该内容可能已被作者删除。", True),
        ("云桥金融1号产品逾期", "本文为付费内容，订阅会员后可阅读全文，请扫描二维码购买。", True),
        ("云桥金融论坛", "云桥金融论坛提示您：该帖已被作者或者管理员删除。", True),
        ("新闻", "您的浏览器未启用 JavaScript，请在浏览器设置中启用 JavaScript 后刷新。", True),
        ("Just a moment...", "Checking your browser before accessing the site.", True),
        ("Just a moment...", "", True),
        ("云桥金融1号产品逾期_某网", "", False),
        ("云桥金融1号产品逾期", "记者获悉，云桥金融旗下的1号产品已经逾期，多名投资人提现失败。", False),
        ("快讯", "公司今天没有回应记者的提问，电话一直占线，办公室里空无一人。" * 12, False),
    ],
)
def test_a_page_that_is_not_the_article_leaves_the_summary(title: str, shown: str, another: bool) -> None:
    page = (
        f"<html><head><title>{title}</title></head><body><div id='content'><p>{shown}</p></div></body></html>"
    )
    feeds = spider(FeedSpider)
    for n in range(3):
        draft = Draft(native_id=str(n), text=SUMMARY, more=f"https://n.example/{n}")
        (harvest,) = feeds.on_article(HtmlResponse(draft.more, body=page.encode()), draft)
        assert harvest.short is another
        assert (harvest.drafts[0].text == SUMMARY) is (another or not shown)
    assert [outcome for outcome, _ in feeds.came_to()] == [Outcome.SCHEMA_CHANGED] * another


def test_a_page_that_says_what_its_feed_says_is_the_article() -> None:
    """Flash news is its own title, a page of pictures has no text; a site's hidden login is beside the point."""
    popup = '<div class="login" style="display:none"><input placeholder="验证码"></div>'
    flash = (
        f'<div class="time">2026-03-10 13:05 星期二</div><div class="con">{SUMMARY}</div><div>阅 3.2W</div>'
    )
    pictures = f'<h1>{SUMMARY}</h1><div class="con"><img src="1.jpg"></div>'
    for content in (flash, f"<h1>{SUMMARY}</h1><p>{SUMMARY}</p>", pictures):
        page = f"<html><head><title>{SUMMARY}</title></head><body>{popup}{content}</body></html>"
        feeds = spider(FeedSpider)
        draft = Draft(native_id="1", text=SUMMARY, more="https://n.example/1")
        (harvest,) = feeds.on_article(HtmlResponse(draft.more, body=page.encode()), draft)
        assert not harvest.short and SUMMARY in harvest.drafts[0].text
        assert not feeds._failed


@pytest.mark.parametrize(
    ("told", "shown", "taken"),
    [
        ("2026-03-10 09:00", "2026-03-10 10:00", "2026-03-10T09:00:00+08:00"),
        ("2026-03-10", "2026-03-10 10:00", "2026-03-10T10:00:00+08:00"),
        ("2026-03-10 00:00:00", "2026-03-10 10:00", "2026-03-10T10:00:00+08:00"),
        ("2026-03-10", "2025-06-01 10:00", "2026-03-10"),
        ("2026-03-10 00:00:00", "2026-03-10", "2026-03-10T00:00:00+08:00"),
        ("", "2026-03-10", "2026-03-10"),
        ("2026-03-10", "", "2026-03-10"),
    ],
)
def test_a_pages_time_is_taken_for_the_day_that_its_feed_tells(told: str, shown: str, taken: str) -> None:
    stamp = parse_date(told, now=datetime(2026, 3, 10, 7, 30, tzinfo=UTC))
    page = f"<body><h1>云桥金融1号产品逾期</h1><p>{shown}</p><p>{SUMMARY}</p></body>"
    feeds = FeedSpider(
        source=source(kind="feed", base_url="https://n.example"),
        intake=Unread(),
        now=lambda: datetime(2026, 3, 10, 7, 30, tzinfo=UTC),
    )
    draft = Draft(native_id="1", text=SUMMARY, stamp=stamp, more="https://n.example/1")
    (harvest,) = feeds.on_article(HtmlResponse(draft.more, body=page.encode()), draft)
    assert harvest.drafts[0].stamp.iso() == taken


def test_marks_are_read_back_and_foreign_ones_are_none() -> None:
    mark = Mark(first=NOW, engagement=Engagement(reposts=1, comments=2, likes=3, views=4), short=2)
    taken = replace(mark, taken=NOW)
    assert [Mark.read(str(each)) for each in (mark, taken)] == [mark, taken]
    assert not mark.settled
    a_day = Mark(first=datetime(2026, 3, 10, 4, tzinfo=UTC), date_only=True, engagement=Engagement())
    assert Mark.read(str(a_day)) == a_day
    assert Mark(first=NOW, engagement=Engagement(), short=MAX_TRIES).settled
    for foreign in ("", "x", "a|b|c", "2026-01-01|1,2|0", "2026-01-01|1,2,3,-4|0", "2026-01-01|1,2,3,4|0|x"):
        assert Mark.read(foreign) is None


def test_rejects_hold_no_number_however_they_are_spelled(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path)
    escaped = json.dumps({"id": True, "text": "客服手机号13812345678"})
    long = json.dumps({"text": "号" * 1331 + "手机13812345678"})
    halved = "\\u53f7" * 1332 + "13812345678"
    rejects.write("s", [Reject(reason="id 不是文字", raw=raw) for raw in (escaped, long, halved)], now=NOW)
    written = rejects.path("s").read_text(encoding="utf-8")
    assert "138****5678" in written
    assert "1381" not in written


def test_rejects_are_set_aside_when_they_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawlers.rejects.MAX_FILE", 10)
    rejects = Rejects(tmp_path / "r")
    for n in range(3):
        rejects.write("s", [Reject(reason=f"第{n}", raw="\ud800\x00" + "x" * 99_999)], now=NOW)
    assert MAX_FILE > 10
    assert json.loads(rejects.path("s").read_text(encoding="utf-8"))["reason"] == "第2"
    assert json.loads((tmp_path / "r" / "s.jsonl.1").read_text(encoding="utf-8"))["reason"] == "第1"


def test_rejects_of_before_a_time_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rejects = Rejects(tmp_path / "r")
    rejects.forget(before=NOW)
    assert not (tmp_path / "r").exists()
    rejects.write("t", [Reject(reason="老", raw="")], now=NOW - timedelta(days=9))
    monkeypatch.setattr("crawlers.rejects.MAX_FILE", 10)
    for days in (9, 1):
        rejects.write("s", [Reject(reason=f"{days} 天前", raw="")], now=NOW - timedelta(days=days))
    monkeypatch.setattr("crawlers.rejects.MAX_FILE", MAX_FILE)
    rejects.write("s", [Reject(reason="今天", raw="")], now=NOW)
    with rejects.path("t").open("ab") as broken:
        broken.write('{"at": "2026-11-01T00:00:00+08:00", "raw": "张'.encode()[:-1])
    rejects.write("t", [Reject(reason="今天", raw="")], now=NOW)
    rejects.forget(before=NOW - timedelta(days=2))
    kept = {path.name: path.read_text("utf-8") for path in (tmp_path / "r").iterdir()}
    assert kept.keys() == {"s.jsonl", "s.jsonl.1", "t.jsonl"}
    assert [json.loads(line)["reason"] for line in kept["s.jsonl"].splitlines()] == ["1 天前", "今天"]
    assert json.loads(kept["t.jsonl"])["reason"] == "今天"
    assert kept["s.jsonl.1"] == ""


def test_what_a_page_rejects_names_its_author_apart() -> None:
    blog = {"mblog": {"user": {"screen_name": "张三丰", "id": 5550001}}}
    (weibo_reject,) = weibo.parse(
        json.dumps({"ok": 1, "data": {"cards": [blog]}}).encode(), base_url="https://m.example", now=NOW
    ).rejects
    row = {"main": {"uid": 5550001}, "author": {"title": "张三丰"}}
    (heimao_reject,) = heimao.parse(
        json.dumps({"result": {"data": {"complaints": [row]}}}).encode(),
        base_url="https://t.example",
        now=NOW,
    ).rejects
    assert weibo_reject.author == heimao_reject.author == ("张三丰", "5550001")


def test_an_empty_entry_of_a_feed_is_rejected_without_names() -> None:
    names = "<author>wang@x.example (王五六)</author><dc:creator>张三丰</dc:creator>"
    told = f'<rss xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><item><guid>7</guid>{names}</item></channel></rss>'
    (reject,) = feed.parse(told.encode(), base_url="https://f.example", now=NOW).rejects
    assert "'7'" in reject.raw and "王五六" not in reject.raw and "张三丰" not in reject.raw


def test_unknown_sources_name_near_misses() -> None:
    known = (source("weibo-search"), source("guba-board"))
    assert [s.id for s in choose(["guba-board", "weibo-search", "guba-board"], known)] == [
        "guba-board",
        "weibo-search",
    ]
    with pytest.raises(UsageError, match="weibo-search"):
        choose(["weibo-serch"], known)
    with pytest.raises(UsageError, match="已配置"):
        choose(["zzz"], known)


def test_cookies_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "cookie"
    file.write_text("SUB=from-file\n")
    assert cookie(source(), {}) == ""
    assert cookie(source(cookie_env="C"), {"C": " SUB=1 "}) == "SUB=1"
    assert cookie(source(cookie_env="C"), {"C_FILE": str(file)}) == "SUB=from-file"
    for environ in ({}, {"C": "  "}, {"C": "SUB=1\r\nX-Evil: 1"}, {"C_FILE": str(tmp_path / "none")}):
        with pytest.raises(ConfigError) as error:
            cookie(source(cookie_env="C"), environ)
        assert "Evil" not in str(error.value)


def test_extract_prints_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "a.html"
    page.write_text(
        "<title>题</title><article>"
        + "<p>正文，云桥金融的提现申请三天没有到账，用户在等待。</p>" * 5
        + "</article><time>2026-03-09</time>"
    )
    extract.command(page, url="https://a.example/x?utm_source=1")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    assert set(found) == {"url", "title", "author", "published_at", "text"}
    assert (found["url"], found["published_at"]) == ("https://a.example/x", "2026-03-09")


def test_extract_says_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty, big = tmp_path / "empty.html", tmp_path / "big.html"
    empty.write_bytes(b"")
    big.write_bytes(b"x" * 200)
    monkeypatch.setattr(article, "MAX_BYTES", 100)
    for path in (tmp_path, empty, big, tmp_path / "none.html"):
        with pytest.raises(InputError, match=path.name):
            extract.command(path, url="")
        assert run(lambda path=path: extract.command(path, url="")) == 1  # type: ignore[misc]


LONG = 100_000
BOMBS = [
    part * LONG
    for part in (
        "<a", "<br", " ", "\n ", "&", "1", "1-", "a@", "http://", "a.", "138 ", "年", "一", "article_list =",
        "<!--", "<p>", "记者 ", "[", "卡号", "(记者",
    )
]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS, ids=[repr(b[:6]) for b in BOMBS])
def test_no_text_takes_long(bomb: str) -> None:
    """Expressions that try again from every character would take hours here."""
    body = bomb.encode()
    steps = {
        "plain": lambda: plain(bomb),
        "mask": lambda: mask(bomb),
        "tidy": lambda: tidy(bomb),
        "date": lambda: parse_date(bomb, now=NOW),
        "url": lambda: canonical(bomb),
        "feed": lambda: feed.parse(body, base_url="https://a.example", now=NOW),
        "guba": lambda: guba.parse(body, base_url="https://a.example", now=NOW),
        "weibo": lambda: weibo.parse(body, base_url="https://a.example", now=NOW),
    }
    for name, step in steps.items():
        started = time.process_time()
        step()
        assert time.process_time() - started < 5, name


def test_thousands_of_links_in_one_paragraph_do_not_hold_up_the_other_sources() -> None:
    link = f"<a href=/x>{'提现。' * 50}</a>"
    started = time.process_time()
    page = article.parse(f"<title>云桥金融</title><p>{link * 4000}</p>".encode(), now=NOW)
    assert time.process_time() - started < 5
    assert page.text


def entries(*items: tuple[str, str, str], at: str = "https://n.example/feed") -> list[Draft]:
    """Drafts of a feed of (title, link, guid); an empty one is left out."""
    rows = "".join(
        f"<item><title>{title}</title>"
        + (f"<link>{link}</link>" if link else "")
        + (f'<guid isPermaLink="false">{guid}</guid>' if guid else "")
        + "</item>"
        for title, link, guid in items
    )
    body = f'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>{rows}</channel></rss>'
    return list(feed.parse(body.encode(), base_url=at, now=NOW).drafts)


def test_entries_without_a_link_of_their_own_are_told_apart() -> None:
    live = "https://n.example/live"
    alone = [entries((f"快讯{n}", "", f"100{n}"))[0] for n in range(2)]
    assert len({draft.native_id for draft in alone}) == 2
    assert [(draft.url, draft.more) for draft in alone] == [("", "")] * 2
    assert entries(("快讯0", "", "1000"), ("快讯1", "", "1001")) == alone
    for links in ([live] * 3, [f"{live}#{n}" for n in range(3)], [""] * 3):
        drafts = entries(*((f"快讯{n}", link, "") for n, link in enumerate(links)))
        assert len({draft.native_id for draft in drafts}) == 3
        assert {draft.more for draft in drafts} == {""}
    one, other = (entries(("快讯", "", "1000"), at=f"https://{n}.example/feed?key=s3cret")[0] for n in "ab")
    assert one.native_id != other.native_id
    assert "s3cret" not in one.native_id


def test_a_comment_is_neither_its_article_nor_another_comment() -> None:
    report = "https://n.example/2026/03/report"
    comments = [(f"用户{n}对《年报》的评论", f"{report}#comment-{n}", "") for n in range(3)]
    alone = [entries(comment)[0] for comment in comments]
    (about,) = entries(("年报", report, ""))
    assert len({draft.native_id for draft in (*alone, about)}) == 4
    assert ([draft.more for draft in alone], about.more) == ([""] * 3, report)
    assert entries(*comments, ("年报", report, "")) == [*alone, about]


@pytest.mark.parametrize("fragment", ["#/news/7", "#!news/7", "#xtor=RSS-3208", "#"])
def test_a_fragment_that_names_no_part_of_a_page_leaves_it_a_page(fragment: str) -> None:
    (draft,) = entries(("甲", f"https://n.example/1{fragment}", "g"))
    assert draft.more == draft.native_id == canonical(f"https://n.example/1{fragment}")


TIMED = Mark(first=NOW, engagement=Engagement())
DAY = Mark(first=NOW, date_only=True, engagement=Engagement())


@pytest.mark.parametrize(
    ("dates", "known", "page", "seeing"),
    [
        (("", ""), {}, "", False),
        (("Tue, 10 Mar 2026 23:00:00 GMT", ""), {}, "", False),  # still to come: Beijing's clock, called GMT
        (("Mon, 09 Mar 2026 08:00:00 GMT", ""), {}, "", True),
        (("2026-03-09", ""), {}, "", True),
        (("", ""), {}, "2026-03-09T08:00:00+08:00", True),
        (("", ""), {"https://n.example/0": DAY, "https://n.example/1": DAY}, "", False),
        (("", ""), {"https://n.example/0": DAY, "https://n.example/1": TIMED}, "", True),
    ],
)
def test_a_feed_without_times_is_not_seen(
    dates: tuple[str, str], known: dict[str, Mark], page: str, seeing: bool
) -> None:
    items = "".join(
        f"<item><title>爆雷{n}</title><link>/{n}</link><pubDate>{date}</pubDate></item>"
        for n, date in enumerate(dates)
    )
    body = f'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>{items}</channel></rss>'
    head = f"<head><meta property='article:published_time' content='{page}'></head>"
    whole = f"<html>{head}<body><article><p>{'爆雷了。' * 200}</p></article></body></html>".encode()
    feeds = spider(FeedSpider)
    feeds.intake.known = lambda natives: known
    for found in feeds.on_list(HtmlResponse("https://n.example/rss", body=body.encode()), "/rss", 1, 0):
        if isinstance(found, Request):
            list(feeds.on_article(HtmlResponse(found.url, body=whole), **found.cb_kwargs))
    assert worst(feeds.came_to())[0].seeing is seeing


def test_an_entry_with_a_link_of_its_own_is_named_by_it_however_often_it_is_listed() -> None:
    link = "https://n.example/1"
    for items in ([("甲", link, "g1")], [("甲", link, "g1")] * 2, [("甲", link, "")] * 2):
        (draft,) = entries(*items)
        assert (draft.native_id, draft.more) == (link, link)
