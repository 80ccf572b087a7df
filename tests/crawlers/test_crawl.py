# ruff: noqa: E501
"""Real spiders against a local web that misbehaves, with real stores, each crawl in a process of its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from domain.post import Post
from store.inbox import open_inbox
from store.ledger import open_ledger

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NOW = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)

_spec = util.spec_from_file_location("hostile", HERE / "hostile.py")
assert _spec and _spec.loader
h = util.module_from_spec(_spec)
sys.modules["hostile"] = h
_spec.loader.exec_module(h)


class Bench:
    """A home, a web, and crawls between them."""

    def __init__(self, home: Path, site: Any) -> None:
        self.home, self.site = home, site

    def source(self, id_: str, kind: str = "feed", **over: Any) -> dict[str, Any]:
        own = {
            "feed": {"paths": ["/rss.xml"]},
            "weibo": {"queries": ["云桥金融"]},
            "guba": {"paths": ["600001"]},
            "heimao": {"paths": ["5001"]},
        }
        base = {
            "id": id_,
            "kind": kind,
            "name": id_,
            "base_url": self.site.base,
            "platform": kind,
            "delay_s": 0,
            "timeout_s": 2,
        }
        return {**base, **own[kind], **over}

    def start(self, *sources: dict[str, Any], **over: Any) -> subprocess.Popen[str]:
        spec = self.home / "spec.json"
        spec.write_text(
            json.dumps({"home": str(self.home), "now": NOW.isoformat(), "sources": sources, **over})
        )
        return subprocess.Popen(
            [sys.executable, str(HERE / "drive.py"), str(spec)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def crawl(self, *sources: dict[str, Any], **over: Any) -> dict[str, dict[str, Any]]:
        process = self.start(*sources, **over)
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        assert err == "", err
        return {run["source"]: run for run in map(json.loads, out.splitlines())}

    def posts(self) -> list[Post]:
        """What waits in the inbox; taken out of it."""
        inbox = open_inbox(f"sqlite:///{self.home}/inbox.sqlite3")
        leased = inbox.lease(10_000, now=datetime.now(UTC) + timedelta(days=400), lease=timedelta(seconds=1))
        inbox.acknowledge([one.token for one in leased])
        inbox.close()
        return [one.post for one in leased]

    def ledger(self) -> Any:
        return open_ledger(f"sqlite:///{self.home}/ledger.sqlite3")


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    open_ledger(f"sqlite:///{home}/ledger.sqlite3").close()
    return home


@pytest.fixture
def bench(tmp_path: Path, empty_home: Path) -> Iterator[Bench]:
    shutil.copytree(empty_home, tmp_path / "home")
    with h.Site() as site:
        yield Bench(tmp_path / "home", site)


def rss(n: int, *, link: str = "{base}/a/{i}.html", text: str = "摘要，云桥金融提现延迟") -> Any:
    def route(x: Any) -> None:
        items = "".join(
            f"<item><title>第{i}条</title><link>{link.format(base=x.site.base, i=i)}</link>"
            f"<description>{text}</description><pubDate>Mon, 09 Mar 2026 08:{i % 60:02d}:00 +0800</pubDate></item>"
            for i in range(n)
        )
        x.send(
            f'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>{items}</channel></rss>',
            kind="application/rss+xml",
        )

    return route


def article(i: int) -> str:
    lines = "".join(
        f"<p>第{i}篇第{k}段：云桥金融的提现申请三天没有到账，用户在等待平台的说明，客服电话一直占线。</p>"
        for k in range(4)
    )
    return f"<html><head><meta charset='gb2312'><title>第{i}篇</title></head><body><article>{lines}</article></body></html>"


def articles(x: Any) -> None:
    x.send(article(int(x.path.split("/")[-1].split(".")[0])))


def blogs(start: int, n: int, *, likes: int = 5, **more: Any) -> str:
    cards = [
        {
            "card_type": 9,
            "mblog": {
                "id": str(5000 + i), "text": f"云桥金融提现第{i}天没到账，电话13812345678",
                "created_at": "Mon Mar 09 10:00:00 +0800 2026",
                "user": {"id": i, "screen_name": f"用户{i}"}, "attitudes_count": likes, "reposts_count": 0, "comments_count": 1, **more,
            },
        }
        for i in range(start, start + n)
    ]  # fmt: skip
    return json.dumps({"ok": 1, "data": {"cards": cards, "cardlistInfo": {"total": 1000}}})


NO_MORE = json.dumps({"ok": 0, "msg": "这里还没有内容", "data": {"cards": []}})


def weibo(pages: int, likes: int = 5) -> Any:
    def route(x: Any) -> None:
        page = int(x.query["page"])
        assert x.query["q"] == "云桥金融"
        x.send(blogs(page * 10, 10, likes=likes) if page <= pages else NO_MORE, kind="application/json")

    return route


def guba(x: Any) -> None:
    page = int(x.path.split("_")[-1].split(".")[0])
    rows = [
        {
            "post_id": 100 * page + i,
            "post_title": f"第{page}页第{i}帖",
            "post_publish_time": "2026-03-09 10:00:00",
            "post_click_count": 9,
        }
        for i in range(3)
    ]
    x.send(f"<script>var article_list={json.dumps({'re': rows if page < 3 else [], 'count': 6})};</script>")


def heimao(x: Any) -> None:
    page = int(x.query["page"])
    rows = [
        {
            "main": {
                "sn": f"1739{page}{i}",
                "title": "拖延提现",
                "summary": "三天没到账",
                "cotitle": "云桥金融",
                "timestamp": 1773000000,
            }
        }
        for i in range(2)
    ]
    x.send(
        json.dumps(
            {
                "result": {
                    "status": {"code": 0},
                    "data": {
                        "complaints": rows,
                        "pager": {"current": page, "page_amount": 2, "item_count": 4},
                    },
                }
            }
        )
    )


BOARD = "/list,600001_*"
SEARCH = "/api/container/getIndex"
COMPLAINTS = "/api/company/received_complaints"


def test_four_kinds_of_source_in_one_process(bench: Bench) -> None:
    bench.site.routes = {
        "/rss.xml": rss(4),
        "/a/*": articles,
        SEARCH: weibo(2),
        BOARD: guba,
        COMPLAINTS: heimao,
    }
    runs = bench.crawl(
        bench.source("f"),
        bench.source("w", "weibo", pages=5, cookie_env="C"),
        bench.source("g", "guba", pages=9),
        bench.source("m", "heimao", pages=9),
        cookies={"w": "SUB=guest"},
    )
    assert {id_: (run["outcome"], run["found"], run["new"], run["rejected"]) for id_, run in runs.items()} == {
        "f": ("results", 4, 4, 0), "w": ("results", 20, 20, 0), "g": ("results", 6, 6, 0), "m": ("results", 4, 4, 0)
    }  # fmt: skip
    posts = bench.posts()
    assert len(posts) == 34
    assert "13812345678" not in repr(posts)
    assert all("第3段" in post.text for post in posts if post.source == "f")
    cookies = {path.split("?")[0]: headers.get("cookie") for path, headers in bench.site.log}
    assert cookies[SEARCH] == "SUB=guest"
    assert cookies["/rss.xml"] is None
    ledger = bench.ledger()
    assert {id_: run.outcome.value for id_, run in ledger.source_runs.last().items()} == dict.fromkeys(
        "fwgm", "results"
    )
    ledger.close()


def test_a_second_crawl_fetches_no_article_again_and_refreshes_engagement(bench: Bench) -> None:
    bench.site.routes = {"/rss.xml": rss(5), "/a/*": articles, SEARCH: weibo(1, likes=5)}
    sources = (bench.source("f"), bench.source("w", "weibo"))
    bench.crawl(*sources)
    first = {post.id: post for post in bench.posts()}
    bench.site.routes |= {SEARCH: weibo(1, likes=6), "/rss.xml": rss(6)}
    runs = bench.crawl(*sources, now=(NOW + timedelta(hours=1)).isoformat())
    assert bench.site.count("/a/") == 6
    assert (runs["f"]["found"], runs["f"]["new"], runs["f"]["refreshed"]) == (6, 1, 0)
    assert (runs["w"]["new"], runs["w"]["refreshed"]) == (0, 10)
    again = bench.posts()
    assert len(again) == 11
    refreshed = [post for post in again if post.source == "w"]
    assert {post.engagement.likes for post in refreshed} == {6}
    assert all(post.published_at == first[post.id].published_at for post in refreshed)
    runs = bench.crawl(*sources)
    assert (runs["f"]["new"], runs["w"]["refreshed"]) == (0, 0)
    assert bench.posts() == []


def test_a_surge_is_followed_past_the_pages_and_what_is_left_is_said(bench: Bench) -> None:
    """20 posts were known when 120 more came: twelve pages, of which 3 are configured, or 1."""
    posts = 20

    def surge(x: Any) -> None:
        newest = posts - (int(x.query["page"]) - 1) * 10
        x.send(blogs(newest - 10, 10) if newest > 0 else NO_MORE, kind="application/json")

    def refused(x: Any) -> None:
        (surge if int(x.query["page"]) < 5 else h.page("", status=432))(x)

    bench.site.routes = {SEARCH: surge}
    with h.Site({SEARCH: refused}) as wary:
        sources = (
            bench.source("all", "weibo", pages=3),
            bench.source("most", "weibo", pages=1),
            bench.source("wary", "weibo", pages=3, base_url=wary.base),
        )
        runs = bench.crawl(*sources)
        assert [run["new"] for run in runs.values()] == [20, 10, 20]
        posts = 140
        runs = bench.crawl(*sources)
    assert {run["outcome"] for run in runs.values()} == {"results"}
    assert [run["new"] for run in runs.values()] == [120, 100, 40]
    assert [run["detail"] for run in runs.values()] == [
        "",
        "云桥金融：翻到第 10 页仍大多是新帖，可能有遗漏",
        "云桥金融：翻到第 5 页网站拒绝访问（HTTP 432），可能有遗漏",
    ]
    ledger = bench.ledger()
    last = ledger.source_runs.last()
    ledger.close()
    assert [last[id_].word for id_ in ("all", "most", "wary")] == ["正常", "未取全", "未取全"]


def test_a_surge_whose_walk_was_killed_is_walked_again(bench: Bench) -> None:
    posts, slow = 40, False

    def surge(x: Any) -> None:
        page = int(x.query["page"])
        if slow and page > 4:
            time.sleep(2.5)  # by then the pages before are put and marked
        newest = posts - (page - 1) * 10
        x.send(blogs(newest - 10, 10) if newest > 0 else NO_MORE, kind="application/json")

    bench.site.routes = {SEARCH: surge}
    source = bench.source("w", "weibo", pages=2, timeout_s=9)
    bench.crawl(source)
    posts, slow = 140, True
    process = bench.start(source, now=(NOW + timedelta(minutes=10)).isoformat())
    deadline = time.monotonic() + 30
    while bench.site.hits[SEARCH] < 2 + 6 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    posts, slow = 150, False
    run = bench.crawl(source, now=(NOW + timedelta(minutes=20)).isoformat())["w"]
    assert (run["outcome"], run["detail"]) == ("results", "")
    assert run["new"] < 110, "some were kept by the crawl that was killed"
    assert len({post.id for post in bench.posts()}) == 20 + 110


def test_long_text_is_fetched_once_and_again_when_the_post_changed(bench: Bench) -> None:
    def listing(likes: int) -> Any:
        return lambda x: x.send(
            blogs(1, 2, likes=likes, isLongText=True) if x.query["page"] == "1" else NO_MORE
        )

    whole = h.page(json.dumps({"ok": 1, "data": {"longTextContent": "全文<br />" + "很长" * 30}}))
    bench.site.routes = {SEARCH: listing(1), "/statuses/extend": h.first(1, h.page("", status=404), whole)}
    source = bench.source("w", "weibo", concurrency=1)
    bench.crawl(source)
    assert sorted("很长" in post.text for post in bench.posts()) == [False, True]
    bench.crawl(source)  # the one whose text failed is tried again, the other is not
    assert bench.site.hits["/statuses/extend"] == 3
    assert ["很长" in post.text for post in bench.posts()] == [True]
    bench.site.routes |= {SEARCH: listing(2)}
    bench.crawl(source)
    assert ["很长" in post.text for post in bench.posts()] == [True, True]


def test_long_text_of_a_repost_keeps_what_it_passes_on(bench: Bench) -> None:
    original = {"id": "7", "text": "云桥金融今天起无法提现" * 9, "user": {"screen_name": "乙"}}
    listing = blogs(1, 1, isLongText=True, retweeted_status=original)
    bench.site.routes = {
        SEARCH: lambda x: x.send(listing if x.query["page"] == "1" else NO_MORE),
        "/statuses/extend": h.page(json.dumps({"ok": 1, "data": {"longTextContent": "看看这家公司" * 4}})),
    }
    bench.crawl(bench.source("w", "weibo", concurrency=1))
    (post,) = bench.posts()
    assert post.text == "看看这家公司" * 4 + "//@乙:" + "云桥金融今天起无法提现" * 9


@pytest.mark.parametrize("crashes", [2])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(bench: Bench, crashes: int) -> None:
    bench.site.routes = {"/rss.xml": rss(40), "/a/*": articles, SEARCH: weibo(9)}
    sources = (bench.source("f", concurrency=4), bench.source("w", "weibo", pages=10))
    taken: dict[str, Post] = {}
    put = 0
    for _ in range(crashes):
        process = bench.start(*sources)
        deadline = time.monotonic() + 30
        target = bench.site.count("/") + random.randint(3, 25)
        while bench.site.count("/") < target and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for post in bench.posts():
            put += 1
            taken[post.id] = post
    bench.crawl(*sources)
    for post in bench.posts():
        put += 1
        taken[post.id] = post
    assert len(taken) == 130
    assert sum(post.source == "f" for post in taken.values()) == 40
    assert all("第3段" in post.text for post in taken.values() if post.source == "f")
    assert put <= 130 * (crashes + 1)
    assert bench.crawl(*sources)["f"]["new"] == 0


OUTCOMES: dict[str, tuple[dict[str, Any], str, str]] = {
    "slow": ({"/rss.xml": h.slow(5)}, "unreachable", "超时"),
    "truncated": ({"/rss.xml": h.truncated(b"<rss>")}, "unreachable", "响应不完整"),
    "hang-up": ({"/rss.xml": h.hang_up}, "unreachable", "连接"),
    "gzip-bomb": ({"/rss.xml": h.gzip_bomb(200)}, "unreachable", "大小上限"),
    "huge": ({"/rss.xml": h.huge(12)}, "unreachable", "大小上限"),
    "redirect-loop": ({"/rss.xml": h.redirect("/rss.xml")}, "unreachable", "跳转次数过多"),
    "redirect-to-another-host": ({"/rss.xml": h.redirect("http://169.254.169.254/latest/meta-data/")}, "blocked", "169.254.169.254"),
    "redirect-to-another-port": ({"/rss.xml": h.redirect("http://127.0.0.1:1/x")}, "blocked", "127.0.0.1:1"),
    "redirect-to-a-file": ({"/rss.xml": h.redirect("file:///etc/passwd")}, "schema_changed", "302"),
    "redirect-at-home": ({"/rss.xml": h.redirect("/feed"), "/feed": rss(1, text="全" * 900)}, "results", ""),
    "500-then-well": ({"/rss.xml": h.first(2, h.page("", status=500), rss(1))}, "results", ""),
    "always-500": ({"/rss.xml": h.page("", status=500)}, "unreachable", "500"),
    "429-then-well": ({"/rss.xml": h.first(1, h.page("", status=429, headers={"Retry-After": "1"}), rss(1))}, "results", ""),
    "429-come-back-tomorrow": ({"/rss.xml": h.page("", status=429, headers={"Retry-After": "86400"})}, "blocked", "429"),
    "robots": ({"/robots.txt": h.page("User-agent: *\nDisallow: /rss", kind="text/plain"), "/rss.xml": rss(1)}, "blocked", "robots.txt"),
    "robots-for-others": ({"/robots.txt": h.page("User-agent: other\nDisallow: /\n", kind="text/plain"), "/rss.xml": rss(1)}, "results", ""),
    "login-wall": ({"/rss.xml": h.page("<html>请先登录</html>")}, "blocked", "登录"),
    "gone": ({}, "schema_changed", "404"),
    "forbidden": ({"/rss.xml": h.page("", status=403)}, "blocked", "403"),
    "entity-bomb": ({"/rss.xml": h.page('<!DOCTYPE a [<!ENTITY b "c">]><rss><channel/></rss>')}, "schema_changed", "实体"),
    "empty": ({"/rss.xml": rss(0)}, "empty", "没有条目"),
    "wrong-charset": ({"/rss.xml": h.page('<?xml version="1.0" encoding="gb2312"?><rss version="2.0"><channel><item><title>中文标题</title><link>/x</link></item></channel></rss>', kind="text/xml; charset=iso-8859-1")}, "results", ""),
}  # fmt: skip


def test_every_misbehaviour_has_its_outcome(bench: Bench, tmp_path: Path) -> None:
    """All at once, one site each, in one process: what one does harms no other."""
    sites = {
        name: h.Site(routes={**{"/a/*": articles}, **routes}) for name, (routes, _, _) in OUTCOMES.items()
    }
    for site in sites.values():
        site.__enter__()
    try:
        sources = [bench.source(name, base_url=site.base) for name, site in sites.items()]
        dead = bench.source("nobody-there", base_url="http://127.0.0.1:9", paths=["/rss.xml?key=geheim"])
        runs = bench.crawl(*sources, dead)
    finally:
        for site in sites.values():
            site.__exit__()
    for name, (_, outcome, detail) in OUTCOMES.items():
        assert (runs[name]["outcome"], detail in runs[name]["detail"]) == (outcome, True), (name, runs[name])
        assert bool(runs[name]["detail"]) == (outcome != "results"), name
    assert runs["nobody-there"]["outcome"] == "unreachable"
    assert runs["nobody-there"]["detail"].startswith("/rss.xml：连接被拒绝"), "a key in a query is not shown"
    assert sites["robots"].count("/rss") == 0
    assert sites["500-then-well"].hits["/rss.xml"] == 3
    waited = sites["429-then-well"].times
    assert waited[2] - waited[1] >= 1.0
    assert sites["429-come-back-tomorrow"].hits["/rss.xml"] == 1
    titles = {post.source: post.text for post in bench.posts()}
    assert "中文标题" in titles["wrong-charset"]
    ledger = bench.ledger()
    assert len(ledger.source_runs.last()) == len(OUTCOMES) + 1
    ledger.close()


def test_walls_foreign_links_and_broken_items(bench: Bench) -> None:
    wall = h.page(json.dumps({"ok": -100, "url": "https://passport.weibo.com/"}))
    cards = json.loads(blogs(1, 1))
    cards["data"]["cards"].append({"card_type": 9, "mblog": {"id": "6", "text": "", "tel": "13812345678"}})
    broken = {SEARCH: lambda x: x.send(json.dumps(cards) if x.query["page"] == "1" else NO_MORE)}
    elsewhere = {"/rss.xml": rss(2, link=bench.site.base + "/a/{i}.html")}
    bench.site.routes = {
        SEARCH: lambda x: (weibo(1) if x.query["page"] == "1" else wall)(x),
        "/a/*": articles,
    }
    with h.Site({SEARCH: h.page("", status=432)}) as shut, h.Site(broken) as half, h.Site(elsewhere) as feeds:
        runs = bench.crawl(
            bench.source("halfway", "weibo"),
            bench.source("no-cookie", "weibo", base_url=shut.base),
            bench.source("nothing-to-do", "weibo", queries=[]),
            bench.source("half", "weibo", base_url=half.base),
            bench.source("links", base_url=feeds.base),
        )
        assert (runs["no-cookie"]["outcome"], shut.hits[SEARCH]) == ("blocked", 1)
    assert (runs["halfway"]["outcome"], runs["halfway"]["new"]) == ("blocked", 10)
    assert runs["nothing-to-do"]["outcome"] == "schema_changed"
    # What leads elsewhere is kept, and not followed.
    assert (runs["links"]["outcome"], runs["links"]["new"]) == ("results", 2)
    assert bench.site.count("/a/") == 0
    linked = [post for post in bench.posts() if post.source == "links"]
    assert [post.url.startswith(bench.site.base) for post in linked] == [True, True]
    # What is no post goes to the rejects, masked.
    assert (runs["half"]["new"], runs["half"]["rejected"]) == (1, 1)
    written = (bench.home / "rejects" / "half.jsonl").read_text(encoding="utf-8")
    assert "138****5678" in written
    assert "13812345678" not in written


def test_articles_that_cannot_be_had_leave_their_summaries_and_say_so(bench: Bench) -> None:
    bench.site.routes = {"/rss.xml": rss(4), "/a/*": h.page("", status=403)}
    run = bench.crawl(bench.source("f"))["f"]
    assert (run["outcome"], run["new"]) == ("blocked", 4)
    assert "4 篇正文未取到" in run["detail"]
    assert all(post.text == "摘要，云桥金融提现延迟" for post in bench.posts())
    bench.site.routes |= {"/a/*": articles}
    run = bench.crawl(bench.source("f"))["f"]
    assert (run["outcome"], run["new"], run["refreshed"]) == ("results", 0, 4)
    assert all("第3段" in post.text for post in bench.posts())


def test_limits_of_time_and_rate_are_kept(bench: Bench) -> None:
    def slowly(x: Any) -> None:
        time.sleep(0.3)
        articles(x)

    bench.site.routes = {"/rss.xml": rss(60), "/a/*": slowly}
    with h.Site({"/rss.xml": rss(4), "/a/*": articles}) as polite:
        runs = bench.crawl(
            bench.source("long", limit_s=2, concurrency=1),
            bench.source("polite", base_url=polite.base, delay_s=0.4, concurrency=4),
        )
    assert runs["long"]["outcome"] == "unreachable"
    assert "超过 2 秒" in runs["long"]["detail"]
    assert sum(post.source == "long" for post in bench.posts()) == runs["long"]["new"] > 0
    assert runs["polite"]["new"] == 4
    _, first, *_, last = polite.times
    assert (last - first) / (len(polite.times) - 2) > 0.3, (
        "on average: a busy machine may hold one of them up"
    )


def test_a_store_that_refuses_ends_the_crawl_with_a_recorded_outcome(bench: Bench) -> None:
    """Here: the rejects cannot be written. The other source's crawl goes on to its end."""
    (bench.home / "rejects").write_text("in the way")
    cards = json.loads(blogs(1, 1))
    cards["data"]["cards"].append({"card_type": 9, "mblog": {"id": "6"}})
    bench.site.routes = {SEARCH: h.page(json.dumps(cards)), "/rss.xml": rss(3), "/a/*": articles}
    runs = bench.crawl(bench.source("w", "weibo", pages=100), bench.source("f"))
    assert "来源 w" in runs[""]["error"]
    assert bench.site.hits[SEARCH] < 20
    ledger = bench.ledger()
    last = ledger.source_runs.last()
    ledger.close()
    assert (last["w"].outcome.value, last["f"].outcome.value) == ("unreachable", "results")
    assert "存储失败" in last["w"].detail
    assert sum(post.source == "f" for post in bench.posts()) == 3
