"""What Elasticsearch keeps of the events: each once, in its newest version, in fields that are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from config.settings import Access
from deploy.engines.elasticsearch import ElasticsearchServer
from domain.errors import ConfigError, StoreError
from store.events import Event, Events, open_events

AT = datetime(2025, 12, 31, 23, tzinfo=UTC)
_numbers = itertools.count()


@pytest.fixture
def prefix() -> str:
    return f"events-{next(_numbers)}"


@pytest.fixture
def open_(elasticsearch_server: ElasticsearchServer, prefix: str) -> Iterator[Callable[..., Events]]:
    opened: list[Events] = []

    def make(url: str = "", password: str = elasticsearch_server.password) -> Events:
        address = url or f"{elasticsearch_server.url}/{prefix}"
        events = open_events(address, Access(password=SecretStr(password)))
        assert events is not None
        opened.append(events)
        return events

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def client(elasticsearch_server: ElasticsearchServer) -> Iterator[Elasticsearch]:
    """A client that is not ours."""
    url = f"http://127.0.0.1:{elasticsearch_server.port}"
    with Elasticsearch(url, basic_auth=("elastic", elasticsearch_server.password)) as opened:
        yield opened


def event(id_: str = "incident:1", **changes: Any) -> Event:
    made = Event(
        id=id_,
        kind="incident",
        at=AT,
        version=1,
        body={"brand": {"id": "yunqiao"}, "level": "red", "incident": {"id": "1", "closed_at": None}},
    )
    return replace(made, **changes)


def test_events_are_kept_once_in_their_newest_version(
    open_: Callable[..., Events], client: Elasticsearch, prefix: str
) -> None:
    events = open_()
    assert not events.any()
    newer = event(version=2, body={"incident": {"id": "1", "status": "closed"}})
    step = event("timeline:1:1", kind="timeline", version=None, at=AT.replace(year=2026))
    events.put([event(), step])
    events.put([newer])
    events.put([event(), step])
    assert events.any()
    client.indices.refresh(index=f"{prefix}-events")
    hits = client.search(index=f"{prefix}-events", sort="event.id")["hits"]["hits"]
    assert [(hit["_index"], hit["_id"]) for hit in hits] == [
        (f"{prefix}-events-v1-2025", "incident:1"),
        (f"{prefix}-events-v1-2026", "timeline:1:1"),
    ]
    assert hits[0]["_source"] == {
        "@timestamp": AT.isoformat(),
        "event": {"id": "incident:1", "kind": "incident"},
        "incident": {"id": "1", "status": "closed"},
    }
    assert hits[1]["_source"]["level"] == "red"


def test_more_events_than_one_request_takes(
    open_: Callable[..., Events], client: Elasticsearch, prefix: str
) -> None:
    open_().put([event(f"e{n}") for n in range(1234)])
    client.indices.refresh(index=f"{prefix}-events")
    assert client.count(index=f"{prefix}-events")["count"] == 1234


def test_a_field_that_nobody_knows_is_refused_by_name(open_: Callable[..., Events]) -> None:
    with pytest.raises(StoreError, match=r"incident:9.*nonsense") as caught:
        open_().put([event(), event("incident:9", body={"nonsense": 1})])
    assert caught.value.permanent


def test_the_template_is_looked_after(
    open_: Callable[..., Events], client: Elasticsearch, prefix: str
) -> None:
    events = open_()
    assert [(finding.ok, finding.mendable) for finding in events.examine()] == [(False, True)]
    assert [finding.ok for finding in events.mend()] == [True]
    assert [finding.ok for finding in events.examine()] == [True]
    assert events.mend() == []
    found = client.indices.get_index_template(name=f"{prefix}-events").body["index_templates"]
    held = found[0]["index_template"]
    held["template"]["mappings"]["dynamic"] = "true"
    client.indices.put_index_template(
        name=f"{prefix}-events",
        index_patterns=held["index_patterns"],
        priority=held["priority"],
        template=held["template"],
        meta=held["_meta"],
        version=held["version"],
    )
    (finding,) = events.examine()
    assert (finding.ok, finding.mendable, finding.text) == (False, True, "被改过")
    events.mend()
    assert [finding.ok for finding in events.examine()] == [True]


def test_a_wrong_password_is_said_without_it(open_: Callable[..., Events]) -> None:
    events = open_(password="hunter2")
    with pytest.raises(StoreError, match="密码") as caught:
        events.put([event()])
    assert caught.value.permanent
    assert "hunter2" not in str(caught.value)
    assert [finding.ok for finding in events.examine()] == [False]


def test_a_server_that_is_away_is_said_soon_and_may_come_back(open_: Callable[..., Events]) -> None:
    events = open_(url="elasticsearch://elastic@127.0.0.1:9/x")
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9") as caught:
        events.any()
    assert not caught.value.permanent


def test_embedded_posts_have_no_events_beside_them() -> None:
    assert open_events("sqlite:////tmp/posts.sqlite3") is None
    with pytest.raises(ConfigError):
        open_events("elasticsearch://host/UPPER")
