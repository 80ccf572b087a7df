"""Title, author and time of an article page, from what it declares, then from what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, takewhile
from typing import Any

from lxml import etree

from crawlers.dates import Stamp, parse_date, same_day
from crawlers.pages.markup import plain
from crawlers.pages.shown import Shown, line

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
_MARKED = frozenset(("span", "div", "p", "em", "i", "font", "td", "li", "a"))
_TIME_NAME = re.compile(
    r"(?:^|[-_\s])(?:pub|publish|post|article|art|news|info|source)?[-_]?(?:date|time|pubtime|ptime)(?:$|[-_\s])|"
    r"pubtime|publish|post_time|time-source|art_time|artInfo",
    re.IGNORECASE,
)
_DAY = r"\d{4}\s?[-/.年]\s?\d{1,2}\s?[-/.月]\s?\d{1,2}日?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?"
_LABELLED = re.compile(
    r"(?:发布(?:时间|日期|于)|发表(?:时间|于|日期)|(?<![\u4e00-\u9fff])(?:时间|日期)|更新(?:时间|于))\s*[:：]?\s*"
    rf"({_DAY}(?:\s*{_CLOCK})?|\d{{1,2}}月\d{{1,2}}日(?:\s*{_CLOCK})?|\d{{1,3}} ?[^\s\d]{{1,3}}前|[^\s]{{1,6}}前)"
)
_PLAIN_TIME = re.compile(rf"{_DAY}\s*{_CLOCK}")
_BEGINNING = re.compile(rf"[(（]?{_PLAIN_TIME.pattern}(?=[\s)）])")
"""A time with which a line of text begins, as its byline and not as a part of its sentence."""
_BEFORE = r"\d*日?\s?(?:之|以)?前"
"""Behind a day: what was promised by then."""
_IN_BYLINE = re.compile(
    rf"(?<!\d)(?:{_DAY}(?!{_BEFORE})|\d{{1,2}}月\d{{1,2}}日(?!{_BEFORE})|\d{{1,2}}[-/]\d{{1,2}}\s+{_CLOCK}|(?:今天|昨天|前天|(?:周|星期)[一二三四五六日天])\s*{_CLOCK}|"
    r"\d{1,3}\s?(?:秒钟?|分钟?|个?小时|天)前|刚[刚才](?=\s|$|发布|更新|发表))"
)
"""Where a time begins; what follows on its line belongs to it."""
_TO_THE_HOUR = re.compile(r"\d\s?[:：时点]\s?\d|[钟时天秒]前|^刚")
_OF_SOMETHING_ELSE = re.compile(
    r"(?:(?<!发布)(?<!发表)(?<!发文)(?<!发稿)(?<!发帖)(?<!刊发)(?<!创建)(?<!提交)(?<!更新)(?<=[\u4e00-\u9fff])(?:时间|日期)|"
    r"登[录陆]|(?:注册|成立)于?)\W*$"
)
"""What stands before a time that is not that of publication: 注册时间, 成立日期, 最后登录."""
_BESIDE = re.compile(r"(?:上一?篇|下一?篇|相关(?:阅读|文章|新闻|报道))")
"""How a line begins that leads to another article."""
_SENTENCE = re.compile(r"[。！？；]")
LINE = 120
"""Characters; a longer line is text, though no sentence ends in it."""
TIME = 40
"""Characters that a time may have, with what stands between day and hour."""
BYLINE = 400
"""Characters below the title in which its byline is looked for."""
_AUTHOR_TEXT = re.compile(
    r"(?:作\s*者|撰\s*文|文)\s*[:：/|]\s*(?P<author>[\u4e00-\u9fa5·]{2,8}|[A-Za-z][A-Za-z .]{1,29})"
    r"(?=[\s,，;；|/)）]|$|编辑|来源|责编)|"
    r"记者\s*[:：]?\s(?P<reporter>[\u4e00-\u9fa5·]{2,4})(?=[\s,，;；|/)）]|$)|"
    r"[(（](?:\S{0,12})记者\s?(?P<signed>[\u4e00-\u9fa5·]{2,4})[)）\s]"
)
_NOT_AUTHOR = re.compile(
    r"^(?:admin|administrator|佚名|未知|网络|本站|编辑|来源|发布|时间|发表于|发布于|只看该作者|https?:.*|.*\.com|"
    r"(?:discuz|phpwind|comsenz).*|)$",
    re.IGNORECASE,
)
_POSTER = '(//div[@class="authi"])[1]/a | //a[contains(@class, "p_author_name")]'
"""Names of those who post, in the order of their posts: Discuz, Tieba."""
_SCRIPT_TIME = re.compile(r"""\b(?:createTime|ct)\s*=\s*["'](\d{4}-\d\d?-\d\d? \d\d?:\d\d|\d{10})["']""")
"""A WeChat article's, which a script puts into the byline."""
_TAIL = re.compile(r"\s*[-_|–—]\s*[^-_|–—]{1,30}$")
_SUFFIX = re.compile(r"\s*[-_|｜–—]")


def title_of(tree: Any, extracted: str) -> str:
    """The declared title, the only heading of first rank, the extractor's, or the window's without the site's name."""
    headings = [line(h.text_content()) for h in tree.iter("h1")]
    headings = [h for h in headings if 4 <= len(h) <= 200]
    heading = headings[0] if len(headings) == 1 else ""
    for value in _meta(tree, ("og:title", "twitter:title")):
        suffixed = heading and value.startswith(heading) and _SUFFIX.match(value, len(heading))
        return heading if suffixed else _without_site(value, tree)
    if heading:
        return heading
    window = line("".join(tree.xpath("string(//title)")))
    return extracted.strip() or _TAIL.sub("", window) or window


def author_of(tree: Any, extracted: str, page: Shown) -> str:
    """The declared author, the one in the byline, or the extractor's; empty when none is named."""
    named = (line(str(name)) for name in tree.xpath('//*[@itemprop="author"]//*[@itemprop="name"]/@content'))
    for value in (*_meta(tree, _AUTHOR_META), *_linked_authors(tree), *named):
        if not _NOT_AUTHOR.match(value) and len(value) <= 40:
            return value
    for poster in tree.xpath(_POSTER):
        return line(poster.text_content())
    byline = (*takewhile(lambda text: not _is_prose(text), page.after), *page.before[-2:])
    match = _AUTHOR_TEXT.search(" ".join((*byline, *page.after, *page.before)))
    if match:
        return (match["author"] or match["reporter"] or match["signed"]).strip()
    return extracted if extracted and not _NOT_AUTHOR.match(extracted) else ""


def published(tree: Any, page: Shown, *, now: datetime) -> Stamp | None:
    """The time of publication: the first readable of what is declared, stands below the title, is marked, labelled,
    shown; with a time of day if any of them has one for the same day."""
    first: Stamp | None = None
    for text in chain(_declared(tree), _told(tree, page)):
        found = parse_date(text, now=now)
        if found is None or (first and (found.date_only or not same_day(found, first))):
            continue
        if not found.date_only:
            return found
        first = found
    return first


def _declared(tree: Any) -> Iterator[str]:
    yield from _meta(tree, _TIME_META)
    linked = list(_linked(tree))
    for name in ("datePublished", "dateCreated"):
        yield from (thing[name] for thing in linked if isinstance(thing.get(name), str))
        for attribute in ("content", "datetime"):
            yield from (str(value) for value in tree.xpath(f'//*[@itemprop="{name}"]/@{attribute}'))
    if tree.xpath('//*[@id="js_content"]'):
        yield from (m[1] for code in tree.xpath("//script/text()") for m in _SCRIPT_TIME.finditer(str(code)))


def _told(tree: Any, page: Shown) -> Iterator[str]:
    elements = list(tree.iter(etree.Element))
    if page.head is not None:  # what stands before the title and its frame is another article's
        start = elements.index(_framed(page.head))
        elements = elements[start:] + elements[:start]
    times = [element for element in elements if element.tag == "time"]
    yield from (element.get("datetime") or "" for element in times)
    # A day alone may be one that a subtitle speaks of.
    yield from sorted(_byline(page), key=lambda text: not _TO_THE_HOUR.search(text))
    yield from (line(element.text_content()) for element in times)
    yield from _marked(elements)
    lines = [(text, _is_prose(text)) for text in (*page.after, *page.before)]
    yield from (match[1] for text, prose in lines if not prose for match in _LABELLED.finditer(text))
    for text, prose in lines:
        times_shown = filter(None, [_BEGINNING.match(text)]) if prose else _PLAIN_TIME.finditer(text)
        yield from (m[0] for m in times_shown if not _OF_SOMETHING_ELSE.search(text[: m.start()]))


def _framed(head: Any) -> Any:
    """What stands around a title, unless that is the whole page."""
    around = head.getparent()
    return head if around is None or around.tag in ("body", "html") else around


def _byline(page: Shown) -> Iterator[str]:
    """Times between the title and the first sentence."""
    if page.head is None:
        return
    before = ""
    for text in takewhile(lambda text: not _is_prose(text), page.after):
        if _BESIDE.match(text):
            continue
        for match in _IN_BYLINE.finditer(text):
            if not _OF_SOMETHING_ELSE.search(f"{before} {text[: match.start()]}"):
                yield text[match.start() :][:TIME]
        if len(before) > BYLINE:
            break
        before = f"{before} {text}"


def _is_prose(text: str) -> bool:
    """Whether a line is of the text: what a sentence speaks of is not the time of its publication."""
    return len(text) > LINE or bool(_SENTENCE.search(text))


def _marked(elements: list[Any]) -> Iterator[str]:
    """Short texts of elements that are named after a date, and hold digits, or are of this moment."""
    for element in elements:
        name = f"{element.get('class') or ''} {element.get('id') or ''}"
        if element.tag in _MARKED and name != " " and _TIME_NAME.search(name):
            text = line(element.text_content())
            if (4 <= len(text) <= 80 and any(c.isdigit() for c in text)) or text in ("刚刚", "刚才"):
                yield text


def body_of(tree: Any) -> str:
    """The text that a page declares for machines, of which it may show nothing before its scripts ran."""
    bodies = (thing.get("articleBody") for thing in _linked(tree))
    return max((plain(body).strip() for body in bodies if isinstance(body, str)), key=len, default="")


def _meta(tree: Any, names: tuple[str, ...]) -> list[str]:
    """Contents of meta elements in the order of the names asked for."""
    found: dict[str, str] = {}
    for element in tree.iter("meta"):
        name = (
            (element.get("property") or element.get("name") or element.get("itemprop") or "").strip().lower()
        )
        content = line(element.get("content") or "")
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
            yield line(name)


def _without_site(title: str, tree: Any) -> str:
    site = next(iter(_meta(tree, ("og:site_name",))), "")
    return title.removesuffix(site).rstrip(" -_|–—") if site and title != site else title
