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


@pytest.mark.parametrize("arguments", [(), ("incident",)])
def test_a_group_alone_shows_its_help(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    alone, asked = yujing(*arguments, home=tmp_path), yujing(*arguments, "--help", home=tmp_path)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert alone.stderr.strip() == asked.stdout.strip()


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


def test_an_interruption_is_one_line_also_where_a_library_made_a_failure_of_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    def loading() -> None:
        try:
            interrupted()
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    for call in (interrupted, loading):
        assert run(call) == 130
        assert capsys.readouterr().err == "yujing: 已中断\n"


@pytest.mark.parametrize("arguments", ["--help", "check", "plan list --json", "analyze ROWS"])
@pytest.mark.parametrize(
    ("output", "code", "said"),
    [
        ("| true", 1, ""),
        (">/dev/full", 1, "yujing: 标准输出: No space left on device\n"),
        (">/dev/full 2>/dev/full", 1, ""),
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line(
    tmp_path: Path, arguments: str, output: str, code: int, said: str
) -> None:
    """Also what is still held back when the command ends: most people's Python buffers its output."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": 1, "text": "提现不到账"}\n', encoding="utf-8")
    words = f"{sys.executable} -m app {arguments.replace('ROWS', str(rows))}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words} {output}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        env={
            **{k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
            "YUJING_HOME": str(tmp_path),
        },
    )
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize(
    "arguments",
    [
        "demo --dir {0}/demo",
        "init --name 海棠 --to a@example.com --smtp smtp://127.0.0.1:9",
        "import {0}/rows.jsonl",
        "incident list",
    ],
)
def test_a_disk_that_takes_nothing_is_one_line_that_names_the_place(tmp_path: Path, arguments: str) -> None:
    """A limit of no bytes a file stands in for a full disk."""
    (tmp_path / "rows.jsonl").write_text('{"text": "提现不到账"}\n', encoding="utf-8")
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 0; {sys.executable} -m app {arguments.format(tmp_path)} 2>&1 | cat"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "YUJING_HOME": str(tmp_path / "home"), "YUJING_SECRET": "0123456789abcdef"},
    )
    (line,) = done.stdout.strip().splitlines()
    assert line.startswith("yujing: ")
    assert str(tmp_path) in line
