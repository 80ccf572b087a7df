"""Keeps the parts of the service running as child processes (``yujing up``)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.stopping import SUPERVISED, Stop

HEALTHY_AFTER_S = 60.0
"""A child that ran so long starts again without delay."""
LONGEST_PAUSE_S = 60.0
_DOUBLINGS = 6
"""From then on a pause is the longest one; a power of two of every failure would overflow in the end."""
GRACE_S = 25.0
"""Seconds between SIGTERM and SIGKILL: longer than one wait for a mail server (``Smtp.timeout_s``)."""


@dataclass(kw_only=True, slots=True)
class Part:
    """One child and its fate so far."""

    name: str
    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0


@dataclass(kw_only=True)
class Supervisor:
    """Starts parts, restarts what dies after 1, 2, 4 … 60 s, ends all of them together.

    ``clock`` is monotonic seconds; ``say`` gets one line an event.
    """

    parts: Sequence[Part]
    clock: Callable[[], float]
    say: Callable[[str], None]
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    poll_s: float = 0.5

    def run(self, stop: Stop) -> None:
        """Supervise until asked to stop, then end every part cleanly."""
        try:
            while not stop.asked:
                for part in self.parts:
                    self._look_after(part)
                stop.wait(self.poll_s)
        finally:
            self._end()

    def _look_after(self, part: Part) -> None:
        now = self.clock()
        if part.process is None:
            if now >= part.start_at:
                self._try_to_start(part, now)
            return
        code = part.process.poll()
        if code is None:
            return
        part.process = None
        if now - part.started >= HEALTHY_AFTER_S:
            part.failures, part.start_at = 0, now
            self.say(f"{part.name} 已退出（代码 {code}），立即重启")
        else:
            self._postpone(part, now, f"已退出（代码 {code}）")

    def _try_to_start(self, part: Part, now: float) -> None:
        try:
            self._start(part, now)
        except OSError as error:
            # No memory, processes or files left, just now: the other parts go on.
            self._postpone(part, now, f"启动不了（{error.strerror or error}）")

    def _postpone(self, part: Part, now: float, why: str) -> None:
        pause = min(2.0 ** min(part.failures, _DOUBLINGS), LONGEST_PAUSE_S)
        part.failures += 1
        part.start_at = now + pause
        self.say(f"{part.name} {why}，{pause:.0f} 秒后重启")

    def _start(self, part: Part, now: float) -> None:
        part.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app", *part.arguments],
            env={**self.environment, SUPERVISED: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        part.started = now
        self.say(f"{part.name} 已启动（pid {part.process.pid}）")

    def _end(self) -> None:
        running = [part for part in self.parts if part.process and part.process.poll() is None]
        for part in running:
            _signal(part, signal.SIGTERM)
        deadline = self.clock() + GRACE_S
        for part in running:
            assert part.process
            try:
                part.process.wait(timeout=max(0.1, deadline - self.clock()))
            except subprocess.TimeoutExpired:
                self.say(f"{part.name} 未在 {GRACE_S:.0f} 秒内结束，强制终止")
                _signal(part, signal.SIGKILL)
                part.process.wait()
        self.say("全部部件已停止")


def _signal(part: Part, number: signal.Signals) -> None:
    """To the whole process group, so that crawls started by a part end with it."""
    assert part.process
    try:
        os.killpg(part.process.pid, number)
    except ProcessLookupError:
        part.process.poll()
