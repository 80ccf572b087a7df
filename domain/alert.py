"""An alert: signals of one brand that belong together, with a level."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Level(IntEnum):
    """四级预警. Ordered: ``Level.RED > Level.BLUE``."""

    NONE = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def id(self) -> str:
        """Lower-case name, as in YAML and JSON: blue, yellow, orange, red."""
        return self.name.lower()

    @property
    def colour(self) -> str:
        """蓝黄橙红."""
        return ("无", "蓝", "黄", "橙", "红")[self]

    @property
    def word(self) -> str:
        """一般, 较大, 重大, 特别重大."""
        return ("", "一般", "较大", "重大", "特别重大")[self]

    @classmethod
    def of(cls, name: str) -> Level:
        """Level of a lower-case name. Raises ``KeyError`` for an unknown one."""
        return cls[name.upper()]


class AlertState(StrEnum):
    """Life of an alert; ``RESOLVED`` ends it, a later rise is a new alert."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


class Change(StrEnum):
    """Why this revision of the alert exists."""

    NEW = "new"
    UPDATE = "update"
    """A new high of ``new_high_hours`` at the same level."""
    ESCALATED = "escalated"
    RECOVERED = "recovered"


RETIRED = "retired"
"""Rule of the reason for which an alert ends whose source or brand is not watched any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One part of a level: points of the score, or a hard trigger."""

    rule: str
    """volume, share, topic, source_tier, spread, growth, suspected, or the id of a hard trigger; of operator alerts
    blind_source, or ``RETIRED``.
    """
    points: float
    """0..25 for parts of the score, below zero for what lowers it (suspected); 0 for a hard trigger."""
    text: str
    """One Chinese clause with its number."""
    level: Level = Level.NONE
    """The level that a hard trigger demands."""
    topic: str = ""
    """The topic whose assertions met a hard trigger; empty for one that any topic meets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One revision of an alert. A new revision replaces the old one under the same id."""

    id: str
    fingerprint: str
    """Brand and lead topic at birth: two open alerts never share one."""
    revision: int
    """1 at birth; each change adds one. (id, revision) names a notification-worthy event."""
    change: Change
    brand: str
    """Brand id; empty for an operator alert (a blind source)."""
    topics: tuple[str, ...]
    """Topic ids, lead topic first; empty when no topic stands out."""
    level: Level
    score: float
    """0..100."""
    reasons: tuple[Reason, ...]
    state: AlertState
    onset: datetime
    """Aware UTC; start of the run of high buckets that led here, as far as the counts tell."""
    at: datetime
    """Aware UTC; when this revision was made."""
    first_at: datetime
    """Aware UTC; when revision 1 was made."""
    explanation: str
    """The lead signal's sentence, or what raised the level where no detector fired, with its numbers."""
    signals: tuple[str, ...] = ()
    """Ids of the signals behind this revision, lead first."""
    posts: tuple[str, ...] = ()
    """Ids of posts behind it, most influential first."""
    peak: Level = Level.NONE
    """Highest level reached so far."""
    incomplete: tuple[str, ...] = ()
    """Ids of sources that were blind when this level was made (数据不全)."""
    source: str = ""
    """Source id, for an operator alert."""
    numbers: dict[str, float] = field(default_factory=dict)
    """The lead signal's series in numbers, at ``at``: observed, expected, window_min, tail, share, usual_share,
    share_z, negatives (whole last hour), per_hour_usual, until (end of that hour, in seconds since the epoch: before
    ``at`` where posts were crawled late). Once grown also highest (the most negatives of an hour
    told lately) and highest_at (when, in seconds since the epoch)."""

    @property
    def lead_topic(self) -> str:
        """The topic that names the crisis; empty when none."""
        return self.topics[0] if self.topics else ""
