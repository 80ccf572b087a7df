"""数据源与处理: is every source seeing, is anything stuck, how old is what we look at."""

from __future__ import annotations

from deploy.kibana.dashboards.measures import LATEST, POSTS
from deploy.kibana.panels import (
    Chart,
    Dashboard,
    Measure,
    Operation,
    Terms,
    Time,
    asked,
    one_of,
    panel,
    present,
)

_MEDIAN = Measure(label="中位", operation=Operation.MEDIAN, field="post.delay_s", colour="#3A6EA5")
_HIGH = Measure(
    label="95 分位", operation=Operation.PERCENTILE, percentile=95, field="post.delay_s", colour="#E0833A"
)
_DELAYED = (present("post.delay_s"),)
_RUN = one_of("event.kind", "source_run")
_BLIND = one_of("source.seeing", "false")
_DEAD = (one_of("event.kind", "dead_letter"),)
_EVENTS_NOTE = "只随时间范围变化，不随筛选变化"
_BLIND_SHARE = Measure(label="看不见的采集", operation=Operation.SHARE, where=(_BLIND,), colour="#C8372D")
_DETAIL = Measure(label="最近一次的说明", operation=Operation.LAST, field="source.detail")


def dashboard() -> Dashboard:
    """For the operator, and for whoever wonders whether calm is calm."""
    return Dashboard(
        id="sources",
        title="舆警 · 数据源与处理",
        question="每个数据源都看得见吗？从发布到入库要多久？有没有卡住或丢弃的？",
        panels=(
            panel(
                Chart.METRIC,
                "posts",
                "入库帖子",
                (12, 6),
                asked(of=(POSTS, Measure(label="上周同期", shift="1w"))),
            ),
            panel(
                Chart.METRIC,
                "delay",
                "发布到入库",
                (12, 6),
                asked(of=(_MEDIAN, _HIGH), where=_DELAYED),
                note="只知道日期的帖子不计",
            ),
            panel(
                Chart.METRIC,
                "blind",
                "看不见的采集占比",
                (12, 6),
                asked(of=(_BLIND_SHARE,), where=(_RUN,), events=True),
                note=_EVENTS_NOTE,
            ),
            panel(
                Chart.METRIC,
                "dead",
                "死信",
                (12, 6),
                asked(of=(Measure(label="死信", colour="#C8372D"),), where=_DEAD, events=True),
                note=_EVENTS_NOTE,
            ),
            panel(
                Chart.BARS,
                "volume",
                "各数据源入库（每天）",
                (26, 13),
                asked(Terms(field="post.source", size=8), Time(), of=(POSTS,)),
            ),
            panel(
                Chart.TABLE,
                "ages",
                "数据源新旧与时延",
                (22, 13),
                asked(Terms(field="post.source", size=12), of=(POSTS, LATEST, _MEDIAN, _HIGH)),
            ),
            panel(
                Chart.LINE,
                "delays",
                "发布到入库（每天）",
                (24, 12),
                asked(Time(), of=(_MEDIAN, _HIGH), where=_DELAYED),
            ),
            panel(
                Chart.BARS,
                "outcomes",
                "采集结果（每天次数）",
                (24, 12),
                asked(
                    Terms(field="source.outcome", size=5),
                    Time(),
                    of=(Measure(label="采集"),),
                    where=(_RUN,),
                    events=True,
                ),
                note=_EVENTS_NOTE,
                colours="outcome",
            ),
            panel(
                Chart.TABLE,
                "reasons",
                "死信原因",
                (24, 12),
                asked(
                    Terms(field="dead.reason"), of=(Measure(label="条数"), LATEST), where=_DEAD, events=True
                ),
                note=_EVENTS_NOTE,
            ),
            panel(
                Chart.TABLE,
                "blind-sources",
                "看不见的数据源",
                (24, 12),
                asked(
                    Terms(field="source.id"),
                    Terms(field="source.outcome", size=3),
                    of=(Measure(label="次数"), LATEST, _DETAIL),
                    where=(_RUN, _BLIND),
                    events=True,
                ),
                note="被拦截、页面改版、连不上；逐条见“数据源健康”",
            ),
        ),
    )
