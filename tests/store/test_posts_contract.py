"""What every store of posts promises, one case at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.assessment import EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.errors import UsageError
from domain.post import Author, Engagement
from store.posts import Posts, Query, Sort

HOUR = timedelta(hours=1)
NEGATIVE, NEUTRAL, POSITIVE = Sentiment.NEGATIVE, Sentiment.NEUTRAL, Sentiment.POSITIVE


def ids(page) -> list[str]:
    return [each.post.native_id for each in page.found]


def test_a_judged_post_comes_back_as_it_was_put(posts: Posts, post, judged) -> None:
    one = judged(post(), topics=("withdrawal",), keywords=("提现",), decisive=("不了",), story="s", ad=True)
    posts.put([one])
    assert posts.get(one.post.id) == one
    assert posts.known([one.post.id, "unknown"]) == {one.post.id: one}
    assert posts.get("unknown") is None
    assert (posts.size(), posts.sources()) == (1, {"weibo-search": 1})


def test_putting_twice_changes_nothing(posts: Posts, post, judged, now) -> None:
    one = judged(post(), topics=("withdrawal",))
    posts.put([one, one])
    before = posts.search(Query(text="提现")), posts.counts(since=now - HOUR, until=now + HOUR, step_s=300)
    posts.put([one])
    assert before == (
        posts.search(Query(text="提现")),
        posts.counts(since=now - HOUR, until=now + HOUR, step_s=300),
    )
    assert before[0].total == posts.size() == before[1][0].posts == 1


def test_the_first_date_stays_and_newer_words_and_counters_replace(posts: Posts, post, judged, now) -> None:
    posts.put([judged(post())])
    later = post(
        text="改口 了",
        published_at=now + HOUR,
        date_only=True,
        fetched_at=now + HOUR,
        engagement=Engagement(likes=5),
    )
    posts.put([judged(later, brands={"yunqiao": (POSITIVE, 0.1)})])
    stored = posts.get(later.id)
    assert (stored.post.published_at, stored.post.date_only) == (now, False)
    assert (stored.post.text, stored.post.engagement.likes) == ("改口 了", 5)
    assert posts.search(Query(text="提现")).total == 0
    assert posts.search(Query(text="改口", brand="yunqiao", sentiment=POSITIVE)).total == 1
    assert posts.search(Query(brand="yunqiao", sentiment=NEGATIVE)).total == 0
    assert posts.engagement(later.id) == [(now, Engagement()), (now + HOUR, Engagement(likes=5))]


def test_a_time_takes_the_place_of_a_day(posts: Posts, post, judged, now) -> None:
    for at, date_only, hours in (
        (now, True, 0),
        (now - HOUR, True, 1),
        (now - 2 * HOUR, False, 2),
        (now, False, 3),
    ):
        posts.put([judged(post(published_at=at, date_only=date_only, fetched_at=now + hours * HOUR))])
    stored = posts.get(post().id).post
    assert (stored.published_at, stored.date_only) == (now - 2 * HOUR, False)
    assert [count.posts for count in posts.counts(since=now - 3 * HOUR, until=now + HOUR, step_s=300)] == [1]


def test_an_older_copy_changes_nothing_and_a_new_judgement_does(posts: Posts, post, judged, now) -> None:
    posts.put([judged(post(fetched_at=now + HOUR))])
    posts.put([judged(post(text="旧的", engagement=Engagement(likes=9)))])
    assert posts.get(post().id).post.text == post().text
    assert posts.engagement(post().id) == [(now + HOUR, Engagement())]
    posts.put([judged(post(fetched_at=now + HOUR), model="m2", brands={"other": (NEGATIVE, 0.9)})])
    assert posts.get(post().id).assessment.model == "m2"
    assert posts.brands(since=now, until=now + HOUR) == ["other"]


def test_engagement_is_kept_when_it_differs(posts: Posts, post, judged, now) -> None:
    for hour, likes in enumerate((0, 0, 3, 3, 0)):
        posts.put([judged(post(fetched_at=now + hour * HOUR, engagement=Engagement(likes=likes)))])
    assert posts.engagement(post().id) == [
        (now, Engagement()),
        (now + 2 * HOUR, Engagement(likes=3)),
        (now + 4 * HOUR, Engagement()),
    ]
    assert posts.engagement("unknown") == []


def test_a_nonsense_counter_does_not_stop_the_batch(posts: Posts, post, judged) -> None:
    posts.put([judged(post(engagement=Engagement(likes=10**30)))])
    assert posts.get(post().id).post.engagement.likes == 10**30


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("提现", ["2", "1"]),
        ("提现 云桥", ["1"]),
        ('"云桥 提现"', ["1"]),
        ("“云桥 提现”", ["1"]),
        ('"提现 云桥"', []),
        ("不存在", []),
        ("app", ["2"]),
        ("ＡＰＰ", ["2"]),
        ("！！", []),
        ("C++", ["3"]),
        ("c", []),
        ("😀", ["3"]),
        ("NOT", ["3"]),
        ("3.15", ["3"]),
        ("\"d'or", None),
        ("", ["3", "2", "1"]),
        ("  ", ["3", "2", "1"]),
    ],
)
def test_words_and_phrases(posts: Posts, post, judged, now, text: str, found: list[str] | None) -> None:
    posts.put(
        [
            judged(post("1", "云桥 提现 ， 不了")),
            judged(post("2", "APP 提现", published_at=now + HOUR)),
            judged(post("3", "c++ 😀 not 3.15 d'or", published_at=now + 2 * HOUR)),
        ]
    )
    if found is None:
        with pytest.raises(UsageError):
            posts.search(Query(text=text))
    else:
        assert ids(posts.search(Query(text=text))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("提现", ["3", "1"]),
        ("提现‿困难", ["2", "1"]),
        ('"提现‿困难 立案"', ["2", "1"]),
        ('"立案 提现‿困难"', []),
        ("困难 立案", ["3", "1"]),
    ],
)
def test_compounds_are_found_by_their_pieces_and_whole(
    posts: Posts, post, judged, now, text: str, found: list[str]
) -> None:
    posts.put(
        [
            judged(post("1", "提现‿困难 立案")),
            judged(post("2", "提现困难 立案", published_at=now + HOUR)),  # as an earlier release cut it
            judged(post("3", "困难 提现 立案", published_at=now + 2 * HOUR)),
        ]
    )
    assert ids(posts.search(Query(text=text))) == found


@pytest.mark.parametrize(
    "text",
    [
        "a OR b",
        "tokens:提现",
        "提现*",
        "NEAR(提现 云桥)",
        "^提现",
        "{tokens}",
        "-提现",
        "提现)",
        "'; DROP TABLE posts; --",
        "\x00",
        "\ud800",
        "%",
    ],
)
@pytest.mark.parametrize("sort", list(Sort))
def test_what_people_type_is_never_syntax(posts: Posts, post, judged, text: str, sort: Sort) -> None:
    posts.put([judged(post("1", "提现 云桥"))])
    page = posts.search(Query(text=text, sort=sort, brand=text, topic=text, source=text, story=text))
    assert page.total == 0
    assert posts.search(Query(text=text, sort=sort)).total == 0
    assert posts.size() == 1


def test_title_is_searched_too(posts: Posts, post, judged) -> None:
    posts.put([judged(post("1", "正文", title="标题"))])
    assert ids(posts.search(Query(text="标题 正文"))) == ["1"]


def test_relevance_puts_the_closest_first(posts: Posts, post, judged) -> None:
    posts.put([judged(post(str(n), "提现 " + "别的 " * n)) for n in range(5)])
    page = posts.search(Query(text="提现", sort=Sort.RELEVANCE, limit=3))
    assert (page.total, ids(page)) == (5, ["0", "1", "2"])
    rest = posts.search(Query(text="提现", sort=Sort.RELEVANCE, limit=3, after=page.next))
    assert (ids(rest), rest.next) == (["3", "4"], "")


def test_pages_hold_while_posts_arrive(posts: Posts, post, judged, now) -> None:
    posts.put([judged(post(str(n), published_at=now - n * HOUR)) for n in range(5)])
    first = posts.search(Query(limit=2))
    posts.put([judged(post("new", published_at=now + HOUR))])
    second = posts.search(Query(limit=2, after=first.next))
    assert ids(first) + ids(second) == ["0", "1", "2", "3"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_pages_go_on_past_ten_thousand_posts_of_one_moment(posts: Posts, post, judged) -> None:
    made = [judged(post(str(n)), influence=float(n % 2)) for n in range(10_500)]
    for start in range(0, len(made), 3_500):
        posts.put(made[start : start + 3_500])
    expected = {
        Sort.NEWEST: sorted(each.post.id for each in made),
        Sort.INFLUENCE: [
            id_ for _, id_ in sorted((-each.assessment.influence, each.post.id) for each in made)
        ],
    }
    for sort, wanted in expected.items():
        found, after = [], ""
        while True:
            page = posts.search(Query(sort=sort, limit=5_000 if found else 10_000, after=after))
            assert page.total == len(made)
            found += [each.post.id for each in page.found]
            after = page.next
            if not after:
                break
        assert found == wanted
    last = posts.search(Query(limit=500, after=posts.search(Query(limit=10_000)).next))
    assert (len(last.found), last.next) == (500, "")


def test_copies_and_originals_are_told_apart_in_every_bucket(posts: Posts, post, judged, now) -> None:
    """A story counts once in a bucket, whether its first post is there, elsewhere, or not stored at all."""
    first = post("1")
    posts.put(
        [
            judged(first),
            judged(post("2", published_at=now + timedelta(minutes=1)), story=first.id),
            judged(post("3"), story=first.id, brands={"yunqiao": (POSITIVE, 0.1), "other": (NEGATIVE, 0.8)}),
            judged(post("4", published_at=now + timedelta(minutes=7)), story=first.id),
            judged(post("5", published_at=now + timedelta(minutes=7)), story=first.id),
            judged(post("6"), story="gone", topics=("w",)),
            judged(post("7"), story="gone", topics=("w",)),
            judged(post("8", published_at=now - timedelta(days=30))),
        ]
    )
    rows = posts.counts(since=now - timedelta(days=40), until=now + HOUR, step_s=300)
    assert [
        (row.bucket, row.brand, row.topic, row.posts, row.stories, row.negative_stories) for row in rows
    ] == [
        (now - timedelta(days=30), "yunqiao", "", 1, 1, 1),
        (now, "other", "", 1, 1, 1),
        (now, "yunqiao", "", 5, 2, 2),
        (now, "yunqiao", "w", 2, 1, 1),
        (now + timedelta(minutes=5), "yunqiao", "", 2, 1, 1),
    ]


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": -1}, {"limit": 10**9}, {"after": "x"}, {"after": "W10"}, {"after": "é"}]
)
def test_an_unreadable_query_is_refused(posts: Posts, query: dict) -> None:
    with pytest.raises(UsageError):
        posts.search(Query(**query))


def test_sentiment_is_towards_the_brand_asked_for(posts: Posts, post, judged) -> None:
    posts.put(
        [judged(post("1"), brands={"yunqiao": (NEGATIVE, 0.9), "other": (POSITIVE, 0.1)}, sentiment=NEUTRAL)]
    )
    assert posts.search(Query(brand="yunqiao", sentiment=NEGATIVE)).total == 1
    assert posts.search(Query(brand="other", sentiment=POSITIVE)).total == 1
    assert posts.search(Query(brand="other", sentiment=NEGATIVE)).total == 0
    assert posts.search(Query(sentiment=NEUTRAL)).total == 1
    assert posts.search(Query(sentiment=NEGATIVE)).total == 0


def test_two_names_of_one_brand_count_once_at_the_worse(posts: Posts, post, judged, now) -> None:
    one = judged(post("1"))
    entity = EntityJudgement(name="云桥", brand="yunqiao", sentiment=POSITIVE, probability=0.9, negative=0.0)
    again = TopicJudgement(id="w", stance=Stance.DENY, probability=0.3)
    assessment = replace(
        one.assessment,
        entities=(entity, *one.assessment.entities, entity),
        topics=(replace(again, stance=Stance.ASSERT), again),
    )
    posts.put([replace(one, assessment=assessment)])
    rows = posts.counts(since=now, until=now + HOUR, step_s=300)
    assert [(row.topic, row.posts, row.negative, row.negative_sum) for row in rows] == [
        ("", 1, 1, 0.9),
        ("w", 1, 1, 0.9),
    ]


def test_counts_by_bucket_brand_and_topic(posts: Posts, post, judged, now) -> None:
    minute = timedelta(minutes=1)
    posts.put(
        [
            judged(post("1"), topics=("w", "x"), story="s"),
            judged(post("2", published_at=now + 4 * minute), topics=("w",), story="s"),
            judged(post("3", published_at=now + 4 * minute), brands={"yunqiao": (POSITIVE, 0.05)}),
            judged(post("4", published_at=now + 5 * minute), brands={}),
            judged(post("5", published_at=now, date_only=True)),
            judged(post("6", published_at=now + HOUR)),
        ]
    )
    rows = posts.counts(since=now, until=now + HOUR, step_s=300)
    assert [
        (
            row.bucket,
            row.brand,
            row.topic,
            row.posts,
            row.negative,
            row.positive,
            row.stories,
            row.negative_stories,
        )
        for row in rows
    ] == [
        (now, "yunqiao", "", 3, 2, 1, 2, 1),
        (now, "yunqiao", "w", 2, 2, 0, 1, 1),
        (now, "yunqiao", "x", 1, 1, 0, 1, 1),
    ]
    assert rows[0].negative_sum == pytest.approx(1.85)
    assert [row.topic for row in posts.counts(since=now, until=now + HOUR, step_s=60, topics=False)] == [
        "",
        "",
    ]
    assert posts.counts(since=now, until=now + HOUR, step_s=300, brands=["other"]) == []
    assert posts.counts(since=now, until=now + HOUR, step_s=300, platform="guba") == []
    with pytest.raises(UsageError):
        posts.counts(since=now, until=now + HOUR, step_s=0)


def test_top_takes_one_post_of_a_story(posts: Posts, post, judged, now) -> None:
    posts.put([judged(post(str(n)), story="s", influence=float(n), topics=("w",)) for n in range(3)])
    posts.put([judged(post("9"), story="t", influence=1.5)])
    posts.put([judged(post("p"), brands={"yunqiao": (POSITIVE, 0.1)}, influence=20.0)])
    when = {"since": now, "until": now + HOUR}
    assert [each.post.native_id for each in posts.top(brand="yunqiao", **when)] == ["2", "9"]
    assert [each.post.native_id for each in posts.top(brand="yunqiao", per_story=2, **when)] == [
        "2",
        "9",
        "1",
    ]
    assert [each.post.native_id for each in posts.top(brand="yunqiao", topic="w", **when)] == ["2"]
    assert [each.post.native_id for each in posts.top(brand="yunqiao", sentiment=None, limit=1, **when)] == [
        "p"
    ]
    assert posts.top(brand="yunqiao", since=now - HOUR, until=now) == []


def test_forgetting_keeps_the_evidence(posts: Posts, post, judged, now) -> None:
    posts.put([judged(post(str(n), published_at=now - n * HOUR)) for n in range(1200)])
    kept = [post("700").id, post("0").id]
    assert posts.forget(before=now - HOUR, keep=kept) == 1197
    assert posts.forget(before=now - HOUR, keep=kept) == 0
    assert sorted(ids(posts.search(Query(text="提现")))) == ["0", "1", "700"]
    assert posts.engagement(post("5").id) == []
    posts.put([judged(post("5"))])
    assert posts.size() == posts.search(Query(text="提现")).total == 4


def test_a_batch_is_stored_wholly_or_not_at_all(posts: Posts, post, judged, now) -> None:
    posts.put([])
    with pytest.raises(Exception, match=r".+"):
        posts.put([judged(post("1")), judged(post("2"), influence=object())])
    assert posts.size() == posts.search(Query(text="提现")).total == 0


def test_what_no_store_can_hold_is_replaced(posts: Posts, post, judged) -> None:
    hostile = judged(post("1", "坏\x00 \ud800字", title="\udfff"), topics=("t\x00",), story="\ud800")
    posts.put([hostile, judged(post("2"))])
    assert posts.get(hostile.post.id).post.text == "坏\ufffd \ufffd字"
    assert posts.size() == 2
    assert ids(posts.search(Query(topic="t\x00"))) == ["1"]
    assert ids(posts.search(Query(story="\ud800"))) == ["1"]


def test_forgetting_an_author_erases_every_month(posts: Posts, post, judged, now) -> None:
    def by(key: str, native: str, **changes: object):
        return judged(post(native, author=Author(key=key), **changes))

    months = [by("a", str(n), published_at=now - n * 31 * 24 * HOUR) for n in range(3)]
    posts.put([*months, by("b", "other"), by("", "unknown")])
    assert posts.forget_author("nobody") == 0
    assert posts.forget_author("a") == 3
    assert posts.forget_author("a") == 0
    assert sorted(ids(posts.search(Query(text="提现")))) == ["other", "unknown"]
    assert posts.engagement(post("0").id) == []
    with pytest.raises(UsageError):
        posts.forget_author("")
    assert posts.size() == 2


def test_walking_meets_every_post_once_in_order_of_id(posts: Posts, post, judged, now) -> None:
    assert posts.walk() == []
    for hour, likes in enumerate((0, 2)):
        posts.put(
            [
                judged(post(str(n), fetched_at=now + hour * HOUR, engagement=Engagement(likes=likes)))
                for n in range(5)
            ]
        )
    met, after = [], ""
    while page := posts.walk(after=after, limit=2):
        met += page
        after = page[-1].judged.post.id
    assert [each.judged.post.id for each in met] == sorted(post(str(n)).id for n in range(5))
    assert met == posts.walk()
    for each in met:
        assert each.judged == posts.get(each.judged.post.id)
        assert list(each.versions) == posts.engagement(each.judged.post.id)
        assert [engagement.likes for _, engagement in each.versions] == [0, 2]


def test_restored_records_are_stored_exactly_so(new_posts, post, judged, now) -> None:
    one, other = new_posts(), new_posts()
    one.put([judged(post("1")), judged(post("2"), topics=("w",), story="s", influence=3.0)])
    one.put([judged(post("1", fetched_at=now + HOUR, engagement=Engagement(likes=10**30)))])
    other.put([judged(post("1", "另一个", published_at=now - 60 * 24 * HOUR, fetched_at=now + 9 * HOUR))])
    records = one.walk()
    for _ in range(2):
        other.restore(records)
        assert other.walk() == records
    other.restore([])
    when = {"since": now - 24 * HOUR, "until": now + 24 * HOUR, "step_s": 300}
    assert other.counts(**when) == one.counts(**when)
    assert other.search(Query(text="提现")) == one.search(Query(text="提现"))
    assert other.search(Query(text="另一个")).total == 0
    assert other.top(brand="yunqiao", since=now, until=now + HOUR) == one.top(
        brand="yunqiao", since=now, until=now + HOUR
    )


def test_a_sound_store_finds_nothing_wrong(posts: Posts, post, judged) -> None:
    posts.put([judged(post())])
    assert [each for each in posts.examine() if not each.ok] == []
    assert [each for each in posts.mend() if not each.ok] == []
    assert posts.size() == 1
