"""``yujing status``: where each store is, and what is still known when one cannot be asked."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.mirror import STATE, STATUS
from app.wire import App
from domain.post import Post, post_id
from store.ledger import SCHEDULER
from store.posts.elasticsearch.connection import PATIENCE_S

NOW = datetime.now(UTC)
SECRET = "geheim-0123456789"
KEYS = {"at", "sources", "inbox", "posts", "model", "alerts", "outbox", "delivery", "incidents_open"}
"""What other programs read since the first version."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path))
    with closing(App.from_environment(os.environ)) as app:
        waiting = Post(
            id=post_id("weibo", "1"),
            platform="weibo",
            source="import",
            native_id="1",
            text="提现不到账",
            published_at=NOW,
            fetched_at=NOW,
        )
        app.inbox.put([waiting], now=NOW)
    return tmp_path


def status(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["status", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def test_where_each_store_is(home: Path) -> None:
    code, out = status("--json")
    state = json.loads(out)
    assert code == 0
    assert set(state) >= KEYS
    assert state["engines"] == {
        name: {"kind": "sqlite", "at": f"sqlite:///{home}/{name}.sqlite3", "error": ""}
        for name in ("inbox", "posts", "ledger")
    }
    assert (state["leader"], state["mirror"]) == (None, None)
    code, out = status()
    assert code == 0
    assert f"帖子库在 sqlite:///{home}/posts.sqlite3\n" in out
    assert "没有进程在主持" in out


@pytest.mark.parametrize(
    ("broken", "known", "unknown"),
    [
        (
            "ledger",
            {"inbox", "posts"},
            {"alerts", "outbox", "delivery", "incidents_open", "leader", "mirror"},
        ),
        ("posts", {"inbox", "alerts", "outbox", "incidents_open"}, {"posts"}),
        ("inbox", {"posts", "alerts", "outbox"}, {"inbox"}),
    ],
)
def test_a_store_that_cannot_be_opened_hides_no_other(
    home: Path, broken: str, known: set[str], unknown: set[str]
) -> None:
    path = home / f"{broken}.sqlite3"
    path.unlink(missing_ok=True)
    path.mkdir()
    code, out = status("--json")
    state = json.loads(out)
    assert code == 1
    assert set(state) >= KEYS
    assert all(state[key] is not None for key in known)
    assert all(state[key] is None for key in unknown), "not known is not calm"
    assert [name for name, engine in state["engines"].items() if engine["error"]] == [broken]
    assert "是一个目录" in state["engines"][broken]["error"]
    assert state["model"]["name"]
    code, out = status()
    assert code == 1
    assert "⚠ 打不开：" in out and "模型：" in out
    assert ("待处理 1" in out) == (broken != "inbox")
    assert ("发件箱：" in out) == (broken != "ledger")


def test_addresses_hold_no_secret_and_no_escape(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "YUJING_INBOX_URL", f"redis://worker:{SECRET}@127.0.0.1:9/0?prefix=x&password={SECRET}"
    )
    monkeypatch.setenv("YUJING_POSTS_URL", "gopher\u202e://h\u202e/\u009b31m")
    for arguments in ([], ["--json"]):
        code, out = status(*arguments)
        assert code == 1
        assert SECRET not in out and "worker" not in out
        assert "redis://127.0.0.1:9/0" in out
        assert not [c for c in out if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize("asked", ["status", "search"])
def test_a_cluster_that_is_away_is_told_sooner_than_to_a_service(
    home: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("YUJING_POSTS_URL", "elasticsearch://127.0.0.1:9")
    began = time.monotonic()
    done = CliRunner().invoke(cli, [asked, "--json"])
    assert done.exit_code == 1
    assert time.monotonic() - began < PATIENCE_S


def test_who_runs_the_jobs_and_how_far_the_copy_for_kibana_is(home: Path) -> None:
    with closing(App.from_environment(os.environ)) as app:
        lease = app.ledger.leases.take(
            SCHEDULER, holder="主机 进程 1", place="", seconds=600, gone=lambda place: False
        )
        done = {
            "last_success": (NOW - timedelta(hours=1)).isoformat(),
            "error": "连不上\x1b[2J",
            "error_since": NOW.isoformat(),
        }
        app.ledger.states.save(STATE, {STATUS: done})
    assert lease
    state = json.loads(status("--json")[1])
    assert state["leader"]["holder"] == "主机 进程 1"
    assert datetime.fromisoformat(state["mirror"]["last_success"]) < NOW
    code, out = status()
    assert code == 0
    assert "调度：主机 进程 1" in out
    assert "Kibana 副本：最近成功" in out and "不通：连不上 [2J" in out
