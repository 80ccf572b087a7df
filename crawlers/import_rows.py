"""One row of another tool's export as a draft."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from crawlers.dates import Stamp, from_epoch, parse_date
from crawlers.draft import Draft, Unusable, tidy
from crawlers.pages.json_body import MAX_COUNT, count
from domain.post import COUNTERS, Engagement

SOURCE = "import"
NO_TEXT = "缺少 text"

_GROUPED = re.compile(r"(?<=\d)[,，\s](?=\d{3}(?!\d))")
"""What a spreadsheet puts between the thousands of a number."""
_PLATFORM = re.compile(r"^[\w\-.:]{1,64}$")


def to_draft(
    values: Mapping[str, Any],
    columns: Mapping[str, str],
    *,
    now: datetime,
    unread: Callable[[str], None] = lambda _: None,
) -> tuple[Draft, str]:
    """(draft, platform) of a row; ``unread`` gets each counter that is no number and is taken for 0.

    Raises ``Unusable`` saying which column is wrong and how.
    """

    def value(ours: str) -> Any:
        return lookup(values, columns.get(ours, ours))

    text = value("text")
    if text is None or (isinstance(text, str) and not tidy(text)):
        raise Unusable(NO_TEXT)
    if not isinstance(text, str):
        raise Unusable("text 不是文字")
    platform = _word(value("platform"), "platform").lower() or SOURCE
    if not _PLATFORM.match(platform):
        raise Unusable("platform 含有不允许的字符")
    author = _word(value("author"), "author")
    draft = Draft(
        native_id=_word(value("id"), "id")
        or _digest(platform, author, str(value("published_at") or ""), text),
        text=text,
        title=_word(value("title"), "title"),
        url=_word(value("url"), "url"),
        author_name=author,
        stamp=_stamp(value("published_at"), now),
        engagement=_engagement(value, unread),
    )
    return draft, platform


def lookup(values: Mapping[str, Any], name: str) -> Any:
    """A column by its name, or by a dotted path into nested objects."""
    if name in values:
        return values[name]
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def texts_of(value: Any) -> Iterator[str]:
    """The texts and numbers of a value, however deep in objects and lists."""
    if isinstance(value, str | int):
        yield str(value)
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from texts_of(each)


def _word(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unusable(f"{name} 不是文字")
    return tidy(str(value)).replace("\n", " ")[:2000]


def _digest(*parts: str) -> str:
    """A stable id for a row without one: the same row is the same post whenever it is imported."""
    joined = "\0".join(tidy(part) for part in parts).encode("utf-8", "replace")
    return "h" + hashlib.sha256(joined).hexdigest()[:24]


def _stamp(value: Any, now: datetime) -> Stamp | None:
    if value is None or value == "":
        return None
    found = parse_date(value, now=now) if isinstance(value, str) else from_epoch(value, now=now)
    if found is None:
        raise Unusable(f"published_at 无法识别，或在未来：{str(value)[:40]}")
    return found


def _engagement(value: Callable[[str], Any], unread: Callable[[str], None]) -> Engagement:
    whole = value("engagement")
    if isinstance(whole, str) and not whole.strip():
        whole = None
    if whole is not None and not isinstance(whole, Mapping):
        raise Unusable("engagement 不是对象")
    counts: dict[str, int] = {}
    for name in COUNTERS:
        candidates: Iterable[Any] = ((whole or {}).get(name), value(f"engagement.{name}"), value(name))
        counts[name] = _counter(next((c for c in candidates if c is not None), None), name, unread)
    return Engagement(**counts)


def _counter(value: Any, name: str, unread: Callable[[str], None]) -> int:
    if value is None or (isinstance(value, str) and not value.strip()):
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Unusable(f"engagement.{name} 不是数字")
    plain = _GROUPED.sub("", value) if isinstance(value, str) else value
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    except ValueError:
        number = float(count(plain)) if count(plain) or str(plain).strip()[:1] == "0" else math.nan
    if number < 0:
        raise Unusable(f"engagement.{name} 为负数")
    if number > MAX_COUNT:
        raise Unusable(f"engagement.{name} 不是合理的数字")
    if math.isnan(number):  # a word in the place of a number (转发, -, null) is none, as on pages
        unread(str(value))
        return 0
    return int(number)
