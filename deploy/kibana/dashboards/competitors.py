"""竞品对比: share of voice and of the negative, brand by brand.

Sentiment here is that towards the brand, not that of the whole post: a post may praise one and blame another.
"""

from __future__ import annotations

from itertools import islice

from deploy.kibana.dashboards.measures import AUTHORS, ENGAGEMENT, POSTS, POSTS_BEFORE
from deploy.kibana.panels import (
    Chart,
    Dashboard,
    Measure,
    Names,
    Operation,
    Posts,
    Terms,
    Time,
    asked,
    one_of,
    panel,
    present,
)
from deploy.kibana.words import COLOURS, SERIES, VALUES

MOST = 6
"""Brands that have a line of their own: more cannot be told apart."""


def dashboard(names: Names) -> Dashboard:
    """The brands of the configuration, own ones first."""
    shares = tuple(
        Measure(
            label=name,
            operation=Operation.SHARE,
            where=(one_of("brand.negative", brand),),
            whole=(one_of("brand.id", brand),),
            colour=colour,
        )
        for (brand, name), colour in zip(islice(names.brands.items(), MOST), SERIES, strict=False)
    )
    return Dashboard(
        id="competitors",
        title="舆警 · 竞品对比",
        question="我们的声量占多少？负面占比比别家高还是低？差在哪些话题？",
        panels=(
            panel(
                Chart.DONUT,
                "voice",
                "声量占有率",
                (16, 14),
                asked(Terms(field="brand.id", size=8), of=(POSTS,)),
                note="提到多个品牌的帖子，每个品牌各算一条",
                colours="brand",
            ),
            panel(
                Chart.ACROSS_STACKED,
                "towards",
                "对各品牌的情感",
                (16, 14),
                *(
                    asked(
                        Terms(field=f"brand.{sentiment}", size=10, label="品牌"),
                        of=(Measure(label=word, colour=COLOURS["sentiment"][sentiment]),),
                    )
                    for sentiment, word in VALUES["sentiment"].items()
                ),
            ),
            panel(
                Chart.ACROSS,
                "shares",
                "负面占比",
                (16, 14),
                asked(of=shares),
                note="对该品牌负面的帖子 ÷ 提到该品牌的帖子",
            ),
            panel(
                Chart.LINE,
                "share-trend",
                "负面占比走势（每天）",
                (24, 13),
                asked(Time(), of=shares),
                note="当天条数少时，占比起伏大，请同时看声量",
            ),
            panel(
                Chart.LINE,
                "volume-trend",
                "声量走势（每天）",
                (24, 13),
                asked(Terms(field="brand.id", size=MOST), Time(), of=(POSTS,)),
                colours="brand",
            ),
            panel(
                Chart.HEAT,
                "matrix",
                "负面话题 × 品牌",
                (26, 14),
                asked(
                    Terms(field="topic.id", size=9),
                    Terms(field="brand.negative", size=MOST, label="品牌"),
                    of=(POSTS,),
                    where=(present("brand.negative"),),
                ),
            ),
            panel(
                Chart.TABLE,
                "brands",
                "各品牌对比上周",
                (22, 14),
                asked(Terms(field="brand.id", size=10), of=(POSTS, POSTS_BEFORE, ENGAGEMENT, AUTHORS)),
            ),
            Posts(id="posts", search="negative", height=14),
        ),
    )
