"""RSS and Atom feeds."""

from __future__ import annotations

import re
from calendar import timegm
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from crawlers.dates import Stamp, parse_date
from crawlers.decode import decode
from crawlers.draft import Draft, Reject
from crawlers.health import Listing, of_status, walled
from crawlers.pages.markup import plain
from crawlers.urls import canonical
from domain.source_run import Outcome

MAX_ENTRIES = 2000
MAX_CHARS = 3_000_000
WHOLE = 800
"""A feed that carries so many characters of a post carries all of it: its page need not be fetched."""

A_DAY = timedelta(days=1)
"""So far ahead of us the times of a feed are that a wrong clock or a wrong time zone wrote."""

_PART = re.compile(r"#([^/!=][^=]*)\Z")
"""A fragment that names a part of a page, as a comment (``#comment-7``); not a page's own (``#/…``), nor a tracker."""
_ROOT = re.compile(r"<(?:[\w-]+:)?(?:rss|feed|rdf|channel)\b", re.IGNORECASE)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ENTITY = re.compile(r"<!ENTITY", re.IGNORECASE)
_ENTRY = re.compile(r"<(?:[\w-]+:)?(?:item|entry)\b", re.IGNORECASE)
_ENTRY_END = re.compile(r"</(?:[\w-]+:)?(?:item|entry)\s*>", re.IGNORECASE)
_END = re.compile(r"</(?:[\w-]+:)?(?:rss|feed|rdf|channel)\s*>", re.IGNORECASE)
_PERSONS = frozenset(("author", "authors", "author_detail", "contributors", "publisher", "publisher_detail"))
"""Keys under which a name stands in more than one spelling: what is wrong with an entry is not there."""


def parse(
    body: bytes, *, base_url: str, now: datetime, declared: str = "", status: int = 200, named: str = ""
) -> Listing:
    """Entries of a feed; a well-formed feed without entries proves emptiness.

    Entity declarations, which no feed needs and every XML bomb does, are refused unread.
    ``named``: what the feed is called where its answer's address may change (a key, a redirect); an entry without
    a link of its own is known by this and its guid.
    ``Draft.more`` is the page of an entry whose feed carries only a summary and a page of the entry's own.
    """
    if refused := of_status(status):
        return refused
    text = decode(body, declared=declared)
    if _ENTITY.search(text):
        return Listing.changed("订阅源里有实体声明，已拒绝解析")
    if not _ROOT.search(text, 0, 20_000) or len(text) > MAX_CHARS:
        # feedparser reads anything, at a price: what is no feed does not get so far.
        return (
            Listing.blocked("返回的是登录或验证页面") if walled(text) else Listing.changed("不是 RSS 或 Atom")
        )
    text, broken_off = _unbroken(text)
    import feedparser

    # Decoded here, by our own rules; the declaration's encoding would now be a lie.
    feed = feedparser.parse(_DECLARATION.sub("", text, count=1).encode("utf-8", "replace"),
                            response_headers={"content-type": "application/xml; charset=utf-8"})  # fmt: skip
    if not feed.entries:
        kind = feed.get("version", "")
        if kind and not feed.bozo:
            return Listing.empty("订阅源里没有条目")
        if walled(text):
            return Listing.blocked("返回的是登录或验证页面")
        return Listing.changed("不是 RSS 或 Atom" if not kind else "订阅源不完整")
    found = _listing(feed.entries[:MAX_ENTRIES], base_url, named or base_url, now)
    if broken_off and found.outcome is Outcome.RESULTS:
        return replace(found, outcome=Outcome.SCHEMA_CHANGED, detail="订阅源不完整")
    return found


def _unbroken(text: str) -> tuple[str, bool]:
    """(A feed without an entry that breaks off in its midst, whether the feed breaks off).

    Half an entry would be stored for the whole of it, which comes with a later crawl.
    """
    start = max((entry.start() for entry in _ENTRY.finditer(text)), default=len(text))
    broken_off = start < len(text) and not _END.search(text, start)
    return text[:start] if broken_off and not _ENTRY_END.search(text, start) else text, broken_off


def _listing(entries: list[Any], base_url: str, feed: str, now: datetime) -> Listing:
    # An entry listed twice is one; entries that share a link are told apart by what they call themselves.
    named = {(_link(entry, base_url), _own_name(entry)) for entry in entries}
    entries_of = Counter(link for link, _ in named)
    drafts: dict[str, Draft] = {}
    rejects = []
    for entry in entries:
        link = _link(entry, base_url)
        # The address names a post across feeds, where it is the post's own.
        own = bool(link) and entries_of[link] == 1
        native = link if own else _within(feed, _own_name(entry))
        page_of_its_own = own and not _PART.search(link)
        draft = _draft(entry, native, link, now)
        if draft is None:
            told = {key: value for key, value in entry.items() if key not in _PERSONS}
            rejects.append(Reject(reason="条目没有标题也没有内容", raw=str(told)[:2000]))
        else:
            drafts.setdefault(native, draft if page_of_its_own else replace(draft, more=""))
    return Listing.of(drafts.values(), rejects, timed=False)


def _link(entry: Any, base_url: str) -> str:
    """Where an entry is; a part of a page keeps its name, or the first comment would pass for the article."""
    link = str(entry.get("link", "")).strip()
    page = canonical(link, base_url) if link else ""
    part = _PART.search(link)
    return page + part[0] if page and part else page


def _own_name(entry: Any) -> str:
    """What tells an entry from others of its feed: its guid, else what it says."""
    said = (str(dict.get(entry, key, "")) for key in ("title", "summary", "content", "published"))
    return str(entry.get("id", "")) or "\n".join(said)


def _within(feed: str, name: str) -> str:
    """An id that is unique beyond its feed; hashed, since a feed's name may hold the operator's key."""
    return sha256(f"{feed}#{name}".encode("utf-8", "replace")).hexdigest()[:32]


def _draft(entry: Any, native: str, link: str, now: datetime) -> Draft | None:
    title = plain(str(entry.get("title", ""))).strip()
    content = " ".join(str(part.get("value", "")) for part in entry.get("content", ()))
    whole = plain(content).strip()
    text = whole or plain(str(entry.get("summary", ""))).strip()
    if not title and not text:
        return None
    stamp = _stamp(entry, now)
    return Draft(
        native_id=native,
        title=title if text else "",
        text=text or title,
        stamp=stamp,
        ahead=stamp is None and _stamp(entry, now + A_DAY) is not None,
        url=link,
        author_name=str(entry.get("author", "") or ""),
        more=link if len(whole) < WHOLE else "",
    )


def _stamp(entry: Any, now: datetime) -> Stamp | None:
    """The entry's own words first: feedparser takes a time without a zone for UTC, Chinese feeds mean Beijing."""
    for key in ("published", "created", "updated"):
        # dict's own get: feedparser's would hand out one date under another's name, with a warning.
        found = parse_date(str(dict.get(entry, key, "")), now=now)
        if found:
            return found
    parsed = dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")
    if not parsed:
        return None
    try:
        return parse_date(datetime.fromtimestamp(timegm(parsed), UTC).isoformat(), now=now)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
