"""Every panel's question on a real Elasticsearch, against plain Python and against the SQLite store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.wire import PLATFORMS
from config.environment import shipped
from config.load import load
from deploy.kibana import names
from deploy.kibana.dashboards import dashboards
from deploy.kibana.panels import Layer, Panel, Terms
from deploy.kibana.replay import found, replay
from deploy.kibana.searches import SEARCHES
from domain.assessment import Sentiment
from store.posts import Query
from store.posts.sqlite import SqlitePosts
from tests.kibana import known
from tests.kibana.known import SINCE, UNTIL

PANELS = [
    pytest.param(panel, id=f"{dashboard.id}-{panel.id}")
    for dashboard in dashboards(names(load(shipped()), PLATFORMS))
    for panel in dashboard.panels
    if isinstance(panel, Panel)
]
POSTS = [known.flat(each) for each in known.judged()]
EVENTS = known.events()


def _significant(layer: Layer) -> bool:
    return any(isinstance(bucket, Terms) and bucket.by == "significance" for bucket in layer.buckets)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panels_numbers_are_those_of_plain_python(panel: Panel, ask: Callable) -> None:
    tables = replay(panel, ask, since=SINCE, until=UNTIL, prefix="known")
    since = UNTIL - timedelta(days=panel.days) if panel.days else SINCE
    assert len(tables) == len(panel.layers)
    for layer, table in zip(panel.layers, tables, strict=True):
        documents = EVENTS if layer.events else POSTS
        if _significant(layer):
            # Which terms stand out is Elasticsearch's to say; how often they occur is not.
            for term, count in table.rows:
                inside = [each for each in documents if term in each["assessment.keywords"]]
                plain = Layer(where=layer.where, measures=layer.measures)
                assert known.expected(plain, inside, SINCE, UNTIL) == [(count,)]
            continue
        wanted = known.expected(layer, documents, since, UNTIL)
        assert len(table.rows) == len(wanted) > 0
        for got, want in zip(table.rows, wanted, strict=True):
            assert all(map(_same, got, want)), f"{got} is not {want}"


def _same(got: Any, want: Any) -> bool:
    if isinstance(want, tuple):
        return want[0] <= got <= want[1]
    if isinstance(want, datetime):
        return abs(got - want) < timedelta(milliseconds=1)
    if got is None or want is None:
        # What is counted over nothing is nothing, or none of it.
        return got in (0, None) and want in (0, None)
    if isinstance(want, list):
        return got == want
    return got == pytest.approx(want)


def test_the_known_posts_fill_every_panel_with_something_to_compare(ask: Callable) -> None:
    """Guards the comparison above: two empty answers would agree on anything."""
    for param in PANELS:
        (panel,) = param.values
        tables = replay(panel, ask, since=SINCE, until=UNTIL, prefix="known")
        for layer, table in zip(panel.layers, tables, strict=True):
            assert any(any(row[len(layer.buckets) :]) for row in table.rows), panel.id


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.id)
def test_a_saved_search_finds_what_it_says(search: Any, ask: Callable) -> None:
    layer = Layer(where=search.where, measures=())
    documents = [
        each
        for each in (EVENTS if search.events else POSTS)
        if SINCE <= each["@timestamp"] < UNTIL and known._matching([each], layer.where)
    ]
    documents.sort(key=lambda each: (each[search.sort], each["@timestamp"]), reverse=True)
    rows = found(search, ask, since=SINCE, until=UNTIL, prefix="known", limit=10_000)
    assert len(rows) == len(documents) > 0
    for row, document in zip(rows, documents, strict=True):
        for name in search.columns:
            if isinstance(document.get(name), str):
                assert row.get(name, [""]) == [document[name]]


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = SqlitePosts(tmp_path_factory.mktemp("posts") / "posts.sqlite3", list)
    store.put(known.judged())
    yield store
    store.close()


def _panel(dashboard_id: str, panel_id: str) -> Panel:
    return next(p.values[0] for p in PANELS if p.id == f"{dashboard_id}-{panel_id}")


def test_the_numbers_of_the_overview_are_the_stores(sqlite: SqlitePosts, ask: Callable) -> None:
    week = timedelta(weeks=1)
    for panel, sentiment in (("posts", None), ("negatives", Sentiment.NEGATIVE)):
        (table,) = replay(_panel("overview", panel), ask, since=SINCE, until=UNTIL, prefix="known")
        totals = tuple(
            sqlite.search(Query(sentiment=sentiment, since=SINCE - ago, until=UNTIL - ago, limit=1)).total
            for ago in (timedelta(), week)
        )
        assert table.rows == (totals,)


def test_the_brands_are_counted_as_the_store_counts_them(sqlite: SqlitePosts, ask: Callable) -> None:
    def count(brand: str, sentiment: Sentiment | None = None) -> int:
        return sqlite.search(Query(brand=brand, sentiment=sentiment, since=SINCE, until=UNTIL, limit=1)).total

    total = {brand: count(brand) for brand in known.BRANDS}
    negative = {brand: count(brand, Sentiment.NEGATIVE) for brand in known.BRANDS}
    (voice,) = replay(_panel("competitors", "voice"), ask, since=SINCE, until=UNTIL, prefix="known")
    assert dict(voice.rows) == total
    towards = replay(_panel("competitors", "towards"), ask, since=SINCE, until=UNTIL, prefix="known")
    assert dict(towards[0].rows) == negative
    (shares,) = replay(_panel("competitors", "shares"), ask, since=SINCE, until=UNTIL, prefix="known")
    by_name = dict(zip(shares.columns, shares.rows[0], strict=True))
    own = names(load(shipped()), PLATFORMS).brands
    for brand in known.BRANDS:
        assert by_name[own[brand]] == pytest.approx(negative[brand] / total[brand])


def test_the_topics_of_a_day_are_those_of_the_stores_search(sqlite: SqlitePosts, ask: Callable) -> None:
    (heat,) = replay(_panel("crisis", "heat"), ask, since=SINCE, until=UNTIL, prefix="known")
    for topic, day, count in heat.rows:
        page = sqlite.search(
            Query(
                topic=topic,
                sentiment=Sentiment.NEGATIVE,
                since=max(day, SINCE),
                until=min(day + timedelta(days=1), UNTIL),
                limit=1,
            )
        )
        assert count == page.total


def test_the_most_influential_posts_are_the_stores(sqlite: SqlitePosts, ask: Callable) -> None:
    top = next(search for search in SEARCHES if search.id == "top")
    rows = found(top, ask, since=SINCE, until=UNTIL, prefix="known", limit=5)
    page = sqlite.search(Query(since=SINCE, until=UNTIL, sort="influence", limit=5))
    assert [row["post.text"][0] for row in rows] == [judged.post.text for judged in page.found]
