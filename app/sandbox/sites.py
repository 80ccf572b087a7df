"""The invented sites: what each answers to a request. Pure; ``web`` puts them on ports.

Formats are those of Weibo's mobile search, Eastmoney's boards, Hei Mao's lists and any RSS; names and texts are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from urllib.parse import parse_qs, urlsplit

from app.sandbox.pages import article_page, board_page, rss
from app.sandbox.scenario import SandboxPost
from domain.local_time import SHANGHAI

PAGE = 100
"""Posts on one page of a list."""
CUT = 200
"""Characters after which the search cuts a text short, as the real one does after 140."""
TOPIC = "超话"
"""Ends the search word of a brand's own topic page."""
COMPANY = 1_000_000_001
"""Id of the first company on the complaint site; the others follow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer to a GET."""

    body: str
    type: str = "text/html; charset=utf-8"
    status: int = 200


NOT_FOUND = Reply(body="<!DOCTYPE html><title>404</title><h1>页面不存在</h1>", status=404)
Site = Callable[[str, str, Sequence[SandboxPost], datetime], Reply]
"""(path with query, own base address, what is published, oldest first, now) → answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """Which page belongs to which brand: board code, company id and feed by the brand's name."""

    codes: Mapping[str, str]
    """Brand name → code of letters, digits and underscores."""

    def company(self, brand: str) -> str:
        """Id of a brand on the complaint site."""
        return str(COMPANY + list(self.codes).index(brand))

    def brand(self, code: str) -> str | None:
        """The brand of a code or company id."""
        for name, known in self.codes.items():
            if code in (known, self.company(name)):
                return name
        return None


def sites(directory: Directory) -> dict[str, Site]:
    """One site of each kind."""
    return {
        "weibo": _Microblog(directory),
        "guba": _Boards(directory),
        "heimao": _Complaints(directory),
        "news": _News(directory),
    }


def _page_of(posts: Sequence[SandboxPost], page: int, size: int = PAGE) -> list[SandboxPost]:
    """A page of a list, newest first."""
    return list(reversed(posts))[(page - 1) * size : page * size] if page > 0 else []


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _json(value: object) -> Reply:
    return Reply(body=json.dumps(value, ensure_ascii=False), type="application/json; charset=utf-8")


ROBOTS = Reply(body="User-agent: *\nDisallow: /admin/\nDisallow: /login\n", type="text/plain; charset=utf-8")


@dataclass(frozen=True, slots=True)
class _Microblog:
    """「微言」: search of a microblog; shape of Weibo's mobile search."""

    directory: Directory

    def __call__(self, path: str, base: str, posts: Sequence[SandboxPost], now: datetime) -> Reply:
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/robots.txt":
            return ROBOTS
        if parts.path == "/api/container/getIndex":
            return self._search(query, posts, now)
        found = next((post for post in posts if post.id == (query.get("id") or parts.path[8:])), None)
        if parts.path == "/statuses/extend" and found:
            return _json({"ok": 1, "data": {"ok": 1, "longTextContent": _lines(found.text)}})
        if parts.path.startswith("/detail/") and found:
            return Reply(body=article_page(found, "微言", ()))
        return NOT_FOUND

    def _search(self, query: Mapping[str, str], posts: Sequence[SandboxPost], now: datetime) -> Reply:
        word, page = query.get("q", ""), _number(query.get("page", "1"))
        found = [post for post in posts if post.site == "weibo" and _answers(post, word)]
        shown = _page_of(found, page)
        if not word or not shown:
            return _json({"ok": 0, "msg": "这里还没有内容", "data": {"cards": []}})
        info = {"total": len(found), "page": page + 1}
        cards = [{"card_type": 9, "mblog": self._blog(post, now)} for post in shown]
        return _json({"ok": 1, "data": {"cardlistInfo": info, "cards": cards}})

    @staticmethod
    def _blog(post: SandboxPost, now: datetime) -> dict[str, object]:
        counters = post.engagement(now)
        cut = len(post.text) > CUT
        text = _lines(post.text[:CUT]) + (f'...<a href="/status/{post.id}">全文</a>' if cut else "")
        return {
            "id": post.id,
            "bid": f"S{post.id[-8:]}",
            "created_at": post.at.astimezone(SHANGHAI).strftime("%a %b %d %H:%M:%S %z %Y"),
            "text": text,
            "isLongText": cut,
            "user": {
                "id": int(post.writer.id),
                "screen_name": post.writer.name,
                "followers_count": post.writer.followers,
                "verified": post.writer.big_v,
                "verified_type": 0 if post.writer.big_v else -1,
            },
            "reposts_count": counters.reposts,
            "comments_count": counters.comments,
            "attitudes_count": counters.likes,
        }


