"""``yujing backtest``: what the watch would have raised over history."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.printing import plain
from domain.errors import InputError, UsageError
from domain.local_time import iso

if TYPE_CHECKING:
    from config.settings import Brand, Settings
    from monitor.backtest import Known, Raised, Summary
    from monitor.replay_stores import ReplayPosts, TableCounts

EXAMPLE = "例：yujing backtest --counts counts.csv --incidents incidents.jsonl"
_SAID = 20


def command(
    ctx: typer.Context,
    posts: Annotated[
        Path | None, typer.Argument(metavar="[POSTS.jsonl]", help="帖子，可自带 assessment")
    ] = None,
    counts: Annotated[
        Path | None, typer.Option(help="CSV：timestamp,brand,posts,negative，一行一个 5 分钟")
    ] = None,
    incidents: Annotated[Path | None, typer.Option(help='JSONL：{"brand","start","end"}，给出则打分')] = None,
) -> None:
    """用服务自己的基线、检测和定级重放历史；每个预警一行 JSON，最后一行是汇总。"""
    if (posts is None) == (counts is None):
        raise UsageError("请给出 POSTS.jsonl 或 --counts FILE.csv，二者之一")
    from monitor.replay_files import read_counts, read_incidents

    app = ctx.obj()
    complain = _Complaints()
    known = read_incidents(incidents, complain=complain) if incidents is not None else None
    from monitor.replay_stores import ReplayPosts

    if counts is not None:
        table, said = read_counts(counts, complain=complain), ReplayPosts([])
    else:
        assert posts is not None
        table, said = _posts(app, posts, complain)
    complain.end()
    _replay(app.settings, table, said, known, with_topics=counts is None)


def _posts(app, path: Path, complain: _Complaints) -> tuple[TableCounts, ReplayPosts]:  # type: ignore[no-untyped-def]
    from app.replay_posts import read_posts
    from monitor.replay_stores import ReplayPosts
    from monitor.series import Layout

    rows = read_posts(
        path,
        secret=app.environment.secret.get_secret_value().encode(),
        assess=lambda found: app.analyzer_apart.assess(found),
        now=app.clock.now(),
        complain=complain,
    )
    brands = tuple(sorted({brand for _, named in rows for brand in named}))
    if not brands:
        raise InputError(f"{path}: 没有一条可用的帖子（需要 text、published_at 和品牌）")
    said = ReplayPosts(rows)
    layout = Layout(brands=brands, topics=tuple(topic.id for topic in app.settings.topics))
    return said.table(layout), said


def _replay(
    settings: Settings, table: TableCounts, said: ReplayPosts, known: list[Known] | None, *, with_topics: bool
) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from monitor.backtest import brand_weeks, replay, summarise

    raised = []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("重放", total=None)
        for each in replay(
            counts=table,
            posts=said,
            brands=[_brand(settings, id_) for id_ in table.layout.brands],
            topics=settings.topics if with_topics else (),
            rules=settings.rules,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        ):
            raised.append(each)
            if each.told:
                print(json.dumps(_line(each), ensure_ascii=False), flush=True)
    print(json.dumps(_summary(summarise(raised, brand_weeks(table), known))))


def _brand(settings: Settings, id_: str) -> Brand:
    """The configured brand, made to alert; one that is not configured is watched without limits."""
    from config.settings import Brand

    for brand in settings.brands:
        if brand.id == id_:
            return brand.model_copy(update={"alert": True})
    return Brand.model_construct(id=id_, name=id_, alert=True)


def _line(raised: Raised) -> dict[str, object]:
    alert = raised.alert
    return {
        "type": "alert",
        "at": iso(alert.at),
        "brand": alert.brand,
        "level": alert.level.id,
        "detector": raised.detector,
        "reason": alert.explanation,
        "change": alert.change.value,
        "topics": list(alert.topics),
        "score": alert.score,
    }


def _summary(found: Summary) -> dict[str, object]:
    line: dict[str, object] = {
        "type": "summary",
        "alerts": found.alerts,
        "brand_weeks": round(found.brand_weeks, 3),
    }
    for name in ("recall", "precision", "median_delay_min", "false_per_brand_week"):
        value = getattr(found, name)
        if value is not None:
            line[name] = round(value, 4)
    return line


class _Complaints:
    """Says bad rows one by one, up to a limit, then how many more there were."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, text: str) -> None:
        self._count += 1
        if self._count <= _SAID:
            print(f"yujing: {plain(text)}", file=sys.stderr)

    def end(self) -> None:
        """Say how many were not said."""
        if self._count > _SAID:
            print(f"yujing: 另有 {self._count - _SAID} 行读不出来", file=sys.stderr)
