"""Search, counts and top of every posts store, beside plain Python over the same posts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.assessment import Sentiment
from store.posts import Judged, Posts, Query, Sort

START = datetime(2026, 11, 1, tzinfo=UTC)
WORDS, BRANDS, TOPICS, STORIES = ("甲", "乙", "丙", "Ｄ", "é"), ("b1", "b2"), ("t1", "t2"), ("", "s1", "s2")
NOVEL = st.fixed_dictionaries(
    {
        "native": st.integers(0, 8),
        "fetched": st.integers(0, 3),
        "minute": st.integers(0, 40),
        "words": st.lists(st.sampled_from(WORDS), min_size=1, max_size=5),
        "brands": st.dictionaries(
            st.sampled_from(BRANDS),
            st.tuples(st.sampled_from(list(Sentiment)), st.sampled_from([0.0, 0.25, 1.0])),
        ),
        "topics": st.lists(st.sampled_from(TOPICS), unique=True),
        "story": st.sampled_from(STORIES),
        "sentiment": st.sampled_from(list(Sentiment)),
        "influence": st.sampled_from([1.0, 2.5, 20.0]),
        "platform": st.sampled_from(["weibo", "guba"]),
        "source": st.sampled_from(["s1", "s2"]),
        "date_only": st.booleans(),
    }
)
QUERY = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["", "甲", "乙 甲", '"甲 乙"', "d", '"É" 丙']),
        "brand": st.sampled_from(["", *BRANDS]),
        "topic": st.sampled_from(["", *TOPICS]),
        "sentiment": st.sampled_from([None, *Sentiment]),
        "platform": st.sampled_from(["", "guba"]),
        "source": st.sampled_from(["", "s1"]),
        "story": st.sampled_from(["", "s1"]),
        "since": st.sampled_from([None, START + timedelta(minutes=10)]),
        "until": st.sampled_from([None, START + timedelta(minutes=30)]),
        "sort": st.sampled_from([Sort.NEWEST, Sort.OLDEST, Sort.INFLUENCE]),
        "limit": st.integers(1, 4),
    }
)


def build(post, judged, row: dict) -> Judged:
    made = post(
        str(row["native"]),
        " ".join(row["words"]),
        published_at=START + timedelta(minutes=row["minute"]),
        fetched_at=START + timedelta(hours=row["fetched"]),
        platform=row["platform"],
        source=row["source"],
        date_only=row["date_only"],
    )
    names = ("story", "sentiment", "influence")
    return judged(
        made, brands=row["brands"], topics=tuple(row["topics"]), **{name: row[name] for name in names}
    )


def latest(batches: list[list[Judged]]) -> dict[str, Judged]:
    """What should be stored."""
    from dataclasses import replace

    stored: dict[str, Judged] = {}
    for new in (each for batch in batches for each in batch):
        old = stored.get(new.post.id)
        if old is None:
            stored[new.post.id] = new
        elif new.post.fetched_at >= old.post.fetched_at:
            first = new.post if old.post.date_only and not new.post.date_only else old.post
            date = {"published_at": first.published_at, "date_only": first.date_only}
            stored[new.post.id] = replace(new, post=replace(new.post, **date))
    return stored


def words_of(text: str) -> list[str]:
    return [{"Ｄ": "d", "É": "é"}.get(word, word) for word in text.split()]


def has(text: str, wanted: str) -> bool:
    have = words_of(text)
    for number, part in enumerate(wanted.split('"')):
        need = words_of(part)
        if number % 2 and not any(have[k : k + len(need)] == need for k in range(len(have))):
            return False
        if not number % 2 and not set(need) <= set(have):
            return False
    return True


def towards(each: Judged, brand: str) -> tuple[Sentiment, float] | None:
    if not brand:
        return each.assessment.sentiment, 0.9
    return next(((e.sentiment, e.negative) for e in each.assessment.entities if e.brand == brand), None)


def matches(each: Judged, query: dict) -> bool:
    judgement = towards(each, query["brand"])
    at = each.post.published_at
    return (
        judgement is not None
        and has(each.post.text, query["text"])
        and query["sentiment"] in (None, judgement[0])
        and (not query["topic"] or query["topic"] in [t.id for t in each.assessment.topics])
        and query["platform"] in ("", each.post.platform)
        and query["source"] in ("", each.post.source)
        and query["story"] in ("", each.assessment.story or each.post.id)
        and (query["since"] is None or at >= query["since"])
        and (query["until"] is None or at < query["until"])
    )


ORDER: dict[Sort, Callable[[Judged], object]] = {
    Sort.NEWEST: lambda each: (-each.post.published_at.timestamp(), each.post.id),
    Sort.OLDEST: lambda each: (each.post.published_at.timestamp(), each.post.id),
    Sort.INFLUENCE: lambda each: (-each.assessment.influence, each.post.id),
}
BATCHES = st.lists(st.lists(NOVEL, max_size=8), min_size=1, max_size=3)
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


@pytest.fixture
def empty_posts(new_posts: Callable[[], Posts]) -> Callable[[], Posts]:
    """An empty store each time: the same one, emptied, for a server takes its time to make an index."""
    held: list[Posts] = []

    def make() -> Posts:
        if not held:
            held.append(new_posts())
        held[0].forget(before=START + timedelta(days=365))
        assert held[0].size() == 0
        return held[0]

    return make


@SETTINGS
@pytest.mark.timeout(1200)
@given(rows=BATCHES, queries=st.lists(QUERY, min_size=4, max_size=10))
def test_search_finds_what_plain_python_finds(
    empty_posts: Callable[[], Posts], post, judged, rows, queries
) -> None:
    posts, batches = empty_posts(), [[build(post, judged, row) for row in batch] for batch in rows]
    for batch in batches:
        posts.put(batch)
    stored = latest(batches)
    assert dict(posts.known(list(stored))) == stored
    for query in queries:
        expected = sorted(
            (each for each in stored.values() if matches(each, query)), key=ORDER[query["sort"]]
        )
        found, after = [], ""
        while True:
            page = posts.search(Query(**query, after=after))
            assert page.total == len(expected)
            found += page.found
            after = page.next
            if not after:
                break
            assert len(page.found) == query["limit"]
        assert found == expected
        ranked = posts.search(Query(**(query | {"sort": Sort.RELEVANCE, "limit": 100})))
        assert {each.post.id for each in ranked.found} == {each.post.id for each in expected}


@SETTINGS
@pytest.mark.timeout(1200)
@given(
    rows=BATCHES,
    step=st.sampled_from([60, 300, 420, 86400]),
    first=st.integers(0, 20),
    last=st.integers(15, 45),
    brand=st.sampled_from([None, "b1", "b2"]),
    platform=st.sampled_from(["", "guba"]),
    topics=st.booleans(),
)
def test_counts_are_what_plain_python_counts(
    empty_posts: Callable[[], Posts], post, judged, rows, step, first, last, brand, platform, topics
) -> None:
    posts, batches = empty_posts(), [[build(post, judged, row) for row in batch] for batch in rows]
    for batch in batches:
        posts.put(batch)
    since, until = START + timedelta(minutes=first), START + timedelta(minutes=last)
    groups: dict[tuple, list[tuple[Judged, Sentiment, float]]] = {}
    for each in latest(batches).values():
        at = each.post.published_at
        if each.post.date_only or not since <= at < until or platform not in ("", each.post.platform):
            continue
        bucket = datetime.fromtimestamp(at.timestamp() // step * step, UTC)
        for entity in each.assessment.entities:
            if brand in (None, entity.brand):
                for topic in ("", *(t.id for t in each.assessment.topics)) if topics else ("",):
                    key = (bucket, entity.brand, topic)
                    groups.setdefault(key, []).append((each, entity.sentiment, entity.negative))

    def stories(members: list[tuple[Judged, Sentiment, float]]) -> int:
        return len({each.assessment.story or each.post.id for each, _, _ in members})

    expected = []
    for key in sorted(groups):
        members = groups[key]
        negative = [member for member in members if member[1] is Sentiment.NEGATIVE]
        positive = [member for member in members if member[1] is Sentiment.POSITIVE]
        total = sum(member[2] for member in members)
        expected.append(
            (*key, len(members), len(negative), len(positive), stories(members), stories(negative), total)
        )
    found = posts.counts(
        since=since,
        until=until,
        step_s=step,
        brands=[brand] if brand else [],
        platform=platform,
        topics=topics,
    )
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
            row.negative_sum,
        )
        for row in found
    ] == expected
