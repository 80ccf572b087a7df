"""Pure detectors: counts and what is expected of them → numbers, and which of them are findings.

Everything works on all series at once; nothing here knows stores, clocks or brands. Formulas with their
sources: docs/detection.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.special import betainc

from config.settings import Detection
from monitor.baseline import WINDOWS, Baseline
from monitor.series import NEGATIVE, PER_HOUR, POSTS, STORIES, Flags, Floats, Numbers, Window

TAIL_CAP = 300.0
"""Tails are not told apart beyond 10⁻³⁰⁰."""


def tail(observed: Floats, mean: Floats, phi: Floats, doubt: Floats) -> Floats:
    """A = −log10 P(X ≥ observed) for X negative binomial with the given mean.

    Variance = phi·mean + doubt·mean²: noise of the series, and doubt about the mean itself (a Gamma prior of
    the mean, integrated out, is a negative binomial too). P(X ≥ k) = I_p(k, r), p = mean/(mean + r).
    """
    mean = np.maximum(mean, 1e-9)
    excess = np.maximum((phi - 1) / mean + doubt, 1e-9)
    size = 1 / excess
    chance = betainc(np.maximum(observed, 1e-9), size, mean / (mean + size))
    found = -np.log10(np.maximum(chance, 10.0**-TAIL_CAP))
    return cast(Floats, np.where(observed > 0, found, 0.0))


@dataclass(frozen=True, kw_only=True)
class Look:
    """All series as they stood at the end of one bucket."""

    end: int
    """The bucket after the last one looked at."""
    tail: Floats
    """[series] A: the greatest over windows and over posts and stories."""
    window: Numbers
    """[series] index into ``WINDOWS`` of the window that decided."""
    measure: Numbers
    """[series] what decided: ``NEGATIVE`` posts, or ``STORIES``."""
    observed: Floats
    expected: Floats
    """[series] K and its mean, of that measure in that window."""
    negatives: Floats
    stories: Floats
    usual: Floats
    """[series] negative posts and stories of the last hour, and the usual number of negative posts."""
    before: Floats
    """[series] negative posts of the hour before."""
    posts: Floats
    """[series] posts of the brand in the last hour."""
    share: Floats
    usual_share: Floats
    share_z: Floats
    """[series] negatives ÷ posts of the brand, the usual p0, and z = (K − N·p0)/√(N·p0·(1 − p0))."""
    share_tail: Floats
    """[series] −log10 P(X ≥ K) given N and p0, the greater of 15 and 60 minutes."""


_SHARE_PHI = 1.5
"""Variance ÷ mean allowed to negatives given the number of posts: shares drift from hour to hour."""


def look(baseline: Baseline, window: Window, end: int) -> Look:
    """All series at the end of bucket ``end`` − 1; the window must reach two hours back."""
    counts = window.part(end - 2 * PER_HOUR, end)
    expected = baseline.expect(end - PER_HOUR, end)
    layout, every = baseline.layout, np.arange(baseline.layout.size)
    recent = counts[:, :, PER_HOUR:]
    found = []
    for index, width in enumerate(WINDOWS):
        k = recent[NEGATIVE : STORIES + 1, :, -width:].sum(axis=2)
        mean = expected.mean[NEGATIVE : STORIES + 1, :, -width:].sum(axis=2)
        phi, doubt = expected.phi[index][NEGATIVE : STORIES + 1], expected.doubt[NEGATIVE : STORIES + 1]
        found.append((tail(k, mean, phi, doubt), k, mean))
    tails = np.concatenate([each[0] for each in found])
    best = tails.argmax(axis=0)
    observed = np.concatenate([each[1] for each in found])[best, every]
    mean = np.concatenate([each[2] for each in found])[best, every]
    negatives = recent[NEGATIVE].sum(axis=1)
    whole = every - every % layout.width
    posts = recent[POSTS].sum(axis=1)[whole]
    share_tail = np.zeros(layout.size)
    for width in WINDOWS[1:]:
        k, n = recent[NEGATIVE, :, -width:].sum(axis=1), recent[POSTS, :, -width:].sum(axis=1)[whole]
        usual = tail(k, n * expected.share, np.full(layout.size, _SHARE_PHI), np.zeros(layout.size))
        share_tail = np.maximum(share_tail, usual)
    usual_negatives = np.maximum(posts, 1) * expected.share
    return Look(
        end=end,
        tail=tails[best, every],
        window=best // 2,
        measure=NEGATIVE + best % 2,
        observed=observed,
        expected=mean,
        negatives=negatives,
        stories=recent[STORIES].sum(axis=1),
        usual=expected.mean[NEGATIVE].sum(axis=1),
        before=counts[NEGATIVE, :, :PER_HOUR].sum(axis=1),
        posts=posts,
        share=negatives / np.maximum(posts, 1),
        usual_share=expected.share,
        share_z=(negatives - posts * expected.share) / np.sqrt(usual_negatives * (1 - expected.share)),
        share_tail=share_tail,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One series that one detector speaks about."""

    series: int
    detector: str
    end: int
    window_min: int
    measure: int
    """What ``observed`` and ``expected`` count: ``NEGATIVE`` posts, or ``STORIES``."""
    observed: float
    expected: float
    tail: float
    share: float
    usual_share: float
    share_z: float
    negatives: float
    """Negative posts of the last hour."""
    usual: float
    """Negative posts of a usual hour at this time."""
    before: float
    """Negative posts of the hour before."""
    posts: float
    """All posts of the brand in the last hour."""
    stories: float
    """Stories among the negatives of the last hour, each counted once in five minutes."""


