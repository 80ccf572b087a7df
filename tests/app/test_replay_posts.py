"""Posts of a replay: judged apart from the service, once each, under one name a brand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import cli

TEXT = "云桥金融提现一直不到账，客服电话也打不通，希望尽快处理"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def row(**values: Any) -> dict[str, Any]:
    return {"text": TEXT, "published_at": "2026-03-09T10:00:00+08:00", **values}


def backtest(folder: Path, rows: list[dict[str, Any]], *more: str) -> Result:
    path = folder / "posts.jsonl"
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), "utf-8")
    done = CliRunner().invoke(cli, ["backtest", str(path), *more])
    assert done.exit_code == 0, done.output
    return done


def test_a_replay_leaves_the_stories_of_the_service_alone(home: Path, tmp_path: Path) -> None:
    backtest(tmp_path, [row(id=number) for number in range(3)])
    assert not (home / "stories.sqlite3").exists()
