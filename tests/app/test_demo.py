"""The demo as a user starts it: a process of its own, the whole job, about two minutes a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from pathlib import Path

import pytest

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("YUJING_")}


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app", "demo", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
    )


def run(*arguments: str | Path, timeout: float = 400) -> tuple[int, str, str]:
    process = start(*arguments)
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


def left_over(folder: Path) -> list[str]:
    """Processes that still work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"YUJING_HOME={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(entry.name)
    return found


# ------------------------------------------------------------------------- the whole job


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_crisis_is_found_told_and_answered(tmp_path: Path) -> None:
    code, out, err = run("--dir", tmp_path / "run", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out.splitlines()[-1])
    assert result["posts"] >= 890
    assert sum(result["sources"].values()) == result["posts"]
    assert result["brand"] == "云桥金融"
    assert result["seconds"] < 180
    alert = result["alerts"][0]
    assert alert["brand"] == "云桥金融"
    assert alert["topics"][0] == "withdrawal_difficulty"
    assert alert["level"] in ("yellow", "orange", "red")
    assert 0 < alert["delay_s"] <= 2 * 3600
    incident = result["incidents"][0]
    assert (incident["topic"], incident["plan"]) == ("withdrawal_difficulty", "withdrawal_difficulty")
    assert incident["tasks"] > 5
    mails = [message_from_bytes(Path(path).read_bytes(), policy=policy.default) for path in result["emails"]]
    assert {mail["To"] for mail in mails} >= {"pr@example.test"}
    assert "云桥金融" in mails[0]["Subject"]
    assert any(part.get_content_type() == "image/png" for part in mails[0].walk())
    assert "data:image/png" in Path(result["emails"][0]).with_suffix(".html").read_text(encoding="utf-8")
    assert "\x1b" not in out
    assert left_over(tmp_path / "run") == []


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_calm_days_with_a_campaign_alert_nobody(tmp_path: Path) -> None:
    code, out, err = run("--dir", tmp_path / "run", "--no-crisis", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out.splitlines()[-1])
    assert result["posts"] >= 890
    assert (result["alerts"], result["emails"], result["incidents"]) == ([], [], [])
    assert result["seconds"] < 180


# --------------------------------------------------------------------------- interruption


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start("--dir", tmp_path / "run")
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_ends_the_children_and_keeps_the_folder(
    tmp_path: Path, running: subprocess.Popen[str], number: signal.Signals
) -> None:
    home = tmp_path / "run"
    deadline = time.monotonic() + 90
    while len(left_over(home)) < 1:  # the first crawl
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.1)
    second = run("--dir", home, timeout=90)
    assert second[0] == 1
    assert "另一个演练" in second[2]
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert len(err.splitlines()) == 1
    assert "已中断" in err
    assert left_over(home) == []
    assert (home / "demo.json").exists()


# -------------------------------------------------------------------------------- bad use


def test_wrong_use_and_bad_files(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    for arguments, code, words in (
        (("--no-crisis", "--crisis", "x"), 2, "--no-crisis"),
        (("--crisis", tmp_path / "none.jsonl"), 1, "none.jsonl"),
        (("--calm", tmp_path / "empty.jsonl"), 1, "empty.jsonl"),
        (("--calm", tmp_path), 1, str(tmp_path)),
        (("--dir", tmp_path / "full"), 1, "不是空的"),
        (("--dir", tmp_path / "empty.jsonl"), 1, "empty.jsonl"),
    ):
        found, out, err = run(*arguments, timeout=90)
        assert (found, out) == (code, "")
        assert len(err.splitlines()) == 1
        assert words in err
