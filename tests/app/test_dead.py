"""``yujing dead``: what could not be judged is shown with its reason, and can be tried again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from typer.testing import CliRunner

from app.cli import cli
from app.wire import App
from domain.post import Post, post_id

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def dead(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["dead", *arguments], standalone_mode=False, catch_exceptions=False)
    return done.stdout


def test_dead_letters_are_shown_and_tried_again(app: App) -> None:
    assert "没有死信" in dead()
    post = Post(
        id=post_id("weibo", "1"), platform="weibo", source="weibo", native_id="1", text="提现\x1b[31m不到账",
        published_at=NOW, fetched_at=NOW,
    )  # fmt: skip
    app.inbox.put([post], now=NOW)
    (leased,) = app.inbox.lease(1, now=NOW, lease=timedelta(minutes=5))
    app.inbox.bury(leased.token, reason="RuntimeError: 毒帖", now=NOW)
    shown = dead()
    assert "毒帖" in shown and "提现" in shown and "\x1b" not in shown
    row = json.loads(dead("--json"))
    assert (row["id"], row["reason"], row["at"]) == (
        post.id,
        "RuntimeError: 毒帖",
        "2026-11-22T20:00:00+08:00",
    )
    assert json.loads(dead("--retry")) == {"revived": 1}
    assert app.inbox.depth(now=NOW).waiting == 1 and "没有死信" in dead()
