"""``yujing up``: the whole service on this machine."""

from __future__ import annotations

import fcntl
import sys
import time
from pathlib import Path
from typing import IO

import typer

from app.printing import note
from app.stopping import Stop
from app.supervise import Part, Supervisor
from domain.errors import YujingError

EXAMPLE = "例：YUJING_HOME=/srv/yujing yujing up"
PARTS = ("work", "watch", "deliver")


def command(ctx: typer.Context) -> None:
    """启动服务：研判、监测（含抓取调度）、投递各一个子进程；意外退出的自动重启，SIGTERM 干净结束。"""
    app = ctx.obj()
    app.check()
    with (app.home / "up.lock").open("w") as lock:
        _alone(lock)
        stop = Stop.on_signals()
        Supervisor(
            parts=[Part(name=name, arguments=(name,)) for name in PARTS],
            clock=time.monotonic,
            say=lambda line: note(line, sys.stdout),
        ).run(stop)


def running(home: Path) -> bool:
    """Whether a ``yujing up`` of this home runs on this machine."""
    try:
        with (home / "up.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _alone(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise YujingError(f"另一个 yujing up 正在使用 {lock.name}；先结束它，或换一个 YUJING_HOME") from None