@dataclass(frozen=True, slots=True)
class _Boards:
    """「股言堂」: a board for each company; shape of Eastmoney's guba."""

    directory: Directory

    def __call__(self, path: str, base: str, posts: Sequence[SandboxPost], now: datetime) -> Reply:
        if path == "/robots.txt":
            return ROBOTS
        if match := re.fullmatch(r"/list,(\w+?)(?:_(\d+))?\.html", path):
            brand = self.directory.brand(match[1])
            if brand is None:
                return NOT_FOUND
            own = [post for post in posts if post.site == "guba" and post.brand == brand]
            rows = [self._row(post, match[1], brand, now) for post in _page_of(own, _number(match[2] or "1"))]
            return Reply(body=board_page(brand, rows, len(own)))
        if match := re.fullmatch(r"/news,\w+,(\d+)\.html", path):
            found = next((post for post in posts if post.id == match[1]), None)
            return Reply(body=article_page(found, "股言堂", ())) if found else NOT_FOUND
        return NOT_FOUND

    @staticmethod
    def _row(post: SandboxPost, code: str, brand: str, now: datetime) -> dict[str, object]:
        counters = post.engagement(now)
        return {
            "post_id": int(post.id),
            "post_title": escape(post.title or post.text[:40]),
            "post_content": escape(post.text),
            "stockbar_code": code,
            "stockbar_name": f"{brand}吧",
            "post_user": {"user_id": post.writer.id, "user_nickname": post.writer.name},
            "post_publish_time": f"{post.at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}",
            "post_click_count": counters.views,
            "post_comment_count": counters.comments,
            "post_forward_count": counters.reposts,
            "post_like_count": counters.likes,
        }


@dataclass(frozen=True, slots=True)
class _Complaints:
    """「听诉」: complaints that a company received; shape of Hei Mao's list."""

    directory: Directory

    def __call__(self, path: str, base: str, posts: Sequence[SandboxPost], now: datetime) -> Reply:
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/robots.txt":
            return ROBOTS
        if match := re.fullmatch(r"/complaint/view/(\d+)/", parts.path):
            found = next((post for post in posts if post.id == match[1]), None)
            return Reply(body=article_page(found, "听诉", ())) if found else NOT_FOUND
        brand = self.directory.brand(query.get("couid", ""))
        if parts.path != "/api/company/received_complaints" or brand is None:
            return NOT_FOUND
        own = [post for post in posts if post.site == "heimao" and post.brand == brand]
        page = _number(query.get("page", "1"))
        data = {
            "complaints": [self._complaint(post, base, now) for post in _page_of(own, page)],
            "pager": {
                "current": page,
                "page_amount": -(-len(own) // PAGE),
                "item_count": len(own),
                "page_size": PAGE,
            },
        }
        return _json({"result": {"status": {"code": 0, "msg": ""}, "data": data}})

    @staticmethod
    def _complaint(post: SandboxPost, base: str, now: datetime) -> dict[str, object]:
        counters = post.engagement(now)
        return {
            "main": {
                "sn": post.id,
                "title": escape(post.title),
                "summary": escape(post.text),
                "cotitle": escape(post.brand),
                "timestamp": str(int(post.at.timestamp())),
                "status": 4,
                "url": f"{base}/complaint/view/{post.id}/",
                "comment_amount": counters.comments,
                "share_amount": counters.reposts,
                "upvote_amount": counters.likes,
            },
            "author": {"title": post.writer.name, "wb_userid": post.writer.id},
        }


@dataclass(frozen=True, slots=True)
class _News:
    """「观澜财经」: a news site with feeds and article pages."""

    directory: Directory

    def __call__(self, path: str, base: str, posts: Sequence[SandboxPost], now: datetime) -> Reply:
        news = [post for post in posts if post.site == "news"]
        if path == "/robots.txt":
            return Reply(
                body=f"{ROBOTS.body}Sitemap: {base}/rss.xml\n",
                type=ROBOTS.type,
            )
        if path == "/rss.xml":
            return _feed("观澜财经", base, [post for post in news if post.named], now)
        if match := re.fullmatch(r"/company/(\w+)\.xml", path):
            brand = self.directory.brand(match[1])
            return (
                _feed(f"观澜财经 · {brand}", base, [p for p in news if p.brand == brand and not p.named], now)
                if brand
                else NOT_FOUND
            )
        if match := re.fullmatch(r"/a/\d{8}/(\d+)\.html", path):
            found = next((post for post in news if post.id == match[1]), None)
            latest = [(post.title, address(post)) for post in news[-6:] if post is not found]
            return Reply(body=article_page(found, "观澜财经", latest)) if found else NOT_FOUND
        return NOT_FOUND


def address(post: SandboxPost) -> str:
    """Path of an article."""
    return f"/a/{post.at.astimezone(SHANGHAI):%Y%m%d}/{post.id}.html"


def _feed(title: str, base: str, posts: Sequence[SandboxPost], now: datetime) -> Reply:
    entries = [
        {
            "title": post.title,
            "link": base + address(post),
            "date": format_datetime(post.at.astimezone(SHANGHAI)),
            "summary": post.text[:80] + ("……" if len(post.text) > 80 else ""),
        }
        for post in reversed(posts)
    ]
    body = rss(title, base, entries, format_datetime(now.astimezone(UTC)))
    return Reply(body=body, type="application/rss+xml; charset=utf-8")


def _answers(post: SandboxPost, word: str) -> bool:
    """A brand's topic page has what does not name it; a search for it, what does."""
    if word.endswith(TOPIC):
        return not post.named and post.brand == word.removesuffix(TOPIC)
    return word in post.text or (post.named and post.brand == word)


def _lines(text: str) -> str:
    return escape(text, quote=False).replace("\n", "<br />")
