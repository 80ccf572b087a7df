"""``yujing import``: posts of another tool's export."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.printing import plain
from crawlers.imports import import_files, read_columns
from crawlers.rejects import Rejects

EXAMPLE = "例：yujing import posts.jsonl 导出.csv --map text=正文 --map published_at=发布时间"


def command(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="JSONL、NDJSON 或 CSV，可以是 gzip")],
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OURS=THEIRS", help="列名对应，可多次给出；没有编号列就写 id=无"),
    ] = None,
) -> None:
    """导入已有的帖子；text 列必需，坏行写入 rejects 文件，其余照常导入；有文件读不了或没有一行能用时退出 1。"""
    columns = read_columns(map_ or ())
    app = ctx.obj()
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    bars = (TextColumn("导入"), BarColumn(), TextColumn("{task.completed} 行"), TimeElapsedColumn())
    with Progress(*bars, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("导入", total=None)
        summary = import_files(
            files,
            inbox=app.inbox,
            seen=app.ledger.source_runs,
            columns=columns,
            rejects=Rejects(app.rejects),
            secret=app.environment.secret.get_secret_value().encode(),
            now=app.clock.now(),
            say=lambda text: print(f"yujing: {plain(text)}", file=sys.stderr),
            progress=lambda rows: progress.advance(task, rows),
        )
    keys = ("read", "imported", "duplicate", "rejected")
    print(json.dumps({key: getattr(summary, key) for key in keys}))
    if summary.unreadable:
        raise typer.Exit(1)
