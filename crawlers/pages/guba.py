"""Eastmoney guba boards: the list that the page carries inline (``var article_list={…}``)."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from crawlers.dates import parse_date
from crawlers.decode import decode
from crawlers.draft import Draft, Reject
from crawlers.health import Listing, of_status, walled
from crawlers.pages.json_body import count, member, words
from crawlers.pages.markup import plain
from domain.post import Engagement

_LIST = re.compile(r"\barticle_list\s*=\s*(?=\{)")
_SAFE = re.compile(r"^[A-Za-z0-9_]{1,40}$")


def parse(body: bytes, *, base_url: str, now: datetime, board: str = "", status: int = 200) -> Listing:
    """Posts of one page of a board; ``count`` = 0 beside an empty list proves emptiness."""
    if refused := of_status(status):
        return refused
    text = decode(body)
    found = _LIST.search(text)
    if found is None:
        return Listing.blocked("返回的是验证页面") if walled(text) else Listing.changed("缺少 article_list")
    try:
        listing, _ = json.JSONDecoder().raw_decode(text, found.end())
    except (ValueError, RecursionError):
        return Listing.changed("article_list 不是完整的 JSON")
    rows = member(listing, "re")
    if not isinstance(rows, list):
        return Listing.changed("缺少 article_list.re")
    if not rows:
        proved = words(member(listing, "count")).strip() == "0"
        return (
            Listing.empty("本吧暂无帖子") if proved else Listing.unproved("帖子列表为空，但没有写明总数为 0")
        )
    drafts: dict[str, Draft] = {}
    rejects = []
    for row in rows:
        draft = _draft(row, base_url, board, now) if isinstance(row, dict) else None
        if draft is None:
            reason = "帖子缺少 post_id 或 post_title"
            rejects.append(Reject(reason=reason, raw=str(row)[:2000], author=_author(row)))
        else:
            drafts.setdefault(draft.native_id, draft)
    return Listing.of(drafts.values(), rejects, more=True, total=count(member(listing, "count")) or None)


def _author(row: object) -> tuple[str, str]:
    """(name, id)."""
    user = member(row, "post_user")
    name, id_ = (words(member(user, key)) or words(member(row, key)) for key in ("user_nickname", "user_id"))
    return name, id_


def _draft(row: dict[str, Any], base_url: str, board: str, now: datetime) -> Draft | None:
    native = words(row.get("post_id"))
    title = plain(words(row.get("post_title"))).strip()
    content = plain(words(row.get("post_content"))).strip()
    if not native or not (title or content):
        return None
    code = words(row.get("stockbar_code")) or board
    name, id_ = _author(row)
    return Draft(
        native_id=native,
        # A list shows the title alone, which on guba is the head of the text or all of it.
        text=content or title,
        title=title if content and not content.startswith(title) else "",
        stamp=parse_date(words(row.get("post_publish_time")), now=now),
        url=f"{base_url.rstrip('/')}/news,{code},{native}.html"
        if _SAFE.match(code) and _SAFE.match(native)
        else "",
        author_id=id_,
        author_name=name,
        engagement=Engagement(
            reposts=count(row.get("post_forward_count")),
            comments=count(row.get("post_comment_count")),
            likes=count(row.get("post_like_count")),
            views=count(row.get("post_click_count")),
        ),
    )
