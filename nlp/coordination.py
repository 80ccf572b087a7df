"""Do accounts act together? A suspicion (疑似水军) from who said the same thing when; never an accusation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

WINDOW_S = 300
"""Same text or address within so many seconds counts as acting together."""
ACCOUNTS = 3
"""Different accounts that make a burst."""

Act = tuple[str, str, float]
"""Account key, story id, seconds since the epoch."""


def burst(acts: Iterable[Act], story: str, at: float) -> frozenset[str]:
    """Accounts that said this story within the window around ``at``."""
    return frozenset(who for who, what, when in acts if who and what == story and abs(when - at) <= WINDOW_S)


def suspicion(acts: Sequence[Act], story: str, at: float) -> float:
    """How much the burst around one act looks arranged, 0..1.

    Fewer than three accounts: 0. One burst: at most .35, for a crowd that shares a victims' template looks the same.
    Three or more of the same accounts in another burst (another story, or the same one later): from .7 upwards,
    as in detection.md: ≥ 3 accounts, the same text or URL within 60–300 s, at least twice.
    """
    told: dict[str, list[Act]] = defaultdict(list)
    for act in acts:
        told[act[1]].append(act)
    here = burst(told[story], story, at)
    if len(here) < ACCOUNTS:
        return 0.0
    once = min(0.35, 0.15 + 0.05 * (len(here) - ACCOUNTS))
    again = 0
    counted: list[tuple[str, float]] = []
    for _, other, when in sorted((a for a in acts if a[0] in here), key=lambda a: a[2]):
        if other == story and abs(when - at) <= 2 * WINDOW_S:
            continue
        if any(other == s and abs(when - t) <= 2 * WINDOW_S for s, t in counted):
            continue
        if len(burst(told[other], other, when) & here) >= ACCOUNTS:
            counted.append((other, when))
            again += 1
    return once if not again else min(1.0, 0.6 + 0.1 * again + 0.02 * (len(here) - ACCOUNTS))
