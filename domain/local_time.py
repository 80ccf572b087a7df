"""Asia/Shanghai, the time of our users; inside, all times are aware UTC."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from domain.post import Post

SHANGHAI = ZoneInfo("Asia/Shanghai")
_WEEKDAYS = "一二三四五六日"


def iso(at: datetime) -> str:
    """ISO 8601 at +08:00 to the second, as on every machine-readable output."""
    return at.astimezone(SHANGHAI).isoformat(timespec="seconds")


def published(post: Post) -> str:
    """When a post was published: ISO 8601 at +08:00, or the date alone where only that is known."""
    return iso(post.published_at)[:10] if post.date_only else iso(post.published_at)


def spoken(at: datetime) -> str:
    """As people write it: 11月22日 周日 21:04."""
    local = at.astimezone(SHANGHAI)
    return f"{local.month}月{local.day}日 周{_WEEKDAYS[local.weekday()]} {local:%H:%M}"


def said(minutes: int) -> str:
    """A time limit as people say it: 5 分钟, 2 小时, 24 小时, 3 天."""
    if minutes > 1440 and minutes % 1440 == 0:
        return f"{minutes // 1440} 天"
    return f"{minutes // 60} 小时" if minutes >= 60 and minutes % 60 == 0 else f"{minutes} 分钟"
