"""How numbers, times and other people's text are put into words; pure functions."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

LOCAL = ZoneInfo("Asia/Shanghai")
"""The time zone of the people who read the mails."""

_WEEKDAYS = "一二三四五六日"
_SPACE = re.compile(r"\s+")


def harmless(text: str) -> str:
    """Text without control, direction or surrogate characters, and with single spaces.

    Zero-width joiners go too: they hide words in posts, and headers in mail subjects.
    """
    kinds = [(char, unicodedata.category(char)) for char in text]
    kept = (
        " " if kind in ("Cc", "Cs", "Zl", "Zp") else char
        for char, kind in kinds
        if kind not in ("Cf", "Cn", "Co")
    )
    return _SPACE.sub(" ", "".join(kept))


def plain(text: str) -> str:
    """One harmless line, without spaces at its ends."""
    return harmless(text).strip()


def fit(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters, cut with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def local(at: datetime) -> datetime:
    """The reader's wall clock."""
    return at.astimezone(LOCAL)


def clock(at: datetime) -> str:
    """``21:04``."""
    return f"{local(at):%H:%M}"


def moment(at: datetime) -> str:
    """``11月22日 周日 21:04``."""
    here = local(at)
    return f"{here.month}月{here.day}日 周{_WEEKDAYS[here.weekday()]} {here:%H:%M}"


def when(at: datetime, *, beside: datetime) -> str:
    """``21:04`` on the same local day as ``beside``, else ``11月21日 21:04``."""
    here = local(at)
    if here.date() == local(beside).date():
        return clock(at)
    return f"{here.month}月{here.day}日 {here:%H:%M}"


def count(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{round(value):,}"


def usual(value: float) -> str:
    """A baseline mean: whole numbers, and ``不到 1`` below one."""
    return "不到 1" if value < 0.95 else count(value)


def percent(share: float) -> str:
    """``41%`` for 0.41."""
    return f"{share * 100:.0f}%"


def span(minutes: float) -> str:
    """``65`` → ``1 小时 5 分``; under an hour ``40 分钟``; whole hours without minutes."""
    whole = max(0, round(minutes))
    if whole < 60:
        return f"{whole} 分钟"
    hours, rest = divmod(whole, 60)
    return f"{hours} 小时 {rest} 分" if rest else f"{hours} 小时"


def followers(number: int) -> str:
    """``12 万粉`` from ten thousand, else ``3,400 粉``."""
    if number >= 10_000:
        return f"{number / 10_000:.1f}".removesuffix(".0") + " 万粉"
    return f"{number:,} 粉"


def web_address(url: str) -> str:
    """``url`` when it is a plain http(s) address that can be shown as a link, else empty."""
    if any(char.isspace() or unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in url):
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and host else ""


def host_of(url: str) -> str:
    """Host of a checked address, as people should see it."""
    return urlsplit(url).hostname or ""
