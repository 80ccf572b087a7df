"""``yujing dead``: the posts that could not be judged or stored, and another try for them."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.printing import plain
from domain.local_time import iso, spoken

EXAMPLE = "例：yujing dead；修好原因后 yujing dead --retry"


def command(
    ctx: typer.Context,
    retry: Annotated[bool, typer.Option("--retry", help="全部放回收件箱，重新研判入库")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="最多列出几条")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象")] = False,
) -> None:
    """列出死信（几次都没能研判或入库的帖子）与原因，新的在前；--retry 再试一次。"""
    app = ctx.obj()
    if retry:
        print(json.dumps({"revived": app.inbox.revive(now=app.clock.now())}))
        return
    letters = app.inbox.dead(limit=limit)
    if as_json:
        for letter in letters:
            post = letter.post
            row = {"id": post.id, "at": iso(letter.at), "reason": letter.reason, "source": post.source}
            print(json.dumps(row | {"text": post.whole}, ensure_ascii=False))
        return
    if not letters:
        print("没有死信")
        return
    table = Table("时间", "来源", "原因", "帖子")
    for letter in letters:
        cells = (spoken(letter.at), letter.post.source, letter.reason, letter.post.whole[:60])
        table.add_row(*(Text(plain(cell)) for cell in cells))
    Console().print(table)
