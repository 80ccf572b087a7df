"""What a reader of a page sees: its heading and its lines of text, without what is hidden or run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

HEAD_CHARS = 6000
"""Characters of shown text, behind the title and before it, in which a byline is looked for."""

_INLINE = frozenset(
    ("a", "abbr", "b", "bdi", "cite", "code", "em", "font", "i", "img", "ins", "label", "mark", "q", "s", "small",
     "span", "strong", "sub", "sup", "time", "u")
)  # fmt: skip
_BLIND = frozenset(("head", "noscript", "script", "select", "style", "template", "textarea", "title"))
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_EXACT = re.compile(r"\d{4}-\d{1,2}-\d{1,2} \d{1,2}:\d{2}(?::\d{2})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A page as it is read: what stands behind its title is its own, what stands before it may be another's."""

    head: Any
    """The element that shows the title; None where none does, all the page is then behind it."""
    after: list[str]
    """Lines behind the title."""
    before: list[str]
    """Lines before it."""


def shown(tree: Any, title: str) -> Shown:
    """What a page shows of itself."""
    head = _heading(tree, title)
    after: list[str] = []
    before: list[str] = []
    found = after if head is None else before
    for text in _lines(tree, head, " "):
        if text:
            found.append(text)
        else:
            found = after
    return Shown(head=head, after=_bounded(after), before=_bounded(before))


def text_of(element: Any) -> str:
    """All that an element shows, line by line."""
    return "\n".join(_lines(element, None, ""))


def line(text: str) -> str:
    """The text with single blanks."""
    return " ".join(text.split())


def _heading(tree: Any, title: str) -> Any:
    for level in ("h1", "h2", "h3"):
        for element in tree.iter(level):
            if _alike(line(element.text_content()), title):
                return element
    others = (e for e in tree.iter("div", "p", "span", "td", "strong", "b", "font") if e.text)
    return next((e for e in others if _alike(line(e.text), title)), None)


def _alike(text: str, title: str) -> bool:
    short, long = sorted((text, title), key=len)
    return 2 * len(short) >= len(long) > 0 and short in long


def _lines(tree: Any, head: Any, between: str) -> Iterator[str]:
    """Lines in order of the page, an empty one in the place of ``head``; ``between`` the elements of one line."""
    parts: list[str] = []
    for piece in (*_pieces(tree, head), None):
        if isinstance(piece, str):
            parts.append(piece)
            continue
        if text := line(between.join(parts)):
            yield text
        parts = []
        if piece is not None:
            yield ""


def _pieces(tree: Any, head: Any) -> Iterator[Any]:
    """Texts in order of the page, None where a line ends, ``head`` in the place of its own."""
    around = set() if head is None else set(head.iterancestors())  # that a script will show
    walk = etree.iterwalk(tree, events=("start", "end", "comment", "pi"))
    for event, element in walk:
        if event == "start":
            exact = element.get("title") or ""
            hidden = _HIDDEN.search(element.get("style") or "") and element not in around
            if element is head or element.tag in _BLIND or hidden:
                walk.skip_subtree()
            elif _EXACT.fullmatch(exact):  # 3 hours ago, and when the mouse is over it the time
                yield exact
                walk.skip_subtree()
            else:
                if element.tag not in _INLINE:
                    yield None
                yield element.text or ""
            continue
        if element is head:
            yield head
        elif event == "end" and element.tag not in _INLINE:
            yield None
        if element is not tree:
            yield element.tail or ""


def _bounded(found: list[str]) -> list[str]:
    length = 0
    for number, text in enumerate(found):
        length += len(text) + 1
        if length > HEAD_CHARS:
            return found[: number + 1]
    return found
