"""传播与影响: how far it carried, through whom, and who was first."""

from __future__ import annotations

from dataclasses import replace

from deploy.kibana.dashboards.crisis import FIRSTS, STORIES
from deploy.kibana.dashboards.measures import AUTHORS, COORDINATED, ENGAGEMENT, HEARD, IS_NEGATIVE, POSTS
from deploy.kibana.panels import Chart, Dashboard, Measure, Operation, Panel, Posts, Terms, Time, asked, panel

_VIEWS = Measure(label="阅读", operation=Operation.SUM, field="engagement.views")
_ACCOUNT = (
    Measure(label="作者", operation=Operation.LAST, field="author.name"),
    Measure(label="类别", operation=Operation.LAST, field="author.tier"),
    ENGAGEMENT,
    POSTS,
    Measure(label="负面", where=(IS_NEGATIVE,)),
    Measure(label="粉丝", operation=Operation.MAX, field="author.followers"),
)


def dashboard() -> Dashboard:
    """Engagement counters are those of the last crawl of each post."""
    return Dashboard(
        id="spread",
        title="舆警 · 传播与影响",
        question="传播了多远？靠谁传播？每一簇从哪里开始？有没有疑似水军？",
        panels=(
            _number("engagement", ENGAGEMENT),
            _number("authors", AUTHORS),
            _number("heard", Measure(label="大V与媒体帖子", where=(HEARD,))),
            _number("coordinated", Measure(label="疑似水军帖子", where=(COORDINATED,))),
            panel(
                Chart.BARS,
                "trend",
                "互动量（每天，按作者类别）",
                (30, 13),
                asked(Terms(field="author.tier", size=4), Time(), of=(ENGAGEMENT,)),
                note="互动量 = 转发 + 评论 + 点赞，为最近一次采集时的数",
                colours="tier",
            ),
            panel(
                Chart.DONUT,
                "tiers",
                "作者类别",
                (18, 13),
                asked(Terms(field="author.tier", size=4), of=(POSTS,)),
                colours="tier",
            ),
            panel(
                Chart.TABLE,
                "accounts",
                "影响最大的账号",
                (28, 14),
                asked(Terms(field="author.key", size=10, by=2), of=_ACCOUNT, where=(HEARD,)),
                note="作者标识是加密散列；未认证的作者名已打码",
            ),
            panel(
                Chart.ACROSS,
                "platforms",
                "各平台互动量",
                (20, 14),
                asked(Terms(field="post.platform", size=8), of=(ENGAGEMENT,)),
            ),
            panel(
                Chart.TABLE,
                "reach",
                "各平台阅读与作者",
                (20, 10),
                asked(Terms(field="post.platform", size=8), of=(POSTS, ENGAGEMENT, _VIEWS, AUTHORS)),
            ),
            panel(
                Chart.BARS,
                "suspected",
                "疑似水军（每天）",
                (28, 10),
                asked(Time(), of=(Measure(label="疑似水军帖子", colour="#8E5EA2"),), where=(COORDINATED,)),
                note="程度不低于 50%；只是疑似，不是认定",
            ),
            STORIES,
            FIRSTS,
            Posts(id="posts", search="heard", height=14),
        ),
    )


def _number(id_: str, measure: Measure) -> Panel:
    before = replace(measure, label="上周同期", shift="1w")
    return panel(Chart.METRIC, id_, measure.label, (12, 6), asked(of=(measure, before)))
