"""Is a page a thread (forum, question and answers, comments), and where are its posts?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from lxml.etree import _Element

MIN_POSTS = 3
LINK_SHARE = 0.8
_ENGINES = re.compile(r"discuz|phpwind|phpbb|vbulletin|xenforo|nodebb|flarum|mybb|discourse", re.IGNORECASE)
_ADDRESS = re.compile(
    r"//(?:[\w-]+\.)*(?:bbs|tieba|forum|club|guba)\.|/(?:thread|viewthread|forum|showthread|topic|bbs)[-./?_]|"
    r"zhihu\.com/question/|v2ex\.com/t/|douban\.com/group/topic/",
    re.IGNORECASE,
)
_TYPES = re.compile(
    r'"@type"\s*:\s*"(?:DiscussionForumPosting|QAPage)"|schema\.org/(?:DiscussionForumPosting|QAPage)'
)
_POST = re.compile(
    r"(?:^|[-_\s])(?:post|reply|replies|floor|answer|comment|message|msg|topic)"
    r"(?:[-_]?(?:item|content|body|message|text|detail|main|box|cell|wrap|inner|\d+))?(?:$|[-_\s])|"
    r"^t_f$|t_fsz|d_post_content|postmessage_|reply_content|topic_content|RichContent-inner",
    re.IGNORECASE,
)
_ENGINES_CONTENT = re.compile(
    r"(?:^|\s)(?:t_f|t_fsz|d_post_content|postbody|post_body|RichContent-inner|cooked)(?:$|\s)|postmessage_",
    re.IGNORECASE,
)
_CONTENT = re.compile(
    rf"{_ENGINES_CONTENT.pattern}|"
    r"(?:^|[-_\s])(?:post|reply|topic|thread|floor|answer|comment|message)[-_]?(?:content|text|message|main-text)(?:$|[-_\s])",
    re.IGNORECASE,
)
_NOT_POST = re.compile(
    r"list|form|editor|count|num|btn|button|share|nav|meta|hot|related|title|time|date", re.IGNORECASE
)
_DIGITS = re.compile(r"\d+")
_BLANK = re.compile(r"\s+")


def is_thread(tree: Any, url: str) -> bool:
    """Whether the replies are the content: by engine, declared type or address with posts to show for it,
    or because at least three like blocks of posts outweigh the longest prose outside of them.

    Blocks that are called comments do not: comments are on something, however long they are. Nor do those that
    only lead elsewhere, as the items of a list of topics.
    """
    family = _family(tree)
    if len(family) >= 2 and (_declared(tree) or _ADDRESS.search(url)):
        return True
    if len(family) < MIN_POSTS or _is_beside(*next(iter(family.items()))):
        return False
    return _length(family) > 1.5 * _longest_prose(tree, family)


def posts_of(tree: Any) -> list[str]:
    """Texts of the largest family of like blocks that are named as posts, in order of the page."""
    return list(_family(tree).values())


def _family(tree: Any) -> dict[_Element, str]:
    families: dict[tuple[str, str], dict[_Element, str]] = defaultdict(dict)
    for element in tree.iter("div", "li", "td", "article", "section", "p", "dd"):
        name = _name(element)
        if name and _POST.search(name) and not _NOT_POST.search(name):
            text = _text(element)
            if len(text) >= 8:
                families[(element.tag, _DIGITS.sub("#", name))][element] = text
    return max((f for f in families.values() if len(f) >= 2), key=_length, default={})


def _is_beside(block: _Element, text: str) -> bool:
    links = sum(len(_text(link)) for link in block.iter("a"))
    return "comment" in _name(block).lower() or links > LINK_SHARE * len(text)


def _length(family: dict[_Element, str]) -> int:
    return sum(map(len, family.values()))


def contents_of(tree: Any, *, engines: bool = False) -> list[str]:
    """Texts of the blocks that are named as the content of a post (not as its frame), in order of the page;
    with ``engines``, of those only that a forum's engine names so.

    Opening post and replies may be named differently; a block inside another one is part of it.
    """
    named = _ENGINES_CONTENT if engines else _CONTENT
    texts: list[str] = []
    taken: set[_Element] = set()
    for element in tree.iter("div", "td", "p", "article", "section", "span", "dd"):
        name = _name(element)
        if not name or not named.search(name) or any(a in taken for a in element.iterancestors()):
            continue
        taken.add(element)
        if text := _text(element):
            texts.append(text)
    return texts if len(texts) >= 2 else []


def _declared(tree: Any) -> bool:
    generators = " ".join(map(str, tree.xpath('//meta[@name="generator"]/@content')))
    if _ENGINES.search(generators):
        return True
    kinds = " ".join(map(str, tree.xpath('//script[@type="application/ld+json"]/text() | //@itemtype')))
    return bool(_TYPES.search(kinds))


def _longest_prose(tree: Any, posts: Iterable[_Element]) -> int:
    """Characters of the one element that has the most of them, outside of ``posts``: of its own, which breaks
    may divide, and of its paragraphs."""
    inside = {element for post in posts for element in post.iter()}
    prose: dict[_Element, int] = defaultdict(int)
    for element in tree.iter("p", "div", "td", "article", "section"):
        if element in inside:
            continue
        if element.tag == "p":
            prose[element.getparent()] += len(_text(element))
        else:
            prose[element] += len(_BLANK.sub("", "".join(element.xpath("text()"))))
    return max(prose.values(), default=0)


def _name(element: _Element) -> str:
    return f"{element.get('class') or ''} {element.get('id') or ''}".strip()


def _text(element: Any) -> str:
    parts = (t for t in element.itertext() if not _in_code(t))
    return _BLANK.sub(" ", "".join(map(str, parts))).strip()


def _in_code(text: Any) -> bool:
    parent = text.getparent() if hasattr(text, "getparent") else None
    return parent is not None and getattr(text, "is_text", False) and parent.tag in ("script", "style")
