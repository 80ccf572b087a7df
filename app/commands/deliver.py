"""``yujing deliver``: hand the outbox over to its channels."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from app.stopping import Stop
from domain.errors import DeliveryError

if TYPE_CHECKING:
    from alerts.outbox import DeliverySummary

EXAMPLE = "例：yujing deliver --once"


def command(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="发完现在到期的就结束")] = False,
) -> None:
    """把发件箱里到期的通知发出去，失败的稍后重试；可在多台主机上各运行一个。"""
    app = ctx.obj()
    stop = Stop.on_signals()
    said = ""
    while True:
        summary = app.deliverer.deliver(app.clock.now())
        # A server that is down all night is said once, not every ten seconds.
        news = replace(summary, errors=()) if summary.down == said and said else summary
        said = summary.down
        _say(news, once=once)
        if once:
            if summary.down:
                raise DeliveryError(f"通知没有发完，仍在发件箱里：{summary.down}")
            return
        if stop.wait(app.settings.service.deliver_every_s):
            return


def _say(summary: DeliverySummary, *, once: bool) -> None:
    """One JSON line for what was done, one line on stderr for each message that was not sent."""
    for error in summary.errors:
        print(error, file=sys.stderr)
    if once or summary.sent or summary.failed:
        line = {"sent": summary.sent, "retried": summary.retried, "failed": summary.failed}
        print(json.dumps(line), flush=True)
