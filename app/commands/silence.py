"""``yujing silence``: mute alerts for a while, with who and why."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.naming import known
from app.printing import plain
from app.signing import signed
from domain.alert import Level
from domain.errors import InputError
from domain.local_time import iso, spoken
from store.ledger import Silence

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="静默：一段时间内不通知。",
    epilog="例：yujing silence list",
)
By = Annotated[str, typer.Option("--by", help="是谁；默认登录名")]
AsJson = Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象")]


@commands.command(
    "add", epilog="例：yujing silence add --brand yunqiao --topic rumor --hours 4 --reason 已在辟谣"
)
def add(
    ctx: typer.Context,
    hours: Annotated[float, typer.Option(help="静默几小时（必填），最长 31 天", show_default=False)],
    reason: Annotated[str, typer.Option(help="原因（必填）", show_default=False)],
    brand: Annotated[str, typer.Option(help="品牌编号或名称；不写表示全部品牌")] = "",
    topic: Annotated[str, typer.Option(help="主题编号或名称，即预警标题里的主题；不写表示全部主题")] = "",
    below: Annotated[
        Literal["yellow", "orange", "red"], typer.Option(help="只静默低于这一级的；红色永远通知")
    ] = "red",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """静默某个品牌或主题的预警：照常记录，静默结束时还没恢复的才通知。"""
    from response.silences import add as mute

    app, actor = ctx.obj(), signed(by)
    brand = known("品牌", brand, app.settings.brands)
    topic = known("主题", topic, app.settings.topics)
    if not math.isfinite(hours) or abs(hours) > 1_000_000:
        raise InputError("静默时长不是有效的小时数")
    silence = mute(
        app.ledger,
        brand=brand,
        topic=topic,
        lasting=timedelta(hours=hours),
        below=Level.of(below),
        actor=actor,
        reason=plain(reason),
        now=app.clock.now(),
    )
    if as_json:
        print(json.dumps(_row(silence), ensure_ascii=False))
    else:
        print(f"{silence.id} 静默到 {spoken(silence.ends_at)}；{silence.below.colour}色及以上照常通知")


@commands.command("list", epilog="例：yujing silence list --all")
def list_(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="也列出已结束的")] = False,
    as_json: AsJson = False,
) -> None:
    """列出静默，默认只列生效中的。"""
    app = ctx.obj()
    found = app.ledger.silences.all() if every else app.ledger.silences.active(app.clock.now())
    if as_json:
        for silence in found:
            print(json.dumps(_row(silence), ensure_ascii=False))
        return
    if not found:
        print("没有静默" if every else "没有生效中的静默")
        return
    table = Table(header_style="bold")
    for column in ("编号", "品牌", "主题", "低于", "到", "谁", "原因"):
        table.add_column(column, overflow="fold")
    for silence in found:
        table.add_row(
            silence.id,
            Text(plain(silence.brand) or "全部"),
            Text(plain(silence.topic) or "全部"),
            silence.below.colour,
            spoken(silence.ends_at),
            Text(plain(silence.created_by)),
            Text(plain(silence.reason)),
        )
    Console().print(table)


@commands.command("end", epilog="例：yujing silence end SIL-1a2b3c4d --by 王芳")
def end(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="静默编号")],
    by: By = "",
    reason: Annotated[str, typer.Option(help="原因")] = "",
) -> None:
    """提前结束静默。"""
    from response.silences import end as unmute

    app, actor = ctx.obj(), signed(by)
    unmute(app.ledger, id_, actor=actor, reason=plain(reason), now=app.clock.now())
    print(f"{id_} 已结束")


def _row(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "brand": silence.brand,
        "topic": silence.topic,
        "below": silence.below.id,
        "starts_at": iso(silence.starts_at),
        "ends_at": iso(silence.ends_at),
        "by": silence.created_by,
        "reason": silence.reason,
    }
