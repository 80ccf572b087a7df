"""Fixed limits beside the learned ones (``Brand.limits``), and what makes a finding an alert."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from config.settings import Limits
from monitor.detectors import Finding, Look, finding
from monitor.evidence import asserts, official
from store.posts import Judged

LIMITS = ("limit_volume", "limit_share", "limit_verified")
"""Detectors that a person set; they alert without the learned gate."""


def over_limits(seen: Look, series: int, limits: Limits) -> list[tuple[Finding, str]]:
    """Limits that the whole-brand series passes, each with its words."""
    found = []
    if limits.volume is not None and seen.negatives[series] > limits.volume:
        words = f"过去 1 小时负面 {seen.negatives[series]:.0f} 条，超过设定上限 {limits.volume} 条"
        found.append((finding(seen, series, "limit_volume"), words))
    if (
        limits.share is not None
        and seen.posts[series] >= limits.share_posts
        and seen.share[series] > limits.share
    ):
        words = (
            f"过去 1 小时 {seen.posts[series]:.0f} 条中负面 {seen.negatives[series]:.0f} 条，"
            f"超过设定占比 {limits.share:.0%}"
        )
        found.append((finding(seen, series, "limit_share"), words))
    return found


def verified_red(posts: Sequence[Judged], red_topics: Collection[str]) -> tuple[Judged, str] | None:
    """The first post of a verified medium or authority that asserts a topic whose plan is red, with the topic."""
    for judged in posts:
        if official(judged.post):
            for topic in sorted(red_topics):
                if asserts(judged, topic):
                    return judged, topic
    return None
