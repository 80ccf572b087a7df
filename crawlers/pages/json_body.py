"""Reading JSON that strangers wrote: every access may find another type than expected."""

from __future__ import annotations

import json
import re
from typing import Any

from crawlers.decode import decode
from crawlers.health import Listing, of_status, walled

MAX_COUNT = 10**12
"""More than mankind: such a number is nonsense, or an attempt to overflow."""

_COUNT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([万千亿wWkK]?)\+?\s*$")
_UNITS = {"": 1, "千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000}


class NotJson(ValueError):
    """The body is not the JSON object expected."""


def load(body: bytes) -> dict[str, Any]:
    """The object of a JSON body. Raises ``NotJson`` for anything else, nesting bombs included."""
    try:
        value = json.loads(decode(body))
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if not isinstance(value, dict):
        raise NotJson(f"a {type(value).__name__}, not an object")
    return value


def answered(body: bytes, *, status: int) -> dict[str, Any] | Listing:
    """The object of an answer, or what came in its place: a refusal, a login or captcha page, no JSON."""
    if refused := of_status(status):
        return refused
    try:
        return load(body)
    except NotJson:
        if walled(decode(body[:20_000])):
            return Listing.blocked("返回的是登录或验证页面")
        return Listing.changed("返回的不是 JSON")


def member(value: object, *path: str) -> Any:
    """``value[a][b]…``, or None as soon as something else than an object is met."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def words(value: object) -> str:
    """A string or number as text; empty for anything else."""
    if isinstance(value, bool):
        return ""
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def count(value: object) -> int:
    """A counter, never negative: numbers, ``"12"``, ``"1.2万"``, ``"100万+"``; 0 for what is none (``"转发"``)."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return int(value) if 0 <= value <= MAX_COUNT else 0
    match = _COUNT.match(value) if isinstance(value, str) and len(value) < 30 else None
    return min(MAX_COUNT, int(float(match[1]) * _UNITS[match[2].lower()])) if match else 0
