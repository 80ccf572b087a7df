"""The saved searches: the documents behind the charts, and the questions of every day."""

from __future__ import annotations

from deploy.kibana.dashboards.measures import COORDINATED, HEARD, IS_NEGATIVE
from deploy.kibana.panels import Search, one_of

_POST = (
    "post.platform",
    "author.name",
    "assessment.sentiment",
    "topic.id",
    "post.title",
    "post.text",
    "engagement.total",
    "url.full",
)

SEARCHES = (
    Search(
        id="today",
        title="今日负面",
        purpose="今天零点以来的负面帖子，新的在前",
        columns=_POST,
        where=(IS_NEGATIVE,),
        since="now/d",
    ),
    Search(
        id="triage",
        title="待研判",
        purpose="还没有人确认或判为误报的事件",
        columns=("level", "brand.id", "topic.id", "incident.id", "incident.opened_at", "incident.plan"),
        where=(one_of("event.kind", "incident"), one_of("incident.status", "triage")),
        events=True,
        since="now-28d/d",
    ),
    Search(
        id="heard",
        title="大V 负面",
        purpose="大V、媒体和机关的负面帖子，互动多的在前",
        columns=("author.tier", "author.followers", *_POST),
        where=(IS_NEGATIVE, HEARD),
        sort="engagement.total",
    ),
    Search(
        id="coordinated",
        title="疑似水军",
        purpose="疑似水军程度不低于 50% 的帖子；只是疑似，不是认定",
        columns=("assessment.coordination", "assessment.story", *_POST),
        where=(COORDINATED,),
        sort="assessment.coordination",
    ),
    Search(
        id="health",
        title="数据源健康",
        purpose="没有看见内容的采集：被拦截、页面改版、连不上",
        columns=("source.id", "source.outcome", "source.detail", "source.requests", "source.found"),
        where=(one_of("event.kind", "source_run"), one_of("source.seeing", "false")),
        events=True,
    ),
    Search(
        id="top",
        title="影响最大的帖子",
        purpose="影响力大的在前；点“打开原文”看原帖",
        columns=("assessment.influence", *_POST),
        sort="assessment.influence",
    ),
    Search(
        id="negative",
        title="负面帖子",
        purpose="图表背后的负面帖子，新的在前",
        columns=_POST,
        where=(IS_NEGATIVE,),
    ),
    Search(
        id="incidents",
        title="事件",
        purpose="每个事件的现状",
        columns=(
            "incident.id",
            "level",
            "brand.id",
            "topic.id",
            "incident.status",
            "incident.owner",
            "incident.acknowledge_s",
            "incident.close_s",
        ),
        where=(one_of("event.kind", "incident"),),
        events=True,
        since="now-28d/d",
    ),
    Search(
        id="alerts",
        title="预警记录",
        purpose="每一版预警及其原因",
        columns=("level", "alert.change", "brand.id", "topic.id", "alert.score", "alert.explanation"),
        where=(one_of("event.kind", "alert"),),
        events=True,
        since="now-28d/d",
    ),
)
