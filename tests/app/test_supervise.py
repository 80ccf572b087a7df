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


def test_an_orphan_ends_by_itself(tmp_path: Path) -> None:
    child = tmp_path / "child.py"
    child.write_text(
        "import pathlib, sys\nfrom app.stopping import Stop\n"
        "stop = Stop.on_signals()\npathlib.Path(sys.argv[1]).write_text('up')\n"
        "stop.wait(60)\npathlib.Path(sys.argv[1]).write_text('ended')\n"
    )
    parent = tmp_path / "parent.py"
    parent.write_text(
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, sys.argv[1], sys.argv[2]], env={**os.environ, 'YUJING_SUPERVISED': '1'})\n"
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
