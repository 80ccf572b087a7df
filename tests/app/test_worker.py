"""The worker: what is acknowledged is stored, what is poison is buried, what is known is not judged again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.worker import Worker
from domain.assessment import Assessment, Sentiment
from domain.errors import ModelError, RefusedError, StoreError
from domain.post import Author, Engagement, Post, Tier, post_id
from store.inbox import Inbox, open_inbox
from store.posts import Judged, Posts, open_posts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Counting:
    """Judges everything neutral, refuses texts with 毒, and counts what it was asked."""

    model = "counting@1"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def assess(self, posts: Sequence[Post]) -> list[Assessment]:
        self.asked += [post.text for post in posts]
        if any("毒" in post.text for post in posts):
            raise RuntimeError("毒帖")
        return [
            Assessment(
                post_id=post.id,
                model=self.model,
                sentiment=Sentiment.NEUTRAL,
                probabilities={"negative": 0.0, "neutral": 1.0, "positive": 0.0},
                story=post.id,
            )
            for post in posts
        ]

    def again(self, posts: Sequence[Post], before: Sequence[Assessment]) -> list[Assessment]:
        made = self.assess(posts)
        return [replace(each, story=old.story) for each, old in zip(made, before, strict=True)]

    def stands(self, post: Post, assessment: Assessment) -> bool:
        return assessment.model == self.model


def post(native: str, text: str = "平静的一天", **more: object) -> Post:
    base = Post(
        id=post_id("weibo", native),
        platform="weibo",
        source="weibo",
        native_id=native,
        text=text,
        published_at=NOW - timedelta(minutes=30),
        fetched_at=NOW,
    )
    return replace(base, **more)  # type: ignore[arg-type]


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return open_inbox(f"sqlite:///{tmp_path}/inbox.db")


@pytest.fixture
def posts(tmp_path: Path) -> Posts:
    return open_posts(f"sqlite:///{tmp_path}/posts.db", segment=list)


def worker(inbox: Inbox, posts: Posts, judge: Counting) -> Worker:
    return Worker(
        inbox=inbox,
        posts=posts,
        assessor=lambda: judge,
        influence=lambda p: float(p.engagement.total),
        batch=10,
    )


def test_everything_waiting_is_stored_and_acknowledged(inbox: Inbox, posts: Posts) -> None:
    inbox.put([post(str(n)) for n in range(25)], now=NOW)
    worked = worker(inbox, posts, Counting()).drain(now=lambda: NOW)
    assert (worked.judged, posts.size(), inbox.depth(now=NOW).waiting) == (25, 25, 0)


def test_poison_is_buried_with_its_reason_and_its_neighbours_pass(inbox: Inbox, posts: Posts) -> None:
    inbox.put([post("1"), post("2", "有毒"), post("3")], now=NOW)
    worked = worker(inbox, posts, Counting()).drain(now=lambda: NOW)
    assert (worked.judged, worked.buried, posts.size()) == (2, 1, 2)
    (letter,) = inbox.dead()
    assert letter.post.text == "有毒" and "毒帖" in letter.reason


def test_a_known_text_is_refreshed_without_the_model(inbox: Inbox, posts: Posts) -> None:
    judge = Counting()
    work = worker(inbox, posts, judge)
    inbox.put([post("1")], now=NOW)
    work.drain(now=lambda: NOW)
    later = NOW + timedelta(hours=1)
    inbox.put([post("1", fetched_at=later, engagement=Engagement(likes=9))], now=later)
    worked = work.drain(now=lambda: later)
    stored = posts.get(post_id("weibo", "1"))
    assert worked.refreshed == 1 and len(judge.asked) == 1
    assert stored and stored.post.engagement.likes == 9 and stored.assessment.influence == 9.0


def test_an_edited_text_is_judged_again(inbox: Inbox, posts: Posts) -> None:
    judge = Counting()
    work = worker(inbox, posts, judge)
    inbox.put([post("1")], now=NOW)
    work.drain(now=lambda: NOW)
    later = NOW + timedelta(hours=1)
    inbox.put([post("1", "改了的话", fetched_at=later)], now=later)
    work.drain(now=lambda: later)
    assert judge.asked == ["平静的一天", "改了的话"]


def test_a_known_text_whose_judgement_no_longer_stands_is_judged_again_in_its_story(
    inbox: Inbox, posts: Posts
) -> None:
    """An alias that was added this morning."""

    class Doubting(Counting):
        def stands(self, post: Post, assessment: Assessment) -> bool:
            return False

    first, later = post("1"), NOW + timedelta(days=9)
    inbox.put([first], now=NOW)
    worker(inbox, posts, Counting()).drain(now=lambda: NOW)
    stored = posts.get(first.id)
    assert stored
    posts.put([replace(stored, assessment=replace(stored.assessment, story="the first of it"))])
    judge = Doubting()
    inbox.put([post("1", fetched_at=later)], now=later)
    worked = worker(inbox, posts, judge).drain(now=lambda: later)
    renewed = posts.get(first.id)
    assert (worked.judged, judge.asked) == (1, [first.text])
    assert renewed and renewed.assessment.story == "the first of it"


def test_a_teaser_and_an_import_take_nothing_from_a_post_that_was_crawled_whole(
    inbox: Inbox, posts: Posts
) -> None:
    whole = post(
        "1",
        "提现困难，投资人已报警，平台回应称正在处理",
        title="云桥金融",
        url="https://example.com/1",
        author=Author(key="k", name="财***", tier=Tier.BIG_V),
        engagement=Engagement(reposts=5, comments=3),
    )
    later = NOW + timedelta(hours=1)
    teaser = post("1", "公司今日回应。", source="rss", fetched_at=later)
    row = post("1", "提现困难", source="import", fetched_at=later, engagement=Engagement(likes=900))
    judge = Counting()
    work = worker(inbox, posts, judge)
    inbox.put([whole], now=NOW)
    work.drain(now=lambda: NOW)
    for each in (teaser, row):
        inbox.put([each], now=later)
        work.drain(now=lambda: later)
    stored = posts.get(whole.id)
    together = Engagement(reposts=5, comments=3, likes=900)
    assert stored and stored.post == replace(whole, fetched_at=later, engagement=together)
    assert judge.asked == [whole.text] and stored.assessment.influence == together.total


def test_an_article_replaces_the_teaser_of_another_source_whichever_waits_first(
    inbox: Inbox, posts: Posts
) -> None:
    article = post("1", "提现困难，投资人已报警，平台回应称正在处理")
    teaser = post("1", "公司今日回应。", source="rss", fetched_at=NOW + timedelta(minutes=1))
    inbox.put([teaser, article], now=NOW)
    worker(inbox, posts, Counting()).drain(now=lambda: NOW)
    stored = posts.get(article.id)
    assert stored and (stored.post.source, stored.post.text) == ("weibo", article.text)


def test_a_broken_model_buries_nothing(inbox: Inbox, posts: Posts) -> None:
    class Broken(Counting):
        def assess(self, posts: Sequence[Post]) -> list[Assessment]:
            raise ModelError("权重缺失")

    inbox.put([post("1")], now=NOW)
    with pytest.raises(ModelError):
        worker(inbox, posts, Broken()).once(now=NOW)
    depth = inbox.depth(now=NOW + timedelta(hours=1))
    assert (depth.dead, depth.waiting) == (0, 1)


@pytest.mark.parametrize("error", [ModelError("权重缺失"), StoreError("没有权限", permanent=True)])
def test_workers_that_cannot_work_use_up_nobodys_tries(inbox: Inbox, posts: Posts, error: Exception) -> None:
    """A supervisor starts one after another."""

    def broken() -> Counting:
        raise error

    inbox.put([post(str(n)) for n in range(25)], now=NOW)
    for minutes in range(0, 60, 6):
        work = Worker(inbox=inbox, posts=posts, assessor=broken, influence=lambda p: 0.0, batch=10)
        with pytest.raises(type(error)):
            work.once(now=NOW + timedelta(minutes=minutes))
    worked = worker(inbox, posts, Counting()).drain(now=lambda: NOW + timedelta(hours=1))
    assert (worked.judged, worked.buried, inbox.dead()) == (25, 0, [])


def test_a_post_that_kills_every_worker_takes_none_of_its_neighbours_along(
    inbox: Inbox, posts: Posts
) -> None:
    class Killed(BaseException):
        """What no handler catches, as SIGKILL."""

    class Deadly(Counting):
        def assess(self, posts: Sequence[Post]) -> list[Assessment]:
            if any("毒" in each.text for each in posts):
                raise Killed
            return super().assess(posts)

    inbox.put([post(str(n), "有毒" if n == 3 else "平静的一天") for n in range(25)], now=NOW)
    for minutes in range(0, 60, 6):
        at = NOW + timedelta(minutes=minutes)
        with suppress(Killed):
            worker(inbox, posts, Deadly()).drain(now=lambda at=at: at)
    assert (posts.size(), [letter.post.text for letter in inbox.dead()]) == (24, ["有毒"])


def test_a_post_that_kills_the_worker_every_time_is_buried_in_the_end(inbox: Inbox, posts: Posts) -> None:
    inbox.put([post("1")], now=NOW)
    at = NOW
    for _ in range(3):  # leased, and then the process dies
        assert inbox.lease(10, now=at, lease=timedelta(minutes=5))
        at += timedelta(minutes=6)
    worked = worker(inbox, posts, Counting()).once(now=at)
    assert worked.buried == 1 and posts.size() == 0


def test_a_long_outage_of_the_store_uses_up_nobodys_tries(inbox: Inbox, posts: Posts) -> None:
    class Down:
        """A store that is away."""

        def known(self, ids: Sequence[str]) -> dict:
            raise StoreError("连不上", permanent=False)

    inbox.put([post(str(n)) for n in range(15)], now=NOW)
    work = worker(inbox, Down(), Counting())  # type: ignore[arg-type]
    for minutes in range(0, 60, 6):
        with pytest.raises(StoreError):
            work.drain(now=lambda minutes=minutes: NOW + timedelta(minutes=minutes))
    work._posts = posts
    worked = work.drain(now=lambda: NOW + timedelta(hours=1))
    assert (worked.judged, worked.buried, posts.size()) == (15, 0, 15)
    assert inbox.depth(now=NOW + timedelta(days=1)).waiting == 0


def test_a_post_that_the_store_refuses_is_buried_and_its_neighbours_pass(inbox: Inbox, posts: Posts) -> None:
    class Picky:
        """Stores what it can of a batch, as Elasticsearch does."""

        known = staticmethod(posts.known)

        def put(self, batch: Sequence[Judged]) -> None:
            posts.put([each for each in batch if "拒" not in each.post.text])
            if any("拒" in each.post.text for each in batch):
                raise RefusedError("存不下")

    inbox.put([post("1"), post("2", "拒收"), post("3")], now=NOW)
    worked = worker(inbox, Picky(), Counting()).drain(now=lambda: NOW)  # type: ignore[arg-type]
    assert (worked.done, worked.buried, posts.size()) == (3, 1, 2)
    (letter,) = inbox.dead()
    assert letter.post.text == "拒收" and "存不下" in letter.reason
