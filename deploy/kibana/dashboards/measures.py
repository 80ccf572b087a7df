"""Measures that several dashboards show, so that one word means one number."""

from __future__ import annotations

from deploy.kibana.panels import Measure, Operation, at_least, one_of
from deploy.kibana.words import BEFORE, NEGATIVE, PLAIN

IS_NEGATIVE = one_of("assessment.sentiment", "negative")
HEARD = one_of("author.tier", "big_v", "regional_media", "central_media")
"""Written by somebody whom many hear."""
COORDINATED = at_least("assessment.coordination", 0.5)

POSTS = Measure(label="帖子", colour=PLAIN)
POSTS_BEFORE = Measure(label="上周同期", shift="1w", colour=BEFORE)
NEGATIVES = Measure(label="负面", where=(IS_NEGATIVE,), colour=NEGATIVE)
NEGATIVES_BEFORE = Measure(label="上周同期", where=(IS_NEGATIVE,), shift="1w", colour=BEFORE)
SHARE = Measure(label="负面占比", operation=Operation.SHARE, where=(IS_NEGATIVE,), colour=NEGATIVE)
SHARE_BEFORE = Measure(
    label="上周同期", operation=Operation.SHARE, where=(IS_NEGATIVE,), shift="1w", colour=BEFORE
)
AUTHORS = Measure(label="作者数", operation=Operation.UNIQUE, field="author.key")
ENGAGEMENT = Measure(label="互动量", operation=Operation.SUM, field="engagement.total", colour=PLAIN)
FIRST = Measure(label="最早", operation=Operation.MIN, field="@timestamp")
LATEST = Measure(label="最近", operation=Operation.MAX, field="@timestamp")
