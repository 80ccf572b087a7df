"""Title, author and time of an article page, from what it declares, then from what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from crawlers.dates import Stamp, parse_date

_TIME_META = (
    "article:published_time", "og:published_time", "og:release_date", "publishdate", "pubdate", "publish-date",
    "publish_time", "publishtime", "datepublished", "article:create_at", "weibo:article:create_at",
    "_pubtime", "date", "dc.date", "dc.date.issued", "sailthru.date", "parsely-pub-date", "apub:time",
    "contentpublishtime", "fb:publish_time",
)  # fmt: skip
_AUTHOR_META = (
    "author",
    "article:author",
    "og:article:author",
    "dc.creator",
    "byl",
    "mediaid",
    "weibo:article:author",
)
_TIME_NAME = re.compile(
    r"(?:^|[-_\s])(?:pub|publish|post|article|art|news|info|source)?[-_]?(?:date|time|pubtime|ptime)(?:$|[-_\s])|"
    r"pubtime|publish|post_time|time-source|art_time|artInfo",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"(?:发布(?:时间|日期|于)|发表(?:时间|于|日期)|时间|日期|更新(?:时间|于))\s*[:：]?\s*"
    r"(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?(?:\s*\d{1,2}:\d{2}(?::\d{2})?)?|"
    r"\d{1,2}月\d{1,2}日(?:\s*\d{1,2}:\d{2})?|[^\s]{1,6}前)"
)
_PLAIN_TIME = re.compile(r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?\s*\d{1,2}:\d{2}(?::\d{2})?")
_AUTHOR_TEXT = re.compile(
    r"(?:作\s*者|撰\s*文|文)\s*[:：/|]\s*(?P<author>[\u4e00-\u9fa5·]{2,8}|[A-Za-z][A-Za-z .]{1,29})"
    r"(?=[\s,，;；|/)）]|$|编辑|来源|责编)|"
    r"记者\s*[:：]?\s(?P<reporter>[\u4e00-\u9fa5·]{2,4})(?=[\s,，;；|/)）]|$)|"
    r"[(（](?:\S{0,12})记者\s?(?P<signed>[\u4e00-\u9fa5·]{2,4})[)）\s]"
)
_NOT_AUTHOR = re.compile(
    r"^(?:admin|administrator|佚名|未知|网络|本站|编辑|来源|发布|时间|https?:.*|.*\.com|)$", re.IGNORECASE
)
_TAIL = re.compile(r"\s*[-_|–—]\s*[^-_|–—]{1,30}$")
HEAD_CHARS = 6000
"""Characters of shown text in which a byline is looked for."""


def title_of(tree: Any, extracted: str) -> str:
    """The declared title, the only heading of first rank, the extractor's, or the window's without the site's name."""
    for value in _meta(tree, ("og:title", "twitter:title")):
        return _without_site(value, tree)
    headings = [_line(h.text_content()) for h in tree.iter("h1")]
    headings = [h for h in headings if 4 <= len(h) <= 200]
    if len(headings) == 1:
        return headings[0]
    window = _line("".join(tree.xpath("string(//title)")))
    return extracted.strip() or _TAIL.sub("", window) or window


def author_of(tree: Any, extracted: str) -> str:
    """The declared author, the one in the byline, or the extractor's; empty when none is named."""
    for value in (*_meta(tree, _AUTHOR_META), *_linked_authors(tree)):
        if not _NOT_AUTHOR.match(value) and len(value) <= 40:
            return value
    match = _AUTHOR_TEXT.search(_shown(tree))
    if match:
        return (match["author"] or match["reporter"] or match["signed"]).strip()
    return extracted if extracted and not _NOT_AUTHOR.match(extracted) else ""


def published(tree: Any, *, now: datetime) -> Stamp | None:
    """The time of publication: the first readable of what is declared, marked, labelled, shown; with a time of
    day if any of them has one for the same day."""
    day: Stamp | None = None
    for text in _times(tree):
        found = parse_date(text, now=now)
        if found is None:
            continue
        if not found.date_only:
            return found if day is None or abs((found.at - day.at).total_seconds()) <= 86_400 else day
        day = day or found
    return day


def _times(tree: Any) -> Iterator[str]:
    yield from _meta(tree, _TIME_META)
    for thing in _linked(tree):
        if isinstance(thing.get("datePublished"), str):
            yield thing["datePublished"]
    yield from (str(v) for v in tree.xpath('//*[@itemprop="datePublished"]/@content'))
    yield from (str(v) for v in tree.xpath('//*[@itemprop="datePublished"]/@datetime'))
    yield from (str(v) for v in tree.xpath("//time/@datetime"))
    yield from (_line(t.text_content()) for t in tree.iter("time"))
    yield from _marked(tree)
    shown = _shown(tree)
    yield from (match[1] for match in _LABELLED.finditer(shown))
    yield from (match[0] for match in _PLAIN_TIME.finditer(shown))


def _marked(tree: Any) -> Iterator[str]:
    """Short texts of elements that are named after a date, and hold digits."""
    for element in tree.iter("span", "div", "p", "em", "i", "font", "td", "li", "a"):
        name = f"{element.get('class') or ''} {element.get('id') or ''}"
        if name != " " and _TIME_NAME.search(name):
            text = _line(element.text_content())
            if 4 <= len(text) <= 80 and any(c.isdigit() for c in text):
                yield text


def _meta(tree: Any, names: tuple[str, ...]) -> list[str]:
    """Contents of meta elements in the order of the names asked for."""
    found: dict[str, str] = {}
    for element in tree.iter("meta"):
        name = (
            (element.get("property") or element.get("name") or element.get("itemprop") or "").strip().lower()
        )
        content = _line(element.get("content") or "")
        if name and content:
            found.setdefault(name, content)
    return [found[name] for name in names if name in found]


def _linked(tree: Any) -> Iterator[dict[str, Any]]:
    """Objects of JSON-LD scripts, those of a ``@graph`` too."""
    for text in tree.xpath('//script[@type="application/ld+json"]/text()')[:10]:
        try:
            value = json.loads(str(text), strict=False)
        except (ValueError, RecursionError):
            continue
        things = value if isinstance(value, list) else [value]
        for thing in things[:20]:
            if isinstance(thing, dict):
                yield thing
                graph = thing.get("@graph")
                yield from (t for t in (graph if isinstance(graph, list) else [])[:20] if isinstance(t, dict))


def _linked_authors(tree: Any) -> Iterator[str]:
    for thing in _linked(tree):
        author = thing.get("author")
        first = author[0] if isinstance(author, list) and author else author
        name = first.get("name") if isinstance(first, dict) else first
        if isinstance(name, str) and name.strip():
            yield _line(name)


def _shown(tree: Any) -> str:
    """What a reader sees first: text of the body without scripts, up to ``HEAD_CHARS``."""
    parts: list[str] = []
    length = 0
    for text in tree.xpath("//body//text()[not(parent::script or parent::style or parent::noscript)]"):
        line = _line(str(text))
        if line:
            parts.append(line)
            length += len(line) + 1
            if length > HEAD_CHARS:
                break
    return " ".join(parts)


def _without_site(title: str, tree: Any) -> str:
    site = next(iter(_meta(tree, ("og:site_name",))), "")
    return title.removesuffix(site).rstrip(" -_|–—") if site and title != site else title


def _line(text: str) -> str:
    return " ".join(text.split())
