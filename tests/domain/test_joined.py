"""Two accounts of one post: the fuller one stays, and what it lacks is taken from the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.post import Author, Engagement, Post, Tier, joined, post_id

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CRAWLED = Post(
    id=post_id("weibo", "1"),
    platform="weibo",
    source="weibo",
    native_id="1",
    title="云桥金融",
    text="提现三天没到账，客服失联",
    url="https://example.com/1",
    author=Author(key="k", name="财***", tier=Tier.BIG_V, followers=9),
    published_at=NOW,
    fetched_at=NOW,
    engagement=Engagement(reposts=5, likes=7),
)
ROW = replace(
    CRAWLED,
    source="import",
    title="",
    text="提现三天",
    url="",
    author=Author(),
    published_at=NOW - timedelta(days=1),
    fetched_at=LATER,
    engagement=Engagement(likes=9, views=80),
)


def test_a_poorer_account_adds_its_counters_and_takes_nothing() -> None:
    expected = replace(CRAWLED, fetched_at=LATER, engagement=Engagement(reposts=5, likes=9, views=80))
    assert joined(CRAWLED, ROW) == expected
    assert joined(ROW, CRAWLED) == replace(expected, published_at=ROW.published_at)


def test_longer_words_stay_and_lack_nothing() -> None:
    whole = replace(ROW, text="云桥金融提现三天没到账，客服失联，已经报警，等平台给说法")
    both = joined(CRAWLED, whole)
    assert (both.source, both.text, both.title) == ("import", whole.text, CRAWLED.title)
    assert (both.url, both.author, both.published_at) == (CRAWLED.url, CRAWLED.author, NOW)


def test_a_source_that_comes_again_is_right_about_its_own_shorter_words_and_lower_counters() -> None:
    edited = replace(CRAWLED, text="已解决", fetched_at=LATER, engagement=Engagement(likes=1))
    assert joined(CRAWLED, edited) == edited
    assert joined(edited, CRAWLED) == edited, "what was fetched earlier changes nothing"
    assert joined(CRAWLED, replace(edited, url="", author=Author(tier=Tier.USER))) == replace(
        edited, author=replace(CRAWLED.author, tier=Tier.USER)
    )


def test_of_equal_words_those_of_a_brands_own_board_stay_whichever_came_first() -> None:
    board = replace(CRAWLED, source="board", fetched_at=LATER)
    own = {"board"}
    assert joined(CRAWLED, board, own=own).source == "board" == joined(board, CRAWLED, own=own).source
    assert joined(CRAWLED, board).source == "weibo"


def test_a_day_alone_gives_way_to_the_minute() -> None:
    undated = replace(ROW, date_only=True)
    both = joined(undated, CRAWLED)
    assert (both.published_at, both.date_only) == (NOW, False)
