"""``yujing backtest``: what the watch would have raised over history."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.printing import plain
from domain.errors import InputError, UsageError
from domain.local_time import iso

if TYPE_CHECKING:
    from app.replay_names import ReplayNames
    from config.settings import Brand, Settings
    from monitor.backtest import Known, Raised, Summary
    from monitor.replay_stores import ReplayPosts, TableCounts

EXAMPLE = "例：yujing backtest --counts counts.csv --incidents incidents.jsonl"
_SAID = 20
_SCORES = ("recall", "precision", "median_delay_min", "false_per_brand_week")
"""Keys of the summary that need incidents; null where there is nothing to divide by."""


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
    """用服务自己的基线、检测和定级重放历史；每个预警一行 JSON，最后一行是汇总；品牌写编号、名称或别名都可以。"""
    if (posts is None) == (counts is None):
        raise UsageError("请给出 POSTS.jsonl 或 --counts FILE.csv，二者之一")
    from app.replay_names import ReplayNames
    from monitor.replay_files import read_counts, read_incidents
    from monitor.replay_stores import ReplayPosts

    app = ctx.obj()
    complain = _Complaints()
    names = ReplayNames(app.settings.brands)
    known = None
    if incidents is not None:
        found = read_incidents(incidents, complain=complain)
        known = [replace(each, brand=names.id_of(each.brand)) for each in found]
    if counts is not None:
        table = read_counts(counts, complain=complain, brand_of=names.id_of)
        said = ReplayPosts([])
    else:
        assert posts is not None
        table, said = _posts(app, posts, names, complain)
    complain.end()
    for unheard in sorted({each.brand for each in known or ()} - set(table.layout.brands)):
        _say(f"{incidents}：要重放的数据里没有品牌 {names.written(unheard)}，它的事件都算没有发现")
    _replay(app.settings, table, said, known, names, with_topics=counts is None)


def _posts(  # type: ignore[no-untyped-def]
    app, path: Path, names: ReplayNames, complain: _Complaints
) -> tuple[TableCounts, ReplayPosts]:
    from app.replay_posts import read_posts
    from monitor.replay_stores import ReplayPosts
    from monitor.series import Layout

    read = read_posts(
        path,
        secret=app.environment.secret.get_secret_value().encode(),
        assess=lambda found: list(app.analyzer_apart.assess(found)),
        brand_of=names.id_of,
        now=app.clock.now(),
        complain=complain,
    )
    brands = tuple(sorted({brand for _, named in read.posts for brand in named}))
    if not brands:
        raise InputError(f"{path}: 没有一条可用的帖子（需要 text、published_at 和品牌）")
    if read.repeated:
        _say(f"{path}：{read.repeated} 行是前面已有的帖子，没有重复计数")
    if read.nameless:
        _say(f"{path}：{read.nameless} 条没有提到监测的品牌，也没有 brand 列，没有计入")
    said = ReplayPosts(read.posts)
    layout = Layout(brands=brands, topics=tuple(topic.id for topic in app.settings.topics))
    return said.table(layout), said


def _replay(
    settings: Settings,
    table: TableCounts,
    said: ReplayPosts,
    known: list[Known] | None,
    names: ReplayNames,
    *,
    with_topics: bool,
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
                line = _line(each, names.written(each.alert.brand))
                print(json.dumps(line, ensure_ascii=False), flush=True)
    found = summarise(raised, brand_weeks(table), known)
    print(json.dumps(_summary(found, _SCORES if known is not None else ())))


def _brand(settings: Settings, id_: str) -> Brand:
    """The configured brand, made to alert; one that is not configured is watched without limits."""
    from config.settings import Brand

    for brand in settings.brands:
        if brand.id == id_:
            return brand.model_copy(update={"alert": True})
    return Brand.model_construct(id=id_, name=id_, alert=True)


def _line(raised: Raised, brand: str) -> dict[str, object]:
    alert = raised.alert
    return {
        "type": "alert",
        "at": iso(alert.at),
        "brand": brand,
        "level": alert.level.id,
        "detector": raised.detector,
        "reason": alert.explanation,
        "change": alert.change.value,
        "topics": list(alert.topics),
        "score": alert.score,
    }


def _summary(found: Summary, scores: Sequence[str]) -> dict[str, object]:
    line: dict[str, object] = {
        "type": "summary",
        "alerts": found.alerts,
        "brand_weeks": round(found.brand_weeks, 3),
    }
    for name in scores:
        value = getattr(found, name)
        line[name] = None if value is None else round(value, 4)
    return line


def _say(text: str) -> None:
    print(f"yujing: {plain(text)}", file=sys.stderr)


class _Complaints:
    """Says bad rows one by one, up to a limit, then how many more there were."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, text: str) -> None:
        self._count += 1
        if self._count <= _SAID:
            _say(text)

    def end(self) -> None:
        """Say how many were not said."""
        if self._count > _SAID:
            _say(f"另有 {self._count - _SAID} 行读不出来")
