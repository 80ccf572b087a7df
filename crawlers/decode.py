"""Bytes of a page to text: what the bytes say goes before what the page claims."""

from __future__ import annotations

import codecs
import re

_META = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_\-:.]+)""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9_\-:.]+)""", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEAD = 4096


def decode(body: bytes, *, declared: str = "") -> str:
    """Text of a page; never raises.

    Order: byte order mark; strict UTF-8 (pages saved or proxied as UTF-8 keep their old ``gb2312`` meta, and
    Chinese in GBK is practically never valid UTF-8); the charset of the HTTP header, then of the page, where
    every ``gb*`` means its superset GB18030; GB18030; UTF-8 with replacement characters.
    """
    for bom, name in _BOMS:
        if body.startswith(bom):
            return body[len(bom) :].decode(name, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        # A page cut off in the middle of its last character is still UTF-8.
        if error.start >= len(body) - 3 and error.start > 0:
            return body[: error.start].decode("utf-8")
    for name in (_known(declared), _known(_claimed(body)), "gb18030"):
        if name:
            try:
                return body.decode(name)
            except (UnicodeDecodeError, ValueError):
                continue
    return _least_damaged(body)


def _claimed(body: bytes) -> str:
    head = body[:_HEAD]
    match = _XML.search(head) or _META.search(head)
    return match[1].decode("ascii") if match else ""


def _known(name: str) -> str:
    """A codec's canonical name; empty for an unknown one, for UTF-8 (tried before) and for non-text codecs."""
    name = name.strip().lower()
    if name.startswith(("gb", "cp936", "x-gbk", "ms936", "hz-gb")):
        return "gb18030"
    if name in ("latin-1", "iso-8859-1", "latin1", "windows-1252", "ascii", "us-ascii"):
        return ""  # what servers say that were never told: it decodes anything, so it proves nothing
    try:
        info = codecs.lookup(name) if name else None
    except (LookupError, ValueError):
        return ""
    if info is None or info.name == "utf-8" or not getattr(info, "_is_text_encoding", True):
        return ""
    return info.name


def _least_damaged(body: bytes) -> str:
    """Damaged bytes in the encoding that loses fewer characters."""
    tries = (body.decode("utf-8", "replace"), body.decode("gb18030", "replace"))
    return min(tries, key=lambda text: text.count("\ufffd"))
