"""The timetable: complete, ordered, bounded, the same for the same seed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox.rows import Row, built_in
from app.sandbox.scenario import BACKGROUND, LONGEST, Scenario, brand_of, build, played
from domain.local_time import SHANGHAI

ENDS = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
NAMES = {"云桥金融": ("云桥金融", "云桥"), "青石支付": ("青石支付",)}


def make(event: list[Row], calm: list[Row], *, brand: str = "云桥金融", seed: int = 1) -> Scenario:
    return build(brand=brand, event=event, calm=calm, ends=ENDS, names=NAMES, seed=seed)


offsets = st.none() | st.floats(-86_400, 86_400 * 3)
event_rows = st.lists(
    st.builds(Row, text=st.just("云桥金融提现没到账"), offset_s=offsets), min_size=1, max_size=40
)
calm_rows = st.lists(st.builds(Row, text=st.just("云桥金融不错"), offset_s=offsets), max_size=60)


@settings(deadline=None)
@given(event=event_rows, calm=calm_rows, seed=st.integers(0, 99))
def test_every_row_is_published_once_or_counted(event: list[Row], calm: list[Row], seed: int) -> None:
    made = make(event, calm, seed=seed)
    assert len(made.posts) + made.left_out == len(event) + len(calm)
    assert len({post.id for post in made.posts}) == len(made.posts)
    times = [post.at for post in made.posts]
    assert times == sorted(times)
    assert all(made.starts <= at <= made.ends for at in times)
    assert made.starts < made.live < made.onset < made.ends == ENDS
    assert made.live - made.starts == BACKGROUND
    assert make(event, calm, seed=seed) == made


def test_offsets_count_from_the_onset() -> None:
    made = make(
        [Row(text="一", offset_s=0), Row(text="二", offset_s=3600), Row(text="三", offset_s=-600)], []
    )
    assert {post.text: (post.at - made.onset).total_seconds() for post in made.posts} == {
        "一": 0,
        "二": 3600,
        "三": -600,
    }


def test_what_comes_after_a_day_is_left_out_and_counted() -> None:
    made = make([Row(text="一", offset_s=0), Row(text="二", offset_s=86_400 * 3)], [])
    assert [post.text for post in made.posts] == ["一"]
    assert made.left_out == 1
    assert made.ends - made.onset <= LONGEST + timedelta(hours=1)


@pytest.mark.parametrize("wild", [86_400.5, 1e9, -1e300])
def test_what_is_left_out_stretches_nothing(wild: float) -> None:
    event = [Row(text="一", offset_s=0), Row(text="二", offset_s=3_000)]
    assert played([*event, Row(text="晚", offset_s=wild)]) == played(event)
    assert {post.text for post in make([*event, Row(text="晚", offset_s=wild)], []).posts} == {"一", "二"}


def test_calm_talk_goes_on_to_the_end_of_a_long_event() -> None:
    made = make([Row(text="一", offset_s=86_400)], [Row(text=f"{i}") for i in range(2_000)])
    assert made.left_out == 0


def test_event_without_offsets_grows_in_its_order() -> None:
    made = make([Row(text=f"{i}") for i in range(117)], [])
    assert [post.text for post in made.posts] == [f"{i}" for i in range(117)]
    hours = Counter(int((post.at - made.onset).total_seconds() // 3600) for post in made.posts)
    assert made.posts[0].at == made.onset
    assert hours[0] < min(hours[1], hours[2])
    assert sum(hours[h] for h in range(3)) == 117


def test_a_small_event_is_not_thinned_to_nothing() -> None:
    made = make([Row(text=f"{i}") for i in range(20)], [])
    assert made.posts[-1].at - made.onset <= timedelta(minutes=45)


def test_calm_talk_sleeps_at_night_and_is_shuffled() -> None:
    made = make([Row(text="event")], [Row(text=f"{i:04d}") for i in range(2_000)])
    calm = [post for post in made.posts if post.text != "event"]
    hours = Counter(post.at.astimezone(SHANGHAI).hour for post in calm)
    assert hours[3] + hours[4] < hours[20] + hours[21]
    days = Counter((post.at - made.starts).days for post in calm)
    assert min(days[d] for d in range(14)) > 0.8 * 2_000 / 14.3
    # A file sorted by mood must not put all its complaints on one day.
    first_hundred = {(post.at - made.starts).days for post in calm if int(post.text) < 100}
    assert len(first_hundred) >= 12


def test_calm_offsets_count_from_the_start_or_back_from_the_onset() -> None:
    made = make(
        [Row(text="event", offset_s=0)], [Row(text="a", offset_s=3600), Row(text="b", offset_s=-3600)]
    )
    at = {post.text: post.at for post in made.posts}
    assert at["a"] == made.starts + timedelta(hours=1)
    assert at["b"] == made.onset - timedelta(hours=1)


def test_what_does_not_name_its_brand_is_known() -> None:
    made = make(
        [
            Row(text="云桥又来"),
            Row(text="回楼上，我也是"),
            Row(text="没到账", brand="青石支付", title="青石支付"),
        ],
        [],
    )
    assert [(post.brand, post.named) for post in made.posts] == [
        ("云桥金融", True),
        ("云桥金融", False),
        ("青石支付", True),
    ]


@pytest.mark.parametrize(
    ("row", "site"),
    [
        (Row(text="一", platform="guba"), "guba"),
        (Row(text="一", platform="黑猫"), "heimao"),
        (Row(text="一", platform="douyin"), "weibo"),
        (Row(text="一", title="题"), "news"),
        (Row(text="一", title="题", platform="weibo"), "weibo"),
    ],
)
def test_platform_decides_the_site(row: Row, site: str) -> None:
    (post,) = make([row], []).posts
    assert post.site == site
    assert "题" in post.title + post.text or not row.title


def test_without_a_platform_an_event_is_on_several_sites() -> None:
    assert {post.site for post in make([Row(text=f"{i}") for i in range(60)], []).posts} == {
        "weibo",
        "guba",
        "heimao",
    }


def test_counters_grow_and_never_shrink() -> None:
    post = make([Row(text="一")], []).posts[0]
    steps = [post.engagement(post.at + timedelta(minutes=m)) for m in (0, 5, 60, 600, 60_000)]
    assert steps[0].total == 0
    totals = [step.total for step in steps]
    assert totals == sorted(totals)
    assert steps[-1].likes >= post.reach.likes - 1


def test_brand_of_an_event() -> None:
    assert (
        brand_of([Row(text="x", brand="甲"), Row(text="y", brand="甲"), Row(text="z", brand="乙")], {}, "丙")
        == "甲"
    )
    assert brand_of([Row(text="青石支付又慢")], NAMES, "丙") == "青石支付"
    assert brand_of([Row(text="无名")], NAMES, "丙") == "丙"


def test_the_built_in_event_is_played_within_five_hours() -> None:
    lead, after = played(built_in("crisis").rows)
    assert timedelta(hours=3) < lead + after < timedelta(hours=5)
