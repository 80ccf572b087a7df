"""Fragments of HTML in feeds and JSON, to plain text."""

from __future__ import annotations

import re
from html import unescape

from lxml import html as lxml_html
from lxml.etree import LxmlError

_TAG = re.compile(r"<[a-zA-Z/!][^<>]*>")
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h[1-6])\b[^<>]*>", re.IGNORECASE)
_DEEP = 400_000


def plain(fragment: str) -> str:
    """Text of an HTML fragment: breaks become newlines, picture labels (``alt``) of emoticons stay, scripts go.

    Fragments without tags, most of them, never meet a parser.
    """
    if "<" not in fragment:
        return unescape(fragment) if "&" in fragment else fragment
    broken = _BREAK.sub("\n", fragment[:_DEEP])
    if "<script" not in broken and "<style" not in broken and "<img" not in broken:
        return unescape(_TAG.sub("", broken))
    try:
        root = lxml_html.fragment_fromstring(broken, create_parent="div")
    except (LxmlError, ValueError):
        return unescape(_TAG.sub("", broken))
    for element in root.xpath(".//script|.//style"):
        element.drop_tree()
    for image in root.xpath(".//img[@alt]"):
        image.tail = image.get("alt", "") + (image.tail or "")
    return str(root.text_content())
