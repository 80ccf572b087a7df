"""``yujing erase``: all posts of one author go, nobody else's, and the audit says who did it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import rejudge
from app.cli import cli
from app.labels import take
from app.rejudge import Staged
from app.wire import App
from domain.assessment import Assessment, Sentiment
from domain.errors import InputError
from domain.post import Author, Engagement, Post, post_id
from nlp.team_labels import Label
from store.ledger import ERASED, Notification
from store.posts import Judged
from tests.alerts import sample

NOW = datetime.now(UTC)


def _judged(native: str, author: str, age: timedelta) -> Judged:
    post = Post(
        id=post_id("weibo", native),
        platform="weibo",
        source="import",
        native_id=native,
        text="提现不到账",
        published_at=NOW - age,
        fetched_at=NOW,
        author=Author(key=author),
    )
    probabilities = {"negative": 0.9, "neutral": 0.1, "positive": 0.0}
    return Judged(
        post=post,
        assessment=Assessment(
            post_id=post.id, model="m@1", sentiment=Sentiment.NEGATIVE, probabilities=probabilities
        ),
    )


@pytest.fixture(autouse=True)
def stored(app: App) -> None:
    app.posts.put(
        [
            _judged("1", "somebody", timedelta(days=1)),
            _judged("2", "somebody", timedelta(days=90)),
            _judged("3", "another", timedelta(days=1)),
            _judged("4", "", timedelta(days=1)),
        ]
    )


class Judge:
    """Stands in for the model."""

    model = "m@1"

    def assess(self, posts: Sequence[Post]) -> list[Assessment]:
        return [_judged(post.native_id, "", timedelta(0)).assessment for post in posts]


def _erase(*arguments: str) -> tuple[BaseException | None, str]:
    done = CliRunner().invoke(cli, ["erase", *arguments], standalone_mode=False)
    return done.exception, done.stdout


def test_all_of_one_author_in_every_month_and_nobody_else(app: App) -> None:
    error, out = _erase(post_id("weibo", "1"), "--reason", "本人要求", "--by", "王芳")
    assert error is None
    assert json.loads(out) == {"erased": 2}
    assert {native for native in "1234" if app.posts.get(post_id("weibo", native))} == {"3", "4"}
    (entry,) = app.ledger.audit.last()
    assert (entry.actor, entry.action, entry.reason) == ("王芳", "erase", "本人要求")


def test_what_comes_of_an_erased_author_later_or_waits_is_not_stored(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(App, "analyzer", property(lambda _: Judge()))
    waiting = _judged("5", "somebody", timedelta(hours=1)).post
    app.inbox.put([waiting], now=NOW)
    error, _ = _erase(post_id("weibo", "1"), "--reason", "本人要求", "--by", "王芳")
    assert error is None
    again = replace(_judged("1", "somebody", timedelta(days=1)).post, engagement=Engagement(likes=9))
    others = [_judged(native, key, timedelta(hours=1)).post for native, key in (("6", "another"), ("7", ""))]
    app.inbox.put([again, *others], now=NOW)
    worked = app.worker.drain(now=app.clock.now)
    assert (worked.judged, worked.dropped) == (2, 2)
    assert {native for native in "1234567" if app.posts.get(post_id("weibo", native))} == set("3467")
    assert app.inbox.depth(now=NOW).waiting == 0


def test_it_waits_for_those_who_put_posts_back_judged_anew(app: App) -> None:
    """A switch of models, or labels on their way in: what they read before would come back."""
    stored = app.posts.get(post_id("weibo", "1"))
    assert stored
    with ThreadPoolExecutor() as pool, app.models.alone():
        erasing = pool.submit(_erase, post_id("weibo", "1"), "--reason", "本人要求", "--by", "王芳")
        assert not wait([erasing], timeout=0.5).done and app.posts.size() == 4
        app.posts.put([stored])
    assert erasing.result()[0] is None and app.posts.size() == 2


@pytest.mark.parametrize("way", ["labels", "switch"])
def test_who_was_erased_from_another_host_meanwhile_does_not_come_back(
    app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    one = app.posts.get(post_id("weibo", "1"))
    assert one
    put = app.posts.put

    def late(batch: Sequence[Judged]) -> None:
        app.ledger.states.save(ERASED, {"somebody": {"at": NOW.isoformat()}})
        app.posts.forget_author("somebody")
        put(batch)

    monkeypatch.setattr(app.posts, "put", late)
    if way == "labels":
        label = Label(id=one.post.id, text=one.post.text, sentiment="neutral")
        assert take(app, {one.post.id: label}, by="王芳", now=NOW) == 1
    else:
        staged = Staged(tmp_path / "staged")
        staged.add([one.post], [replace(one.assessment, model="m@2")])
        assert rejudge.put(app.posts, staged, list, app.erased) == 1
    assert {native for native in "1234" if app.posts.get(post_id("weibo", native))} == {"3", "4"}


def test_mails_that_wait_are_written_anew(app: App) -> None:
    alert = sample.alert()
    mail = Notification(
        id="m", channel="email", recipient="pr@example.com", subject="s", body="提现不到账".encode(),
        alert=alert.id, revision=1, incident="", route="r", created_at=NOW, not_before=NOW + timedelta(hours=8),
    )  # fmt: skip
    app.ledger.alerts.put(alert)
    app.ledger.alerts.handled(alert, at=NOW)
    app.ledger.outbox.enqueue([mail])
    error, _ = _erase(post_id("weibo", "1"), "--reason", "本人要求", "--by", "王芳")
    assert error is None
    [taken] = app.ledger.outbox.find()
    assert (taken.state, taken.body) == ("dropped", b"")
    assert app.ledger.alerts.pending() == [alert]


@pytest.mark.parametrize(
    ("post", "reason", "why"),
    [
        (post_id("weibo", "9"), "本人要求", "没有这条帖子"),
        (post_id("weibo", "4"), "本人要求", "没有作者标识"),
        (post_id("weibo", "1"), " ", "原因"),
    ],
)
def test_what_cannot_be_erased_is_said_and_nothing_happens(
    app: App, post: str, reason: str, why: str
) -> None:
    error, _ = _erase(post, "--reason", reason, "--by", "王芳")
    assert isinstance(error, InputError) and why in str(error)
    assert app.posts.size() == 4
    assert app.ledger.audit.last() == []
