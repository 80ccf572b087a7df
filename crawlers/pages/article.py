"""Article and thread pages: saved HTML to title, author, time and text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import html as lxml_html
from lxml.etree import LxmlError

from crawlers.dates import Stamp, parse_date
from crawlers.decode import decode
from crawlers.pages.byline import author_of, body_of, published, title_of
from crawlers.pages.shown import shown, text_of
from crawlers.pages.thread import contents_of, is_thread, posts_of
from crawlers.urls import canonical

MAX_BYTES = 10 * 1024 * 1024
MAX_TEXT = 200_000
MAX_TAGS = 40_000
"""Pages of people have a few thousand."""
CONTENT_SHARE = 0.4

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|[\ud800-\udfff]")
_BOILERPLATE = [
    f'//*[contains(@class, "{name}")]' for name in ("copyright", "disclaimer", "article-statement")
]
_DATE_LINE = re.compile(
    r"^\s*(?:发布|发表|更新|创建|编辑)?(?:时间|日期|于)?\s*[:：]?\s*\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?"
    r"(?:[\s\d:]|(?:星期|周)[一二三四五六日天])*$"
)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """What a page says."""

    url: str
    """The page's canonical address, or the one given; empty when neither is known."""
    title: str
    author: str
    stamp: Stamp | None
    text: str
    """Body as plain text, paragraphs on lines of their own; empty when the page has none."""


def parse(body: bytes, *, now: datetime, url: str = "", declared: str = "") -> Article:
    """The article or thread of a page; fields that the page does not give are empty. Never raises.

    trafilatura does the extraction, in the mode that measured best for the kind of page: precision for
    articles, recall for threads, where the replies are the content.
    """
    text = _UNPRINTABLE.sub("", _XML_DECLARATION.sub("", decode(body[:MAX_BYTES], declared=declared)))
    text = _bounded(text)
    tree = _tree(text)
    if tree is None:
        return Article(url=canonical(url), title="", author="", stamp=None, text="")
    thread = is_thread(tree, url)
    found = _extract(text, url, thread)
    title = title_of(tree, _field(found, "title"))
    page = shown(tree, title)
    return Article(
        url=canonical(url) or _own_address(tree),
        title=title,
        author=author_of(tree, _field(found, "author"), page),
        stamp=published(tree, page, now=now) or parse_date(_field(found, "date"), now=now),
        text=(_whole_thread(tree, found) if thread else _body_of(tree, found, title))[:MAX_TEXT],
    )


def _bounded(text: str) -> str:
    """The text up to its ``MAX_TAGS``-th tag: extraction costs a tenth of a millisecond each."""
    if text.count("<") <= MAX_TAGS:
        return text
    end = 0
    for _ in range(MAX_TAGS):
        end = text.index("<", end) + 1
    return text[: end - 1]


def _tree(text: str) -> Any:
    try:
        return lxml_html.document_fromstring(text) if text.strip() else None
    except (LxmlError, ValueError, AssertionError):
        return None


def _extract(text: str, url: str, thread: bool) -> Any:
    from trafilatura import bare_extraction
    from trafilatura.utils import load_html

    try:
        return bare_extraction(
            _eased(load_html(text)),
            url=canonical(url) or None,
            favor_precision=not thread,
            favor_recall=thread,
            prune_xpath=None if thread else _BOILERPLATE,
            with_metadata=True,
            date_extraction_params={"extensive_search": False, "original_date": True},
        )
    except Exception:  # a page that breaks the extractor is a page without text, not a crash
        return None


def _eased(tree: Any) -> Any:
    """The page without what makes the extractor leave out paragraphs: those in sections beside others in ``p``, and
    those that are links, which it takes for navigation."""
    for section in tree.xpath("//section[not(.//p or .//div or .//section or .//ul or .//table)]"):
        section.tag = "p"
    for link in tree.xpath("//p//a"):
        if "。" in link.text_content():
            link.tag = "span"  # to drop it copies all text before it, for each of thousands of links
    return tree


def _field(found: Any, name: str) -> str:
    value = getattr(found, name, None)
    return value if isinstance(value, str) else ""


def _whole_thread(tree: Any, found: Any) -> str:
    """Opening post and replies, without the frames around them where these can be told apart.

    The blocks are taken rather than the extractor's text when an engine names them, when they are named as content
    and make up most of that text (what is left are names, times, buttons), or when the extractor lost more than
    half of them.
    """
    if of_engine := contents_of(tree, engines=True):
        return "\n".join(of_engine)
    extracted = "\n".join(part for part in (_field(found, "text"), _field(found, "comments")) if part).strip()
    contents = "\n".join(contents_of(tree))
    if len(contents) >= CONTENT_SHARE * len(extracted):
        return contents
    posts = "\n".join(posts_of(tree))
    return posts if len(extracted) < len(posts) / 2 else extracted


def _body_of(tree: Any, found: Any, title: str) -> str:
    """What was extracted, or what is declared where that is less than half of it; of WeChat, all in its frame."""
    for wechat in tree.xpath('//*[@id="js_content"]'):
        if text := text_of(wechat):
            return text
    extracted, declared = _body_lines(_field(found, "text"), title), body_of(tree)
    return declared if 2 * len(extracted) < len(declared) else extracted


def _body_lines(text: str, title: str) -> str:
    """The text without lines that only repeat the title, or are a label and a date: they are told elsewhere.

    Where the title is a sentence, or no other line is longer, it is the text, as of flash news.
    """
    head = title.strip()
    others = [line for line in text.split("\n") if line.strip() != head and not _DATE_LINE.match(line)]
    flash = "。" in head or not any(len(line.strip()) > len(head) for line in others)
    return "\n".join((head, *others) if text and flash else others).strip()


def _own_address(tree: Any) -> str:
    for path in ('//link[@rel="canonical"]/@href', '//meta[@property="og:url"]/@content'):
        for value in tree.xpath(path):
            if address := canonical(str(value)):
                return address
    return ""
