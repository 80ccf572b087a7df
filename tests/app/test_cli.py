"""How commands start and how failures end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import COMMANDS, run
from domain.errors import StoreError, UsageError


def yujing(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "YUJING_HOME": str(home)},
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, tmp_path: Path) -> None:
    done = yujing(name, "--help", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "例：" in done.stdout


def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path) -> None:
    for arguments in (["serach"], ["search", "--limit", "0"], ["search", "--since", "yesterday-ish"]):
        done = yujing(*arguments, home=tmp_path)
        assert done.returncode == 2, arguments
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_expected_failures_become_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: Exception) -> None:
        raise error

    assert run(lambda: fail(StoreError("磁盘已满\n\x1b[31m/x"))) == 1
    assert capsys.readouterr().err == "yujing: 磁盘已满 [31m/x\n"
    assert run(lambda: fail(UsageError("用法"))) == 2
    assert run(lambda: fail(FileNotFoundError(2, "No such file", "a.csv"))) == 1
    assert "a.csv" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)


def test_a_closed_pipe_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m app --help | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "YUJING_HOME": str(tmp_path)},
    )
    assert "Traceback" not in done.stderr
