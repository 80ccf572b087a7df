"""Every contract suite runs over each backend named here: a new backend is one more param and one more address."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from config.settings import Access
from deploy.engines.elasticsearch import ElasticsearchServer
from domain.alert import Alert, AlertState, Change, Level
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.incident import Incident, IncidentStatus, TimelineEvent
from domain.post import Post, post_id
from store.inbox import Inbox, open_inbox
from store.ledger import Ledger, Notification, open_ledger
from store.posts import Judged, Posts, open_posts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _address(backend: str, folder: Path, name: str) -> str:
    return {"sqlite": f"sqlite:///{folder}/{name}.db"}[backend]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(params=["sqlite", "redis"])
def new_inbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Inbox]]:
    """Opens one more empty inbox."""
    numbers, opened = itertools.count(), []

    def make() -> Inbox:
        if request.param == "redis":
            server = request.getfixturevalue("redis_server")
            access = Access(password=SecretStr(server.password))
            opened.append(open_inbox(f"{server.url}?prefix={secrets.token_hex(8)}", access))
        else:
            opened.append(open_inbox(_address(request.param, tmp_path, f"inbox-{next(numbers)}")))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def inbox(new_inbox: Callable[[], Inbox]) -> Inbox:
    return new_inbox()


def cut(text: str) -> list[str]:
    return [word.replace("‿", " ") for word in text.split()]


@pytest.fixture(params=["sqlite", "elasticsearch"])
def new_posts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Posts]]:
    """Opens one more empty posts store; words are cut at blanks, and compounds at the tie between their pieces."""
    numbers, opened = itertools.count(), []
    if request.param == "elasticsearch":
        server = request.getfixturevalue("elasticsearch_server")
        access, stem = Access(password=SecretStr(server.password)), f"{server.url}/t{uuid.uuid4().hex[:12]}-"
    else:
        access, stem = Access(), f"sqlite:///{tmp_path}/posts-"

    def make() -> Posts:
        opened.append(open_posts(f"{stem}{next(numbers)}", access, segment=cut))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
    if request.param == "elasticsearch":
        sweep(server, stem.rpartition("/")[2])


def sweep(server: ElasticsearchServer, prefix: str) -> None:
    """Delete every index and template of these tests."""
    with closing(
        Elasticsearch(f"http://127.0.0.1:{server.port}", basic_auth=("elastic", server.password))
    ) as client:
        names = client.indices.get(index=f"{prefix}*", features="aliases").body
        if names:
            client.indices.delete(index=list(names))
        client.options(ignore_status=404).indices.delete_index_template(name=f"{prefix}*")
        client.options(ignore_status=404).cluster.delete_component_template(name=f"{prefix}*")


@pytest.fixture
def posts(new_posts: Callable[[], Posts]) -> Posts:
    return new_posts()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("new_ledger_database")())
    return _address(request.param, tmp_path, "ledger")


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def ledger2(ledger: Ledger, ledger_url: str) -> Iterator[Ledger]:
    """The same ledger, as a second process sees it."""
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


def _post(native: str = "1", text: str = "云桥 提现 不了", **changes: object) -> Post:
    post = Post(
        id=post_id("weibo", native),
        platform="weibo",
        source="weibo-search",
        native_id=native,
        text=text,
        published_at=NOW,
        fetched_at=NOW,
    )
    return replace(post, **changes)


def _judged(
    post: Post,
    *,
    brands: dict[str, tuple[Sentiment, float]] | None = None,
    topics: tuple[str, ...] = (),
    **changes: object,
) -> Judged:
    named = {"yunqiao": (Sentiment.NEGATIVE, 0.9)} if brands is None else brands
    assessment = Assessment(
        post_id=post.id,
        model="m1",
        sentiment=Sentiment.NEGATIVE,
        probabilities={"negative": 0.9, "neutral": 0.1, "positive": 0.0},
        topics=tuple(TopicJudgement(id=topic, stance=Stance.ASSERT, probability=0.9) for topic in topics),
        entities=tuple(
            EntityJudgement(name=brand, brand=brand, sentiment=sentiment, probability=0.9, negative=negative)
            for brand, (sentiment, negative) in named.items()
        ),
    )
    return Judged(post=post, assessment=replace(assessment, **changes))


@pytest.fixture
def post() -> Callable[..., Post]:
    """Makes a post."""
    return _post


@pytest.fixture
def judged() -> Callable[..., Judged]:
    """Makes a judged post: ``brands`` maps a brand to sentiment and probability of being negative."""
    return _judged


@pytest.fixture
def alert() -> Callable[..., Alert]:
    """Makes an alert."""

    def make(id_: str = "a1", **changes: object) -> Alert:
        made = Alert(
            id=id_,
            fingerprint=f"f-{id_}",
            revision=1,
            change=Change.NEW,
            brand="yunqiao",
            topics=("withdrawal",),
            level=Level.ORANGE,
            score=71.5,
            reasons=(),
            state=AlertState.FIRING,
            onset=NOW,
            at=NOW,
            first_at=NOW,
            explanation="一句话",
            numbers={"tail": float("inf")},
        )
        return replace(made, **changes)

    return make


@pytest.fixture
def incident() -> Callable[..., tuple[Incident, TimelineEvent]]:
    """Makes an incident not yet opened, with its first event."""

    def make(**changes: object) -> tuple[Incident, TimelineEvent]:
        made = Incident(
            id="",
            brand="yunqiao",
            topic="withdrawal",
            level=Level.ORANGE,
            status=IncidentStatus.TRIAGE,
            opened_at=NOW,
            onset=NOW - timedelta(minutes=20),
            plan="run-on-withdrawals",
        )
        event = TimelineEvent(
            incident="", at=NOW, actor="rule:open", kind="opened", after={"level": "orange"}
        )
        return replace(made, **changes), event

    return make


@pytest.fixture
def notification() -> Callable[..., Notification]:
    """Makes a message."""

    def make(id_: str = "n1", **changes: object) -> Notification:
        made = Notification(
            id=id_,
            channel="email",
            recipient="pr@example.com",
            subject="【橙】云桥金融",
            body=b"Subject: x\r\n\r\n\x00\xff",
            alert="a1",
            revision=1,
            incident="INC-20261122-001",
            route="pr",
            created_at=NOW,
            not_before=NOW,
            level=Level.ORANGE,
        )
        return replace(made, **changes)

    return make
