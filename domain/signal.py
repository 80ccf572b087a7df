"""What a detector found."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """One detector's finding in one series at one time; explains itself with its numbers."""

    id: str
    """``signal_id(...)``: the same finding of the same tick is the same id, so a replay doubles nothing."""
    at: datetime
    """Aware UTC end of the newest window looked at."""
    brand: str
    """Brand id; empty for an operator signal."""
    topic: str
    """Topic id; empty for the brand as a whole."""
    detector: str
    """negative_tail, negative_share, volume, slow_burn, limit_volume, limit_share, limit_verified, blind_source."""
    window_min: int
    """Minutes of the window that decided."""
    observed: float
    """Negative posts counted in the window, or distinct stories among them where these are the rarer (K)."""
    expected: float
    """The baseline's mean for the same window (μ)."""
    tail: float
    """A = −log10 P(X ≥ K) under the baseline; 0 where the detector has none."""
    share: float
    """Negative share over the last hour, 0..1."""
    usual_share: float
    """Baseline negative share (p0), 0..1."""
    share_z: float
    """Standard deviations of the share over the usual one."""
    explanation: str
    """One Chinese sentence whose every adjective is carried by a number."""
    posts: tuple[str, ...] = ()
    """Ids of posts behind it, most influential first."""
    source: str = ""
    """Source id, for an operator signal."""


def signal_id(*, at: datetime, brand: str, topic: str, detector: str, source: str = "") -> str:
    """Stable id of a finding: 24 hex digits."""
    text = "\0".join((at.isoformat(), brand, topic, detector, source))
    return hashlib.sha256(text.encode()).hexdigest()[:24]
