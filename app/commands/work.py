"""``yujing work``: judge what waits in the inbox."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from app.stopping import Stop

EXAMPLE = "例：yujing work --once"


def command(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="处理完当前积压即结束")] = False,
) -> None:
    """从收件箱取帖、研判、入库；可在多台主机上各运行一个。"""
    app = ctx.obj()
    stop = Stop.on_signals()
    while True:
        worked = app.worker.drain(now=app.clock.now, stop=lambda: stop.asked)
        if once:
            line = {"judged": worked.judged, "refreshed": worked.refreshed, "buried": worked.buried}
            print(json.dumps(line))
            return
        if stop.wait(app.settings.service.work_every_s):
            return
