"""An operator's way from the embedded stores to the engines: migrate, doctor, status, on real servers."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from pydantic import SecretStr
from typer.testing import CliRunner

from app.cli import cli
from app.sandbox.mailbox import Mailbox
from app.wire import App
from config.settings import Access
from deploy.engines.elasticsearch import ElasticsearchServer
from deploy.engines.postgresql import PostgresqlServer
from deploy.engines.redis import RedisServer
from domain.assessment import Assessment, Sentiment
from domain.errors import StoreError
from domain.post import Engagement, Post, post_id
from domain.source_run import Outcome, SourceRun
from store.ledger import AuditEntry
from store.posts import Judged, Posts, open_posts
from tests.app.killing import killed_until_done

NOW = datetime.now(UTC)
CHILD = Path(__file__).with_name("migrating.py")
SECRET = "geheim-0123456789"


def judged(n: int, *, likes: int = 0, fetched: timedelta = timedelta()) -> Judged:
    post = Post(
        id=post_id("weibo", str(n)),
        platform="weibo",
        source="import",
        native_id=str(n),
        text=f"第{n}天 提现 不到账",
        published_at=NOW - timedelta(hours=20 * n),
        fetched_at=NOW + fetched,
        date_only=n % 5 == 0,
        engagement=Engagement(likes=likes),
    )
    assessment = Assessment(
        post_id=post.id,
        model="m1",
        sentiment=Sentiment.NEGATIVE,
        probabilities={"negative": 0.9, "neutral": 0.1, "positive": 0.0},
    )
    return Judged(post=post, assessment=assessment)


def fill(posts: Posts) -> None:
    posts.put([judged(n) for n in range(130)])
    posts.put([judged(n, likes=n + 1, fetched=timedelta(hours=1)) for n in range(0, 130, 3)])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An embedded installation with a history."""
    for name in [name for name in os.environ if name.startswith("YUJING_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("YUJING_HOME", str(folder))
    with closing(App.from_environment(os.environ)) as app:
        fill(app.posts)
        for n in range(450):
            app.ledger.audit.record(AuditEntry(at=NOW, actor="王芳", action="test", subject=f"第 {n} 件 😀"))
        app.ledger.states.save("baseline", {"云桥": {"level": 0.1, "nested": [1, None]}})
        app.ledger.source_runs.record(
            SourceRun(source="w", started_at=NOW, ended_at=NOW, outcome=Outcome.RESULTS)
        )
    return folder


@pytest.fixture
def ledger_url(new_ledger_database: Callable[[], str], postgresql_server: PostgresqlServer) -> str:
    """An empty ledger's address, without the password."""
    return new_ledger_database().replace(f":{postgresql_server.password}@", "@")


@pytest.fixture
def posts_url(elasticsearch_server: ElasticsearchServer) -> Iterator[str]:
    """Indices of one's own."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    yield f"{elasticsearch_server.url}/{prefix}"
    with closing(_client(elasticsearch_server)) as client:
        names = client.indices.get(index=f"{prefix}*", features="aliases").body
        if names:
            client.indices.delete(index=list(names))
        client.options(ignore_status=404).indices.delete_index_template(name=f"{prefix}*")
        client.options(ignore_status=404).cluster.delete_component_template(name=f"{prefix}*")


def _client(server: ElasticsearchServer) -> Elasticsearch:
    return Elasticsearch(f"http://127.0.0.1:{server.port}", basic_auth=("elastic", server.password))


def yujing(*arguments: str, fails: bool = False) -> str:
    done = CliRunner().invoke(cli, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == int(fails), done.output
    return done.stdout


def found(out: str) -> dict[str, list[dict[str, object]]]:
    """Findings of ``doctor --json`` by the store they are about."""
    rows = [json.loads(line) for line in out.splitlines()]
    return {
        what: [row for row in rows if row["subject"].startswith(what)]
        for what in ("收件箱", "帖子库", "台账")
    }


@pytest.mark.slow
def test_from_embedded_stores_to_engines(
    home: Path,
    tmp_path: Path,
    posts_url: str,
    elasticsearch_server: ElasticsearchServer,
    redis_server: RedisServer,
    ledger_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = json.loads(yujing("status", "--json"))
    audit = yujing("migrate", "ledger", "--to", f"sqlite:///{tmp_path}/copy.db")
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text(f"{elasticsearch_server.password}\n")
    monkeypatch.setenv("YUJING_TO_PASSWORD_FILE", str(password))
    assert "两边各 130 条" in yujing("migrate", "posts", "--to", posts_url)
    said = yujing("migrate", "ledger", "--to", ledger_url)
    digests = [line for line in said.splitlines() if "摘要" in line]
    assert digests == [line for line in audit.splitlines() if "摘要" in line], "the same on every engine"
    assert f"YUJING_LEDGER_URL={ledger_url}\n" in said and f"YUJING_LEDGER_PASSWORD_FILE={password}\n" in said
    assert "逐表核对一致" in yujing("migrate", "ledger", "--to", ledger_url), "asked for again"
    assert "逐条核对一致" in yujing("migrate", "posts", "--to", posts_url, "--verify-only")
    assert "逐表核对一致" in yujing("migrate", "ledger", "--to", ledger_url, "--verify-only")

    monkeypatch.delenv("YUJING_TO_PASSWORD_FILE")
    engines = {
        "YUJING_POSTS_URL": posts_url,
        "YUJING_LEDGER_URL": ledger_url,
        "YUJING_INBOX_URL": f"{redis_server.url}?prefix={uuid.uuid4().hex}",
    }
    (home / "settings.env").touch(mode=0o600)
    (home / "settings.env").write_text(
        "".join(
            f"{name}={url}\n{name.removesuffix('_URL')}_PASSWORD_FILE={password}\n"
            for name, url in engines.items()
        )
    )
    with Mailbox(tmp_path / "mail") as box:
        monkeypatch.setenv("YUJING_SMTP_URL", box.url)
        looked = yujing("doctor", "--fix", "--json")
    assert all(found(looked).values())
    after = json.loads(yujing("status", "--json"))
    assert set(before) <= set(after)
    assert (after["posts"], after["sources"]) == (before["posts"], before["sources"])
    assert {name: engine["kind"] for name, engine in after["engines"].items()} == {
        "inbox": "redis",
        "posts": "elasticsearch",
        "ledger": "postgresql+psycopg",
    }
    assert "engines" not in looked + said + str(after["engines"].values()), "the password of all three"


@pytest.mark.slow
def test_a_template_that_is_gone_is_found_and_put_back(
    home: Path,
    posts_url: str,
    elasticsearch_server: ElasticsearchServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("YUJING_POSTS_URL", posts_url)
    monkeypatch.setenv("YUJING_POSTS_PASSWORD", elasticsearch_server.password)
    assert all(row["ok"] for row in found(yujing("doctor", "--json", fails=True))["帖子库"])
    prefix = posts_url.rpartition("/")[2]
    with closing(_client(elasticsearch_server)) as client:
        (name,) = (
            each["name"]
            for each in client.indices.get_index_template(name=f"{prefix}-posts*")["index_templates"]
        )
        template = client.indices.get_index_template(name=name)["index_templates"][0]["index_template"]
        client.indices.put_index_template(name=name, body={**template, "priority": 1})
    (drifted,) = [row for row in found(yujing("doctor", "--json", fails=True))["帖子库"] if not row["ok"]]
    assert drifted["mendable"]
    mended = found(yujing("doctor", "--fix", "--json", fails=True))["帖子库"]
    assert all(row["ok"] for row in mended)
    assert any("重新安装" in str(row["text"]) for row in mended)


@pytest.mark.slow
def test_wrong_passwords_are_said_and_not_shown(
    home: Path,
    tmp_path: Path,
    posts_url: str,
    ledger_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("YUJING_TO_PASSWORD", SECRET)
    for what, url in (("posts", posts_url), ("ledger", ledger_url)):
        with pytest.raises(StoreError) as caught:
            yujing("migrate", what, "--to", url)
        assert SECRET not in str(caught.value)
    monkeypatch.setenv("YUJING_POSTS_URL", posts_url)
    monkeypatch.setenv("YUJING_POSTS_PASSWORD", SECRET)
    monkeypatch.setenv("YUJING_LEDGER_URL", ledger_url)
    monkeypatch.setenv("YUJING_LEDGER_PASSWORD", SECRET)
    looked, state = yujing("doctor", "--json", fails=True), yujing("status", "--json", fails=True)
    for store in ("帖子库", "台账"):
        (row,) = found(looked)[store]
        assert not row["ok"]
    engines = json.loads(state)["engines"]
    assert engines["posts"]["error"] and engines["ledger"]["error"] and not engines["inbox"]["error"]
    assert SECRET not in looked + state


@pytest.mark.slow
def test_killed_again_and_again_the_cluster_ends_with_all_of_it(
    home: Path, tmp_path: Path, posts_url: str, elasticsearch_server: ElasticsearchServer
) -> None:
    source = f"sqlite:///{home}/posts.sqlite3"
    last = killed_until_done(
        [sys.executable, CHILD, tmp_path / "migrate", source, posts_url],
        kills=3,
        within_s=0.02,
        environment={"YUJING_TO_PASSWORD": elasticsearch_server.password},
    )
    assert last.split()[2:] == ["130", "True"]
    access = Access(password=SecretStr(elasticsearch_server.password))
    with (
        closing(open_posts(source, segment=str.split)) as ours,
        closing(open_posts(posts_url, access, segment=str.split)) as theirs,
    ):
        assert theirs.walk(limit=1000) == ours.walk(limit=1000)
