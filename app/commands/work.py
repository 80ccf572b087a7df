"""``yujing work``: judge what waits in the inbox."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from app.stopping import Stop
from app.worker import Worked
from domain.errors import StoreError

EXAMPLE = "例：yujing work --once"


def command(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="处理完当前积压即结束")] = False,
) -> None:
    """从收件箱取帖、研判、入库；可在多台主机上各运行一个。"""
    app = ctx.obj()
    stop = Stop.on_signals()
    while True:
        try:
            worked = app.worker.drain(now=app.clock.now, stop=lambda: stop.asked)
        except StoreError as error:
            if once or error.permanent:
                raise
            # The worker keeps its batch in hand and goes on with it when the store is back.
            print(f"yujing: {error}", file=sys.stderr, flush=True)
            worked = Worked()
        if once:
            print(json.dumps(asdict(worked)))
            return
        if stop.wait(app.settings.service.work_every_s):
            return
