"""总览: better or worse than last week, on what, where, who drives it."""

from __future__ import annotations

from dataclasses import replace

from deploy.kibana.dashboards.measures import (
    HEARD,
    IS_NEGATIVE,
    LATEST,
    NEGATIVES,
    NEGATIVES_BEFORE,
    POSTS,
    POSTS_BEFORE,
    SHARE,
    SHARE_BEFORE,
)
from deploy.kibana.panels import (
    Chart,
    Dashboard,
    Measure,
    Operation,
    Posts,
    Terms,
    Time,
    asked,
    one_of,
    panel,
    present,
)

_HEARD = Measure(label="大V与媒体负面", where=(IS_NEGATIVE, HEARD), colour=NEGATIVES.colour)
_NUMBER = (12, 6)
_OPEN = (
    one_of("event.kind", "alert"),
    present("brand.id"),
    # Older revisions are "superseded": what is left is what holds now.
    one_of("alert.state", "firing", "acknowledged", "silenced"),
)
_BEFORE = (
    replace(POSTS_BEFORE, label="上周同期声量"),
    replace(NEGATIVES_BEFORE, label="上周同期负面", colour="#E58A83"),
)


def dashboard() -> Dashboard:
    """The first one that is opened."""
    return Dashboard(
        id="overview",
        title="舆警 · 总览",
        question="这一周比上一周好还是坏？在哪些话题、哪些平台上？谁在推动？",
        panels=(
            panel(Chart.METRIC, "posts", "声量", _NUMBER, asked(of=(POSTS, POSTS_BEFORE))),
            panel(Chart.METRIC, "negatives", "负面", _NUMBER, asked(of=(NEGATIVES, NEGATIVES_BEFORE))),
            panel(Chart.METRIC, "share", "负面占比", _NUMBER, asked(of=(SHARE, SHARE_BEFORE))),
            panel(
                Chart.METRIC,
                "heard",
                "大V与媒体负面",
                _NUMBER,
                asked(of=(_HEARD, replace(_HEARD, label="上周同期", shift="1w"))),
            ),
            panel(
                Chart.BARS,
                "volume",
                "声量与情感，对比上周",
                (30, 13),
                asked(Terms(field="assessment.sentiment", size=3), Time(), of=(POSTS,)),
                asked(Time(), of=_BEFORE, shape="line"),
                note="今天未满，上周同期也只算到同一时刻",
                colours="sentiment",
            ),
            panel(
                Chart.TABLE,
                "level",
                "当前预警级别",
                (18, 13),
                asked(
                    Terms(field="alert.id", by=4),
                    of=(
                        Measure(label="品牌", operation=Operation.LAST, field="brand.id"),
                        Measure(label="级别", operation=Operation.LAST, field="level"),
                        Measure(label="话题", operation=Operation.LAST, field="topic.id"),
                        Measure(label="状态", operation=Operation.LAST, field="alert.state"),
                        Measure(label="得分", operation=Operation.MAX, field="alert.score"),
                        LATEST,
                    ),
                    where=_OPEN,
                    events=True,
                ),
                note="近一年里还没有恢复的预警；不随上方的时间和筛选变化",
                days=365,
            ),
            panel(
                Chart.LINE,
                "share-trend",
                "负面占比走势",
                (16, 12),
                asked(Time(), of=(replace(SHARE, label="本周"), SHARE_BEFORE)),
            ),
            panel(
                Chart.DONUT,
                "platforms",
                "平台分布",
                (14, 12),
                asked(Terms(field="post.platform", size=8), of=(POSTS,)),
            ),
            panel(
                Chart.TREEMAP,
                "topics",
                "负面话题构成",
                (18, 12),
                asked(Terms(field="topic.id", size=8), of=(NEGATIVES,), where=(IS_NEGATIVE,)),
                note="一条帖子可以属于多个话题",
            ),
            Posts(id="top", search="top", height=16),
        ),
    )
