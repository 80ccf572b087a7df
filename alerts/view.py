"""Everything that one alert mail shows, gathered and counted; the templates only lay it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from domain.alert import Alert
from domain.incident import Incident


@dataclass(frozen=True, kw_only=True, slots=True)
class Hour:
    """One bar of the chart: an hour that ends at a whole number of hours before the alert."""

    start: datetime
    negative: int
    mean: float | None = None
    """Usual negative posts in this hour; None where the history is too thin."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Negative posts of the last 24 hours."""

    hours: tuple[Hour, ...]
    """Oldest first."""
    onset: datetime

    @property
    def end(self) -> datetime | None:
        """End of the newest hour; None without hours."""
        if len(self.hours) < 2:
            return None
        return self.hours[-1].start + (self.hours[1].start - self.hours[0].start)


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a post's text."""

    text: str
    marked: bool = False
    """It carried the decision."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What several posts say, in one post's own words."""

    text: str
    posts: int
    accounts: int
    words: tuple[str, ...]
    """The words that the counted posts share; empty when they are copies of one story."""
    post: str
    """Id of the post the words are taken from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostLine:
    """One of the posts that matter."""

    id: str
    why: tuple[str, ...]
    """最早, 传播最广, 官方媒体, 代表性, 影响力."""
    platform: str
    author: str
    weight: str
    """认证媒体 · 12 万粉; empty when nothing is known."""
    published_at: datetime
    reach: str
    pieces: tuple[Piece, ...]
    url: str
    """http(s), or empty."""
    host: str
    copies: int
    """Posts of the same story, this one included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """疑似水军: what made us suspect, never an accusation."""

    posts: int
    accounts: int
    minutes: float
    """Between the first and the last copy."""
    of: int
    """Negative posts looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """How far it went."""

    posts: int
    stories: int
    authors: int
    """Distinct known authors."""
    anonymous: int
    """Posts whose author is unknown."""
    platforms: tuple[tuple[str, int], ...]
    """Shown name and posts, most first."""
    first: PostLine
    suspicion: Suspicion | None = None

    @property
    def copies(self) -> float:
        """Share of posts that repeat another one's text, 0..1."""
        return 1 - self.stories / self.posts


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A task of the plan."""

    title: str
    role: str
    due_at: datetime | None
    """None while the plan does not run: it would count from when the mail arrives."""
    due_min: int
    """Minutes after the plan's start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Duty:
    """A legal clock that may start."""

    name: str
    due_min: int
    trigger: str
    source: str
    standing: str
    """How far it can be relied on (未核实，待法务确认)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NextStep:
    """The plan proposed, or the plans that run."""

    plan: str
    """Id of the plan proposed; of the one started last where plans run."""
    plan_name: str
    """Names of all that run."""
    running: bool
    steps: tuple[Step, ...]
    duties: tuple[Duty, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Companion:
    """A lesser alert of the same brand told in the same mail."""

    word: str
    """How it stands: 黄色, or 已结束."""
    topic: str
    explanation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertView:
    """One alert for people."""

    alert: Alert
    incident: Incident | None
    brand: str
    """Shown name; empty for an operator alert."""
    topic: str
    """Shown name of the lead topic; empty when none."""
    topics: tuple[str, ...]
    counted: str = ""
    """Shown name of the topic that numbers and chart count, where it is another than the lead topic."""
    source: str = ""
    """Shown name of the blind source, for an operator alert."""
    since: datetime
    """From when the posts below are taken."""
    series: Series | None = None
    claims: tuple[Claim, ...] = ()
    posts: tuple[PostLine, ...] = ()
    spread: Spread | None = None
    next_step: NextStep | None = None
    unknowns: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    """How the crawls of a blind source ended, for an operator alert."""
    companions: tuple[Companion, ...] = field(default_factory=tuple)
