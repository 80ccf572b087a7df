"""危机话题: which topic grows, what people hold of it, which words and stories carry it."""

from __future__ import annotations

from deploy.kibana.dashboards.measures import (
    AUTHORS,
    ENGAGEMENT,
    FIRST,
    IS_NEGATIVE,
    NEGATIVES,
    POSTS,
    POSTS_BEFORE,
    SHARE,
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
    panel,
    present,
)

STANCES = {
    "assert": ("声称", "#C8372D"),
    "ask": ("询问", "#E0A33A"),
    "deny": ("否认", "#2B8C82"),
    "other": ("仅提及", "#AAB4BE"),
}
_KEYWORDS = Measure(label="关键词", operation=Operation.LAST, field="assessment.keywords")

STORIES = panel(
    Chart.TABLE,
    "stories",
    "传播最广的话题簇",
    (30, 14),
    asked(Terms(field="assessment.story", size=10), of=(POSTS, AUTHORS, ENGAGEMENT, SHARE, FIRST, _KEYWORDS)),
    note="内容相近的帖子归为一簇",
)
FIRSTS = panel(
    Chart.TABLE,
    "firsts",
    "每簇从哪里开始",
    (18, 14),
    asked(
        Terms(field="assessment.story", size=10, by=1),
        # The one source whose earliest post is earliest.
        Terms(field="post.source", size=1, by=0, ascending=True, label="首发数据源"),
        of=(FIRST, Measure(label="该源帖子")),
    ),
    note="最早一条所在的数据源，限于所选时间范围",
)


def dashboard() -> Dashboard:
    """For the crisis committee's shared screen."""
    return Dashboard(
        id="crisis",
        title="舆警 · 危机话题",
        question="哪个话题在升温？大家是在声称、询问还是否认？哪些词、哪些传播簇在带动？",
        panels=(
            panel(
                Chart.HEAT,
                "heat",
                "负面话题热力（每天条数）",
                (30, 15),
                asked(Terms(field="topic.id", size=10), Time(), of=(NEGATIVES,), where=(IS_NEGATIVE,)),
            ),
            panel(
                Chart.ACROSS_STACKED,
                "stances",
                "话题立场",
                (18, 15),
                *(
                    asked(
                        Terms(field=f"topic.{stance}", size=8, label="话题"),
                        of=(Measure(label=label, colour=colour),),
                    )
                    for stance, (label, colour) in STANCES.items()
                ),
            ),
            panel(
                Chart.BARS,
                "hours",
                "负面走势（每小时）",
                (30, 12),
                asked(
                    Terms(field="topic.id", size=4),
                    Time(every="1h"),
                    of=(NEGATIVES,),
                    where=(IS_NEGATIVE, present("topic.id")),
                ),
                note="条数最多的四个话题；框选一段时间可放大",
            ),
            panel(
                Chart.CLOUD,
                "rising",
                "负面中突出的词",
                (18, 12),
                asked(
                    Terms(field="assessment.keywords", size=30, by="significance"),
                    of=(NEGATIVES,),
                    where=(IS_NEGATIVE,),
                ),
                note="与全部帖子相比，在这一范围的负面帖子里明显更常见的词",
            ),
            panel(
                Chart.TABLE,
                "topics",
                "话题对比上周",
                (18, 14),
                asked(Terms(field="topic.id", size=10), of=(POSTS, POSTS_BEFORE, SHARE)),
            ),
            STORIES,
            Posts(id="posts", search="negative", height=16),
        ),
    )