def finding(seen: Look, series: int, detector: str) -> Finding:
    """The numbers of one series as a finding of a detector."""
    return Finding(
        series=series,
        detector=detector,
        end=seen.end,
        window_min=WINDOWS[int(seen.window[series])] * 5,
        measure=int(seen.measure[series]),
        observed=float(seen.observed[series]),
        expected=float(seen.expected[series]),
        tail=float(seen.tail[series]),
        share=float(seen.share[series]),
        usual_share=float(seen.usual_share[series]),
        share_z=float(seen.share_z[series]),
        negatives=float(seen.negatives[series]),
        usual=float(seen.usual[series]),
        before=float(seen.before[series]),
        posts=float(seen.posts[series]),
        stories=float(seen.stories[series]),
    )


SLOW_HOURS = 6
THIN_STORIES, THIN_SHARE = 8, 1 / 3
"""Negative stories in an hour (each once in five minutes), and share, that a brand with little history needs."""


def gate(seen: Look, rules: Detection) -> Flags:
    """[series] Enough negatives in the last hour, and more of the posts negative than usual."""
    return (seen.negatives >= rules.min_negatives) & (seen.share_z > rules.share_z)


def negative_tail(seen: Look, baseline: Baseline, rules: Detection) -> list[Finding]:
    """Series with too many negatives for the time of day, behind the gate.

    Fires at A ≥ ``rules.tail``; or at half of it when the share alone is as improbable (B ≥ ``rules.tail``),
    which tells a crisis from a busy day sooner. A topic needs log10(number of topics) more: there are so many
    chances of error. With thin history ``THIN_STORIES`` are needed.
    """
    layout = baseline.layout
    extra = np.full(layout.size, math.log10(max(1, layout.width - 1)))
    extra[:: layout.width] = 0.0
    hours = np.repeat(baseline.hours, layout.width)
    strong = seen.tail >= rules.tail + extra
    shared = (seen.tail >= rules.tail / 2 + extra) & (seen.share_tail >= rules.tail + extra)
    thin = (hours < rules.min_history_hours) & ((seen.stories < THIN_STORIES) | (seen.share < THIN_SHARE))
    fires = gate(seen, rules) & (strong | shared) & ~thin
    return [
        finding(seen, int(i), "negative_tail" if strong[i] else "negative_share")
        for i in np.flatnonzero(fires)
    ]


