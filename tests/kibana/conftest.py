"""An Elasticsearch with known posts and events, mapped as ours are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.resources import files
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from app.wire import PLATFORMS
from config.environment import shipped
from config.load import load
from deploy.engines.elasticsearch import ElasticsearchServer
from deploy.kibana import names
from deploy.kibana.panels import Names
from store.posts import Judged, Record
from store.posts.elasticsearch.documents import Entry, source
from tests.kibana import known

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def own_names() -> Names:
    """Those of the configuration that comes along."""
    return names(load(shipped()), PLATFORMS)


def _mappings(*path: str) -> dict[str, Any]:
    document = json.loads(files("deploy").joinpath("elasticsearch", *path).read_text("utf-8"))
    return document["template"]["mappings"]


@pytest.fixture(scope="session")
def client(elasticsearch_server: ElasticsearchServer) -> Iterator[Elasticsearch]:
    """A client of the tests' server."""
    with Elasticsearch(
        f"http://127.0.0.1:{elasticsearch_server.port}",
        basic_auth=("elastic", elasticsearch_server.password),
        request_timeout=120,
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
def ask(client: Elasticsearch) -> Ask:
    """Asks the server, which holds the known posts and events under the prefix ``known``."""
    for name, mappings, documents in (
        ("posts", _mappings("posts-mappings.json"), map(_document, known.judged())),
        ("events", _mappings("events", "template.json"), map(_event, known.events())),
    ):
        index = f"known-{name}-v1"
        client.indices.create(
            index=index, mappings=mappings, settings={"number_of_replicas": 0}, aliases={f"known-{name}": {}}
        )
        bulk(client, ({"_index": index, "_source": each} for each in documents), refresh=True)

    def asked(index: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict(client.search(index=index, body=body))

    return asked


def _document(judged: Judged) -> dict[str, Any]:
    """As the store writes it."""
    ingested = judged.post.fetched_at + known.TAKEN_IN
    return json.loads(source(Entry(record=Record(judged=judged, versions=()), tokens="", ingested=ingested)))


def _event(document: known.Flat) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in document.items()
    }
