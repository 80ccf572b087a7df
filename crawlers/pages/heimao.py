"""Hei Mao complaints (黑猫投诉): the complaints that a company received."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crawlers.dates import Stamp, from_epoch, parse_date
from crawlers.draft import Draft, Reject
from crawlers.health import Listing
from crawlers.pages.json_body import answered, count, member, words
from crawlers.pages.markup import plain
from crawlers.urls import canonical
from domain.post import Engagement


def parse(body: bytes, *, base_url: str, now: datetime, status: int = 200) -> Listing:
    """Complaints of one page (``result.data.complaints[].main``; the feed's ``lists[]`` too).

    ``pager.item_count`` = 0 proves emptiness. A ``status.code`` other than 0 is the site refusing.
    """
    page = answered(body, status=status)
    if isinstance(page, Listing):
        return page
    result = page.get("result")
    code, message = member(result, "status", "code"), words(member(result, "status", "msg"))
    if code not in (None, 0, "0"):
        return Listing.blocked(f"接口拒绝（code={words(code)}，{message[:40]}）")
    data = member(result, "data")
    rows = member(data, "complaints")
    if rows is None:
        rows = member(data, "lists")
    items = member(data, "pager", "item_count")
    proved = items is not None and words(items).strip() == "0"
    if rows is None and proved:
        return Listing.empty("没有投诉")
    if not isinstance(rows, list):
        return Listing.changed("缺少 result.data.complaints")
    if not rows:
        return Listing.empty("没有投诉") if proved else Listing.unproved("投诉列表为空，但没有写明总数为 0")
    return _listing(rows, data, base_url, now)


def _listing(rows: list[Any], data: object, base_url: str, now: datetime) -> Listing:
    drafts: dict[str, Draft] = {}
    rejects = []
    for row in rows:
        main = member(row, "main")
        draft = _draft(main, member(row, "author"), base_url, now) if isinstance(main, dict) else None
        if draft is None:
            reason, author = "投诉缺少 sn 或内容", _author(main, member(row, "author"))
            rejects.append(Reject(reason=reason, raw=str(row)[:2000], author=author))
        else:
            drafts.setdefault(draft.native_id, draft)
    current, last = count(member(data, "pager", "current")), count(member(data, "pager", "page_amount"))
    total = count(member(data, "pager", "item_count")) or None
    return Listing.of(drafts.values(), rejects, more=not (current and last) or current < last, total=total)


def _draft(main: dict[str, Any], author: object, base_url: str, now: datetime) -> Draft | None:
    native = words(main.get("sn"))
    title = plain(words(main.get("title"))).strip()
    text = _text(main)
    if not native or not (title or text):
        return None
    name, id_ = _author(main, author)
    address = words(main.get("url")) or (f"/complaint/view/{native}/" if native.isalnum() else "")
    return Draft(
        native_id=native,
        title=title if text else "",
        text=text or title,
        stamp=_stamp(main.get("timestamp"), now),
        url=canonical(address, base_url) if address else "",
        author_id=id_,
        # 匿名 is nobody's name: as one it would make all anonymous people one author.
        author_name=name if "匿名" not in name else "",
        engagement=Engagement(
            reposts=count(main.get("share_amount")),
            comments=count(main.get("comment_amount") or main.get("comment_id_amount")),
            likes=count(main.get("upvote_amount")),
        ),
    )


def _author(main: object, author: object) -> tuple[str, str]:
    """(name, id)."""
    name = words(member(author, "title")) or words(member(author, "name"))
    id_ = words(member(main, "uid")) or words(member(author, "uid")) or words(member(author, "wb_userid"))
    return name, id_


def _text(main: dict[str, Any]) -> str:
    """What the person wrote, then what is asked and how much it is about, as far as given."""
    body = plain(words(main.get("summary"))).strip()
    facts = [
        f"{label}：{plain(words(value)).strip()}"
        for label, value in (
            ("投诉对象", main.get("cotitle")),
            ("投诉问题", main.get("issue")),
            ("投诉诉求", main.get("appeal")),
            ("涉诉金额", _cost(main.get("cost"))),
        )
        if words(value).strip()
    ]
    return "\n".join(part for part in (body, "；".join(facts)) if part)


def _cost(value: object) -> str:
    amount = str(value) if isinstance(value, float) else words(value).strip()
    return f"{amount.removesuffix('元')}元" if amount and amount not in ("0", "0元") else ""


def _stamp(value: object, now: datetime) -> Stamp | None:
    return from_epoch(value, now=now) or parse_date(words(value), now=now)