def slow_burn(seen: Look, baseline: Baseline, window: Window, rules: Detection) -> list[Finding]:
    """Series whose CUSUM of hourly excess is over ``rules.slow_burn`` at a new 24 h high, behind the gate over 6 h.

    Only whole hours count; the state's CUSUM goes on over the hours that were not absorbed yet.
    """
    height, highs = baseline.cusum, list(baseline.cusum_high)
    first, hours = baseline.absorbed_until, (seen.end - baseline.absorbed_until) // PER_HOUR
    if hours < 0:  # how it stood before the newest hours were absorbed
        highs = highs[:hours]
        height = highs[-1] if highs else np.zeros_like(height)
    elif hours:
        until = first + hours * PER_HOUR
        observed = window.part(first, until)[NEGATIVE].reshape(-1, hours, PER_HOUR).sum(axis=2)
        mean = baseline.expect(first, until).mean[NEGATIVE].reshape(-1, hours, PER_HOUR).sum(axis=2)
        steps = baseline.cusum_step(observed.T, mean.T)
        for step in steps:
            height = np.maximum(height + step, 0.0)
            highs.append(height)
    earlier = np.max(highs[-1 - math.ceil(rules.new_high_hours) : -1], axis=0, initial=0.0)
    trusted = np.repeat(baseline.hours >= rules.min_history_hours, baseline.layout.width)
    extra = np.full(baseline.layout.size, math.log(max(1, baseline.layout.width - 1)))
    extra[:: baseline.layout.width] = 0.0
    high = (height > rules.slow_burn + extra) & (height > earlier)
    fires = high & trusted & _slow_gate(baseline, window, seen.end, rules)
    return [finding(seen, int(i), "slow_burn") for i in np.flatnonzero(fires)]


def _slow_gate(baseline: Baseline, window: Window, end: int, rules: Detection) -> Flags:
    """The gate of ``gate`` over the last six hours, of which the last one must hold a negative post."""
    part = window.part(max(window.first, end - SLOW_HOURS * PER_HOUR), end)
    negatives = part[NEGATIVE].sum(axis=1)
    posts = part[POSTS].sum(axis=1)[
        np.arange(len(negatives)) // baseline.layout.width * baseline.layout.width
    ]
    share = baseline.expect(end - 1, end).share
    z = (negatives - posts * share) / np.sqrt(np.maximum(posts, 1) * share * (1 - share))
    recent = part[NEGATIVE, :, -PER_HOUR:].sum(axis=1)
    return cast(Flags, (negatives >= 2 * rules.min_negatives) & (z > rules.share_z) & (recent > 0))


CROWDED = 2.0
"""A at which more is said than usual: one in a hundred. Less than a detector needs, which has spoken already."""


def crowded(baseline: Baseline, window: Window, since: int, end: int) -> Flags:
    """[series] More negatives than usual in the last hour, or in all the time from ``since`` (docs/levels.md)."""
    found = np.zeros(baseline.layout.size, dtype=np.bool_)
    for first in (end - PER_HOUR, max(window.first, min(since, end - PER_HOUR))):
        expected = baseline.expect(first, end)
        k, mean = window.part(first, end)[NEGATIVE].sum(axis=1), expected.mean[NEGATIVE].sum(axis=1)
        found |= tail(k, mean, expected.phi[-1][NEGATIVE], expected.doubt[NEGATIVE]) >= CROWDED
    return found


def onset(baseline: Baseline, window: Window, series: int, end: int) -> int:
    """Bucket in which the present run of high buckets began.

    The last zero of the CUSUM of x − μ − ½√(φμ), the maximum-likelihood estimate of a change point
    (Hinkley 1970); never before the window.
    """
    first = window.first
    expected = baseline.expect(first, end)
    mean = expected.mean[NEGATIVE, series]
    allowed = mean + 0.5 * np.sqrt(expected.phi[0][NEGATIVE, series] * np.maximum(mean, 0.02))
    x = window.part(first, end)[NEGATIVE, series]
    height, start = 0.0, 0
    for index, step in enumerate(x - allowed):
        height += float(step)
        if height <= 0:
            height, start = 0.0, index + 1
    while start < len(x) - 1 and x[start] == 0:
        start += 1
    return first + min(start, len(x) - 1)
