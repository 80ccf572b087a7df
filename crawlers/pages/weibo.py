"""Weibo mobile search (``/api/container/getIndex``) and the long text of a post (``/statuses/extend``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from crawlers.dates import parse_date
from crawlers.draft import Draft, Reject
from crawlers.health import Listing
from crawlers.pages.json_body import answered, count, member, words
from crawlers.pages.markup import plain
from domain.post import Engagement, Tier
from domain.source_run import Outcome

MAX_DEPTH = 8
BIG_V_FOLLOWERS = 100_000

_CENTRAL = (
    "人民日报", "新华", "央视", "中央电视台", "中新", "中国新闻", "经济日报", "光明", "法治日报", "证券时报", "财新",
    "中国证券报", "上海证券报", "证券日报", "金融时报", "第一财经", "财联社", "每日经济新闻", "21世纪经济报道", "界面",
    "经济观察", "中国经营报", "澎湃", "新京报", "银保监", "证监", "金融监管", "中国人民银行", "最高人民法院", "检察院",
)  # fmt: skip

_MORE_LINK = re.compile(r"(?:\.{3}|…)\s*全文$")


def parse(body: bytes, *, base_url: str, now: datetime, status: int = 200) -> Listing:
    """Posts of one page of search results.

    ``ok`` = -100 is the login wall. ``ok`` = 0 with a message that nothing was found, or a total of 0, proves
    emptiness; with another message it is a refusal. Cards that hold no post and no such proof mean that the
    format changed.
    """
    page = _page(body, status)
    if isinstance(page, Listing):
        return page
    cards = member(page, "data", "cards")
    total = member(page, "data", "cardlistInfo", "total")
    nothing = page.get("ok") == 0 and _means_empty(words(page.get("msg")))
    if not isinstance(cards, list):
        return Listing.empty("搜索结果为空") if nothing else Listing.changed("缺少 data.cards")
    drafts, rejects = _posts(cards, base_url, now)
    if drafts or rejects:
        return Listing.of(drafts, rejects, more=True)
    if nothing or words(total).strip() == "0" or _says_empty(cards):
        return Listing.empty("搜索结果为空")
    return Listing.unproved("结果页里没有任何帖子，也没有写明为空")


def parse_long(body: bytes, *, status: int = 200) -> str:
    """The whole text of a post that the list cut short; empty when it cannot be had."""
    page = answered(body, status=status)
    if isinstance(page, Listing):
        return ""
    return plain(words(member(page, "data", "longTextContent"))).strip()


def why_no_long(body: bytes, *, status: int = 200) -> tuple[Outcome, str]:
    """(outcome, why) of an answer in which ``parse_long`` finds nothing."""
    page = _page(body, status)
    if isinstance(page, Listing):
        return page.outcome, page.detail
    return Outcome.SCHEMA_CHANGED, "缺少 data.longTextContent"


def _page(body: bytes, status: int) -> dict[str, Any] | Listing:
    """What Weibo answered, or how it refused."""
    page = answered(body, status=status)
    if isinstance(page, Listing):
        return page
    address, said = words(page.get("url")), words(page.get("msg")).strip()
    if page.get("ok") == -100 or "login" in address or "passport" in address:
        return Listing.blocked("需要登录（ok=-100）")
    if page.get("ok") == 0 and said and not _means_empty(said):
        return Listing.blocked(f"接口拒绝（{said[:40]}）")
    return page


def _posts(cards: list[Any], base_url: str, now: datetime) -> tuple[list[Draft], list[Reject]]:
    drafts: dict[str, Draft] = {}
    rejects: list[Reject] = []
    for blog in _blogs(cards, 0):
        native = words(blog.get("id")) or words(blog.get("mid"))
        text = plain(words(blog.get("text"))).strip()
        if not native or not text:
            rejects.append(Reject(reason="微博缺少 id 或 text", raw=str(blog)[:2000], author=_author(blog)))
        elif native not in drafts:
            drafts[native] = _draft(blog, native, text, base_url, now)
    return list(drafts.values()), rejects


def _blogs(cards: object, depth: int) -> Iterator[dict[str, Any]]:
    """Posts of cards and of the groups in them."""
    if not isinstance(cards, list) or depth > MAX_DEPTH:
        return
    for card in cards:
        if not isinstance(card, dict):
            continue
        blog = card.get("mblog")
        if isinstance(blog, dict):
            yield blog
        yield from _blogs(card.get("card_group"), depth + 1)


def _author(blog: dict[str, Any]) -> tuple[str, str]:
    """(name, id)."""
    return words(member(blog, "user", "screen_name")), words(member(blog, "user", "id"))


def _draft(blog: dict[str, Any], native: str, text: str, base_url: str, now: datetime) -> Draft:
    user = blog.get("user")
    original = blog.get("retweeted_status")
    name, id_ = _author(blog)
    institution, tier = _standing(user, name)
    passed_on = _passed_on(original)
    return Draft(
        native_id=native,
        text=_MORE_LINK.sub("", text) + passed_on,
        passed_on=passed_on,
        stamp=parse_date(words(blog.get("created_at")), now=now),
        url=f"{base_url.rstrip('/')}/detail/{native}" if native.isalnum() else "",
        author_id=id_,
        author_name=name,
        verified=institution,
        tier=tier,
        followers=_followers(user),
        engagement=Engagement(
            reposts=count(blog.get("reposts_count")),
            comments=count(blog.get("comments_count")),
            likes=count(blog.get("attitudes_count")),
        ),
        repost_of=words(member(original, "id")),
        more=native if blog.get("isLongText") is True and native.isalnum() else "",
    )


def _passed_on(original: object) -> str:
    """A repost is read with what it passes on, as its readers see it."""
    passed_on = plain(words(member(original, "text"))).strip()
    return f"//@{words(member(original, 'user', 'screen_name'))}:{passed_on}" if passed_on else ""


def _followers(user: object) -> int | None:
    value = member(user, "followers_count")
    return None if value is None else count(value)


def _standing(user: object, name: str) -> tuple[bool, Tier | None]:
    """(an institution vouched for, tier): ``verified_type`` 0 is a person, 1 government, 2 company, 3 media, …, 7."""
    kind = member(user, "verified_type")
    verified = member(user, "verified") is True
    if verified and kind == 1:
        return True, Tier.CENTRAL_MEDIA
    if verified and kind == 3:
        return True, Tier.CENTRAL_MEDIA if any(word in name for word in _CENTRAL) else Tier.REGIONAL_MEDIA
    if verified and isinstance(kind, int) and 2 <= kind <= 7:
        return True, None
    if (verified and kind == 0) or (_followers(user) or 0) >= BIG_V_FOLLOWERS:
        return False, Tier.BIG_V
    return False, None


def _says_empty(cards: list[Any]) -> bool:
    """A card that tells the reader in words that nothing was found."""
    said = " ".join(words(member(card, key)) for card in cards for key in ("desc", "title", "msg"))
    return _means_empty(said)


def _means_empty(said: str) -> bool:
    return "未找到" in said or "没有找到" in said or "没有内容" in said
