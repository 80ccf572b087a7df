"""``yujing demo``: the first run, from a web page to the alert mail and the proposed plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import UsageError, YujingError

EXAMPLE = "例：yujing demo --dir ./演练；用自己的帖子：yujing demo --crisis crisis.jsonl --calm calm.jsonl"


def command(
    dir: Annotated[
        Path | None, typer.Option("--dir", help="全部结果放在哪里；默认新建一个临时文件夹")
    ] = None,
    crisis: Annotated[
        Path | None,
        typer.Option(help="危机中的帖子，JSONL：text，可选 title、brand、offset_s（开始后第几秒）、platform"),
    ] = None,
    calm: Annotated[Path | None, typer.Option(help="平时的帖子，JSONL，同上；分散在背景的 14 天里")] = None,
    no_crisis: Annotated[
        bool, typer.Option("--no-crisis", help="只演平静的日子和一场正面活动，不应出现预警")
    ] = False,
    engines: Annotated[
        bool,
        typer.Option("--engines", help="在 YUJING_*_URL 指定的引擎上演；它们须是空的（make demo ENGINES=1）"),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="标准输出的最后一行是 JSON 结果")] = False,
) -> None:
    """在本机把整件事做一遍：抓取、研判、发现危机、发出预警邮件、建立事件、建议预案。约两分钟，不连外网。"""
    if no_crisis and crisis:
        raise UsageError("--no-crisis 和 --crisis 只能用一个")
    from app.demo.ending import tell
    from app.demo.folder import Folder
    from app.demo.narrator import Narrator
    from app.demo.run import Demo, Script
    from app.sandbox.rows import read_rows
    from app.stopping import Interrupted, Stop

    script = Script(
        crisis=read_rows(crisis) if crisis else None,
        calm=read_rows(calm) if calm else None,
        campaign=no_crisis,
        engines=engines,
    )
    stop = Stop.on_signals()
    with Folder(dir) as folder:
        try:
            with Narrator() as narrator:
                result = Demo(folder.path, script, narrator, stop).run()
        except Interrupted:
            print(f"yujing: 已中断；做到一半的结果在 {folder.path}", file=sys.stderr)
            raise typer.Exit(130) from None
    missing = result.missing(crisis=not no_crisis)
    tell(result, folder.path, missing, Narrator(), engines=engines)
    if as_json:
        print(result.line(), flush=True)
    if missing:
        raise YujingError("；".join(missing))
