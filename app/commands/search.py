"""``yujing search``: posts by words, brand, sentiment, topic, platform and time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli import PATIENCE_S
from app.naming import id_of, known
from app.printing import plain
from domain.assessment import Sentiment
from domain.errors import UsageError
from domain.local_time import SHANGHAI, published
from store.posts import Judged, Page, Query, Sort

EXAMPLE = "例：yujing search '\"无法提现\" 客服' --brand yunqiao --sentiment negative --since 2026-11-20"
_WORDS = {"negative": "负面", "neutral": "中性", "positive": "正面"}


def command(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help='词语（须全部出现）与「"引号内的短语"」；可为空')] = "",
    brand: Annotated[str, typer.Option(help="品牌编号或名称")] = "",
    sentiment: Annotated[Sentiment | None, typer.Option(help="对该品牌（未给品牌时为全文）的情感")] = None,
    topic: Annotated[str, typer.Option(help="话题编号或名称")] = "",
    platform: Annotated[str, typer.Option(help="平台")] = "",
    source: Annotated[str, typer.Option(help="数据源编号")] = "",
    since: Annotated[str, typer.Option(help="起（含），如 2026-11-20 或 2026-11-20T08:00；默认东八区")] = "",
    until: Annotated[str, typer.Option(help="止（不含）")] = "",
    sort: Annotated[Sort, typer.Option(help="排序")] = Sort.NEWEST,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="条数")] = 20,
    after: Annotated[str, typer.Option(help="上一页给出的游标")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象")] = False,
) -> None:
    """检索已入库的帖子。"""
    app = ctx.obj(patience_s=PATIENCE_S)
    brands, topics = app.settings.brands, app.settings.topics
    page = app.posts.search(
        Query(
            text=query,
            brand=id_of(brand, brands),
            sentiment=sentiment,
            topic=id_of(topic, topics),
            platform=platform,
            source=source,
            since=moment(since),
            until=moment(until),
            sort=sort,
            limit=limit,
            after=after,
        )
    )
    if not page.total:
        known("品牌", brand, brands)
        known("话题", topic, topics)
    if as_json:
        for judged in page.found:
            print(json.dumps(_row(judged), ensure_ascii=False))
        print(json.dumps({"total": page.total, "next": page.next}))
    else:
        _show(page, {each.id: each.name for each in topics})


def moment(text: str) -> datetime | None:
    """A time given on the command line; without an offset it is Asia/Shanghai. Raises ``UsageError``."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"看不懂的时间 {text!r}；请写成 2026-11-20 或 2026-11-20T08:00") from None
    return at if at.tzinfo else at.replace(tzinfo=SHANGHAI)


def _row(judged: Judged) -> dict[str, object]:
    post, assessment = judged.post, judged.assessment
    return {
        "id": post.id,
        "platform": post.platform,
        "source": post.source,
        "url": post.url,
        "author": post.author.name,
        "published_at": published(post),
        "title": post.title,
        "text": post.text,
        "sentiment": assessment.sentiment.value,
        "topics": [{"id": t.id, "stance": t.stance.value} for t in assessment.topics],
        "brands": {e.brand: e.sentiment.value for e in assessment.entities if e.brand},
        "story": assessment.story,
        "influence": round(assessment.influence, 3),
        "corrected_by": assessment.corrected_by,
    }


def _show(page: Page, topics: Mapping[str, str]) -> None:
    table = Table(show_lines=False, header_style="bold")
    for name in ("时间", "平台", "作者", "情感", "话题", "内容"):
        table.add_column(name, overflow="fold", ratio=6 if name == "内容" else None)
    for judged in page.found:
        post, assessment = judged.post, judged.assessment
        text = plain(post.whole)
        table.add_row(
            published(post)[5:16].replace("T", " "),
            Text(plain(post.platform)),
            Text(plain(post.author.name)),
            _WORDS[assessment.sentiment.value],
            Text("、".join(topics.get(t.id, t.id) for t in assessment.topics)),
            Text(text if len(text) <= 120 else text[:119] + "…"),
        )
    console = Console()
    console.print(table)
    console.print(
        f"共 {page.total} 条" + (f"；下一页：--after {page.next}" if page.next else ""), markup=False
    )
