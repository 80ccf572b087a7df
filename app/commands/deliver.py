"""``yujing deliver``: hand the outbox over to its channels."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.printing import note
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
        summary = app.deliverer.deliver(now=app.clock.now, stop=lambda: stop.asked)
        if once:
            for error in summary.errors[: -1 if summary.down else None]:
                print(error, file=sys.stderr)
            print(_line(summary))
            if summary.down:
                raise DeliveryError(f"通知没有发完，仍在发件箱里：{summary.down}")
            return
        # A server that is down all night is said once, not every ten seconds.
        if not summary.down or summary.down != said:
            for error in summary.errors:
                note(error, sys.stderr)
        said = summary.down
        if summary.sent or summary.failed:
            note(_line(summary), sys.stdout)
        if stop.wait(app.settings.service.deliver_every_s):
            return


def _line(summary: DeliverySummary) -> str:
    """What was done, machine-readable."""
    return json.dumps({"sent": summary.sent, "retried": summary.retried, "failed": summary.failed})
