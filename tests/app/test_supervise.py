"""`yujing up`: parts restart when they die and end together."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from app.printing import note
from app.stopping import Interrupted, Stop
from app.supervise import Part, Supervisor


def supervisor(lines: list[str], *parts: Part) -> Supervisor:
    return Supervisor(parts=parts, clock=time.monotonic, say=lines.append, poll_s=0.05)


def until(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_a_part_that_dies_is_started_again_and_all_end_together() -> None:
    lines: list[str] = []
    part = Part(name="broken", arguments=("no-such-command",))
    stop = Stop(parent=None)
    thread = threading.Thread(target=supervisor(lines, part).run, args=(stop,))
    thread.start()
    try:
        until(lambda: sum("已启动" in line for line in lines) >= 2)
    finally:
        stop.set()
        thread.join(20)
    assert any("代码 2" in line for line in lines)
    assert lines[-1] == "全部部件已停止"
    assert part.process is None or part.process.poll() is not None


def test_a_part_that_cannot_be_started_just_now_is_tried_again_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, refusals = subprocess.Popen, iter([errno.EAGAIN, errno.ENOMEM])

    def popen(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if "watch" in command and (number := next(refusals, 0)):
            raise OSError(number, os.strerror(number))
        return real([sys.executable, "-c", "import time; time.sleep(60)"], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    lines: list[str] = []
    work, watch = (Part(name=name, arguments=(name,)) for name in ("work", "watch"))
    stop = Stop(parent=None)
    supervising = supervisor(lines, work, watch)
    supervising.clock = lambda: time.monotonic() * 20
    thread = threading.Thread(target=supervising.run, args=(stop,))
    thread.start()
    try:
        until(lambda: any("watch 已启动" in line for line in lines) or not thread.is_alive())
        assert work.process and work.process.poll() is None
    finally:
        stop.set()
        thread.join(20)
    refused = [line.partition("，")[2] for line in lines if "watch 启动不了" in line]
    assert refused == ["1 秒后重启", "2 秒后重启"]
    assert sum("work 已启动" in line for line in lines) == 1


def test_a_part_that_has_failed_for_days_is_still_tried_every_minute() -> None:
    lines: list[str] = []
    now = 0.0
    part = Part(name="broken", arguments=("no-such-command",), failures=100_000)
    supervising = supervisor(lines, part)
    supervising.clock = lambda: now
    part.process = subprocess.Popen([sys.executable, "-c", ""])
    part.process.wait()
    supervising._look_after(part)
    assert lines == ["broken 已退出（代码 0），60 秒后重启"]
    assert part.start_at == 60


def test_parts_are_ours_whatever_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``python -m`` alone would run the user's own folder called app."""
    foreign = tmp_path / "app"
    foreign.mkdir()
    (foreign / "__init__.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\nraise SystemExit(7)\n"
    )
    monkeypatch.chdir(tmp_path)
    lines: list[str] = []
    stop = Stop(parent=None)
    part = Part(name="broken", arguments=("no-such-command",))
    thread = threading.Thread(target=supervisor(lines, part).run, args=(stop,))
    thread.start()
    try:
        until(lambda: any("已退出" in line for line in lines))
    finally:
        stop.set()
        thread.join(20)
    assert any("代码 2" in line for line in lines)
    assert not (tmp_path / "ran").exists()


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    class Full(io.StringIO):
        def write(self, text: str, /) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    note("work 已启动", Full())


def test_work_that_is_asked_to_end_ends_where_it_checks() -> None:
    stop = Stop(parent=None)
    stop.check()
    stop.set()
    with pytest.raises(Interrupted):
        stop.check()


@pytest.mark.parametrize("ready_s", [0, 2])
def test_an_orphan_ends_by_itself(tmp_path: Path, ready_s: int) -> None:
    """Also one whose parent died before it listened."""
    child = tmp_path / "child.py"
    child.write_text(
        "import pathlib, sys, time\nfrom app.stopping import Stop\n"
        "pathlib.Path(sys.argv[1]).write_text('up')\n"
        f"time.sleep({ready_s})\nstop = Stop.on_signals()\n"
        "stop.wait(60)\npathlib.Path(sys.argv[1]).write_text('ended')\n"
    )
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import os, subprocess, sys, time\n"
        "env = {**os.environ, 'YUJING_SUPERVISED': str(os.getpid())}\n"
        "subprocess.Popen([sys.executable, sys.argv[1], sys.argv[2]], env=env)\n"
        "time.sleep(60)\n"
    )
    mark = tmp_path / "mark"
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, str(parent), str(child), str(mark)], env={**os.environ, "PYTHONPATH": root}
    )
    until(lambda: mark.exists() and mark.read_text() == "up")
    process.kill()
    process.wait()
    until(lambda: mark.read_text() == "ended")
