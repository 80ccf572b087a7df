"""How one crawl of one source ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """An empty list without proof is not calm: it is ``SCHEMA_CHANGED`` or ``BLOCKED``."""

    RESULTS = "results"
    EMPTY = "empty"
    """Proved empty: the site itself says that there is nothing."""
    BLOCKED = "blocked"
    """Login wall, captcha, robots.txt, 403/418/429/432."""
    SCHEMA_CHANGED = "schema_changed"
    UNREACHABLE = "unreachable"

    @property
    def seeing(self) -> bool:
        """The source can be believed: what it did not bring is not there."""
        return self in (Outcome.RESULTS, Outcome.EMPTY)

    @property
    def word(self) -> str:
        """The Chinese word people see."""
        return {
            "results": "正常",
            "empty": "确认为空",
            "blocked": "被拦截",
            "schema_changed": "页面改版",
            "unreachable": "连不上",
        }[self.value]


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRun:
    """One line of a source's health."""

    source: str
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    detail: str = ""
    """Why, in one line, for anything but ``RESULTS``; with these, that there were more, or some dated ahead."""
    requests: int = 0
    found: int = 0
    """Posts on the pages."""
    new: int = 0
    """Posts put into the inbox for the first time."""
    refreshed: int = 0
    """Known posts whose engagement changed."""
    rejected: int = 0
    """Items of a page that could not become a post."""

    @property
    def word(self) -> str:
        """The Chinese word people see."""
        return "未取全" if self.outcome is Outcome.RESULTS and self.detail else self.outcome.word
