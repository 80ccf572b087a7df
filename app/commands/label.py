"""``yujing label``: posts worth a person's judgement out, the person's judgement in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from app.naming import known
from app.printing import plain
from app.rejudge import Progress
from app.signing import signed
from domain.errors import InputError

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="人工标注：导出最值得看的帖子，导入填好的表。",
    epilog="例：yujing label export --out to-label.csv",
)


@commands.command("export", epilog="例：yujing label export --out to-label.csv --brand yunqiao --most 100")
def export(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="写到哪个 CSV 文件（必填）", show_default=False)],
    brand: Annotated[str, typer.Option(help="只要说到这个品牌（编号或名称）的；缺省为全部")] = "",
    most: Annotated[int, typer.Option(min=1, max=5_000, help="最多几条")] = 200,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="只看最近几天的帖子")] = 28,
) -> None:
    """挑出最值得人看的帖子（拿不准的、两部分意见不同的、有新词的，外加抽查），写成表格软件能打开的 CSV。"""
    from app.label_sheet import write
    from app.labels import worth_reading

    app = ctx.obj()
    brand = known("品牌", brand, app.settings.brands)
    # Said before the posts are judged, not half a minute later.
    if not out.parent.is_dir():
        raise InputError(f"写不了 {out}：没有目录 {out.parent}")
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"写不了 {out}：目录 {out.parent} 不可写")
    if out.exists():
        raise InputError(f"{out} 已经存在，里面可能有填好的标注：换一个文件名，或先移走它")
    with bar("挑选") as progress:
        lines = worth_reading(app, brand=brand, most=most, past=timedelta(days=days), progress=progress)
    if not lines:
        raise InputError(f"最近 {days} 天没有还没标注的帖子")
    guide = write(out, lines, {topic.id: topic.name for topic in app.settings.topics})
    print(json.dumps({"written": len(lines), "file": str(out), "guide": str(guide)}, ensure_ascii=False))


@commands.command("import", epilog="例：yujing label import to-label.csv --by 王芳")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="填好的 CSV，或 JSONL")],
    by: Annotated[str, typer.Option("--by", help="是谁；默认登录名")] = "",
) -> None:
    """导入填好的表：记入台账，立即改正库里的研判，以后训练也用它；有一行不对就一行也不导入。"""
    from app.label_sheet import labels, told
    from app.labels import checked, take
    from nlp.team_labels import topic_words

    app, actor = ctx.obj(), signed(by)
    topics = topic_words({topic.id: topic.name for topic in app.settings.topics})
    good, blank, wrong = checked(labels(file, topics), lambda ids: dict(app.posts.known(ids)))
    if wrong:
        for line in told(file, wrong):
            print(f"yujing: {plain(line)}", file=sys.stderr)
        raise InputError(f"{file}：{len(wrong)} 行有问题，一行也没有导入")
    if not good:
        raise InputError(f"{file}：没有一行填了标注（{blank} 行空着）")
    changed = take(app, good, by=actor, now=app.clock.now())
    print(json.dumps({"labelled": len(good), "changed": changed, "blank": blank}))


@contextmanager
def bar(what: str) -> Iterator[Progress]:
    """A progress bar on a terminal; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as shown:
        task = shown.add_task(what, total=None, visible=False)
        yield lambda done, total: shown.update(task, completed=done, total=max(total, 1), visible=True)
