"""``yujing search`` for a brand or topic: by id or name, and no calm for one that nobody knows."""

from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.wire import App
from domain.assessment import Assessment, EntityJudgement, Sentiment
from domain.errors import InputError
from domain.post import Post, post_id
from store.posts import Judged

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YUJING_HOME", str(tmp_path))
    with closing(App.from_environment(os.environ)) as app:
        app.posts.put([_about(brand) for brand in ("yunqiao", "retired")])


def _about(brand: str) -> Judged:
    post = Post(
        id=post_id("weibo", brand),
        platform="weibo",
        source="weibo",
        native_id=brand,
        text="提现不到账",
        published_at=NOW,
        fetched_at=NOW,
    )
    mixed = {"negative": 0.9, "neutral": 0.1, "positive": 0.0}
    about = EntityJudgement(
        name=brand, brand=brand, sentiment=Sentiment.NEGATIVE, probability=0.9, negative=0.9
    )
    return Judged(
        post=post,
        assessment=Assessment(
            post_id=post.id,
            model="m@1",
            sentiment=Sentiment.NEGATIVE,
            probabilities=mixed,
            entities=(about,),
        ),
    )


def _search(*words: str) -> tuple[int, BaseException | None]:
    done = CliRunner().invoke(cli, ["search", "--json", *words], standalone_mode=False)
    return (json.loads(done.stdout.splitlines()[-1])["total"] if done.stdout else -1), done.exception


@pytest.mark.parametrize(
    ("words", "total"),
    [
        (("--brand", "yunqiao"), 1),
        (("--brand", "云桥金融"), 1),
        (("--brand", "retired"), 1),
        (("--brand", "安穗理财"), 0),
        (("--topic", "谣言/水军"), 0),
    ],
)
def test_what_is_known_or_left_posts_is_counted(words: tuple[str, ...], total: int) -> None:
    assert _search(*words) == (total, None)


@pytest.mark.parametrize(
    ("words", "why"),
    [(("--brand", "云桥金服"), "没有品牌"), (("--topic", "rumour"), "没有话题 rumour（是不是想写 rumor？）")],
)
def test_what_nobody_knows_is_said(words: tuple[str, ...], why: str) -> None:
    total, error = _search(*words)
    assert total == -1
    assert isinstance(error, InputError) and why in str(error)
