"""``yujing watch``: crawls on schedule, looks every five minutes, raises alerts."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.search import moment
from app.printing import note, plain
from app.stopping import Stop
from domain.alert import Alert
from domain.errors import StoreError, UsageError
from domain.local_time import iso

if TYPE_CHECKING:
    from app.wire import App

EXAMPLE = "例：yujing watch --once --at 2026-11-22T21:05"


def command(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="只检测一次，不抓取")] = False,
    at: Annotated[str, typer.Option(help="以这个时刻检测（需 --once），默认东八区；缺省为现在")] = "",
) -> None:
    """监测：按计划抓取、每 5 分钟检测、发现异常即生成预警；--once 输出新预警，每行一个 JSON。"""
    if at and not once:
        raise UsageError("--at 只能与 --once 一起用")
    app = ctx.obj()
    if once:
        now = _checked(moment(at), app.clock.now())
        with app.switch.settled(app.clock.now()):
            tick = app.watch.tick(now)
            app.handle_alerts(now, wait=False)
        for alert in tick.alerts:
            print(json.dumps(line(alert), ensure_ascii=False))
        print(
            json.dumps({"at": iso(now), "signals": len(tick.signals), "alerts": len(tick.alerts)}), flush=True
        )
        _mirrored(app, now)
        return
    from app.service import service_jobs
    from monitor.scheduler import Scheduler

    app.check()
    stop = Stop.on_signals()
    scheduler = Scheduler(service_jobs(app), on_error=_failed, states=app.ledger.states)
    scheduler.start()
    try:
        while not stop.wait(3600):
            pass
    finally:
        scheduler.stop()


def _checked(at: datetime | None, now: datetime) -> datetime:
    """The time asked for; one that is still to come has no posts yet."""
    if at is None:
        return now
    if at > now + timedelta(minutes=5):
        raise UsageError(f"--at {iso(at)} 还没有到")
    if at < datetime(2000, 1, 1, tzinfo=UTC):
        raise UsageError("--at 早于 2000 年")
    return at.astimezone(UTC)


def line(alert: Alert) -> dict[str, object]:
    """One alert revision, machine-readable."""
    return {
        "id": alert.id,
        "revision": alert.revision,
        "change": alert.change.value,
        "brand": alert.brand,
        "source": alert.source,
        "topics": list(alert.topics),
        "level": alert.level.id,
        "score": alert.score,
        "onset": iso(alert.onset),
        "at": iso(alert.at),
        "explanation": alert.explanation,
        "incomplete": list(alert.incomplete),
    }


def _mirrored(app: App, now: datetime) -> None:
    """What Kibana shows is brought up to date; a failure of that is told, and is no failure of the watch."""
    if app.mirror is not None:
        try:
            app.mirror.run(now)
        except StoreError as error:
            _failed("mirror", error)


def _failed(job: str, error: BaseException) -> None:
    words = plain(str(error)) or type(error).__name__
    note(f"yujing: 任务 {job} 失败：{words}", sys.stderr)
