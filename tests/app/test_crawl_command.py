"""`yujing crawl`: one source that cannot be asked does not keep the others from being crawled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.first_config import Answers, parse_source, write_config
from app.sandbox.rows import Row
from app.sandbox.scenario import build
from app.sandbox.sites import Directory
from app.sandbox.web import Web

SHIPPED = Path(__file__).resolve().parents[2] / "config"
BRAND = "海棠金服"


def test_a_source_without_its_cookie_is_blocked_and_the_others_are_crawled(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    rows = [Row(text=f"{BRAND}改版第{n}次", brand=BRAND, platform="guba") for n in range(12)]
    scenario = build(brand=BRAND, event=rows[:1], calm=rows, ends=now, names={BRAND: (BRAND,)})
    with Web(scenario, Directory(codes={BRAND: "own"}), lambda: now) as web:
        sources = tuple(map(parse_source, ["weibo", f"guba=own@{web.urls['guba']}"]))
        answers = Answers(name=BRAND, recipients=("pr@example.test",), sources=sources)
        write_config(tmp_path / "config", answers, shipped=SHIPPED)
        done = subprocess.run(
            [sys.executable, "-m", "app", "crawl", "weibo", "guba"],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "YUJING_HOME": str(tmp_path)},
        )
    assert done.returncode == 1, done.stderr
    by_source = {row["source"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert by_source["weibo"]["outcome"] == "blocked"
    assert "YUJING_WEIBO_COOKIE" in by_source["weibo"]["detail"]
    assert by_source["guba"]["outcome"] == "results" and by_source["guba"]["new"] > 0


def test_a_cookie_may_stand_in_the_remembered_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path))
    answers = Answers(name=BRAND, recipients=("pr@example.test",), sources=(parse_source("weibo"),))
    write_config(tmp_path / "config", answers, shipped=SHIPPED)
    (tmp_path / "settings.env").write_text("YUJING_WEIBO_COOKIE='SUB=abc; SUBP=#1'\n")
    given: list[Any] = []

    def crawl(*_: Any, cookies: dict[str, str], **__: Any) -> list[Any]:
        given.append(cookies)
        return []

    monkeypatch.setattr("crawlers.run.crawl", crawl)
    done = CliRunner().invoke(cli, ["crawl", "weibo"], standalone_mode=False)
    assert done.exception is None, done.output
    assert given == [{"weibo": "SUB=abc; SUBP=#1"}]
