"""The posts on Elasticsearch when servers, networks and people fail: nothing lost or doubled, a word that helps."""

from __future__ import annotations

import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from app.worker import Worker
from config.settings import Access
from deploy.engines import free_port
from deploy.engines.elasticsearch import ElasticsearchServer
from domain.assessment import Assessment, EntityJudgement, Sentiment
from domain.errors import ConfigError, RefusedError, StoreError
from domain.post import Engagement, Post
from store.inbox import open_inbox
from store.posts import Judged, Posts, Query, open_posts
from store.posts.elasticsearch.connection import Cluster, address
from store.posts.elasticsearch.posts import ElasticPosts

pytestmark = pytest.mark.timeout(900)
LONG_S = 240.0
"""Longest wait for a server that comes back or a disk that is looked at."""


class Proxy:
    """Passes a port on to another, as badly as it is told.

    ``cut_request``: close after so many bytes of requests; ``cut_answer``: swallow the next so many answers and close;
    ``delay_s``: before each piece of an answer. ``tls`` is what clients meet.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.target, self.tls = target, tls
        self.cut_request: int | None = None
        self.cut_answer = 0
        self.delay_s = 0.0
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        # Closing alone does not wake a thread that waits in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            self._end(each)
        for thread in self._threads:
            thread.join(30)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(near)
            try:
                if self.tls:
                    self._open.discard(near)
                    near = self.tls.wrap_socket(near, server_side=True)
                    self._open.add(near)
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                self._end(near)
                continue
            self._open.add(far)
            for run in (self._requests, self._answers):
                thread = threading.Thread(target=run, args=(near, far), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while data := near.recv(65536):
                if self.cut_request is not None:
                    if len(data) >= self.cut_request:
                        far.sendall(data[: self.cut_request])
                        self.cut_request = None
                        self.cuts += 1
                        break
                    self.cut_request -= len(data)
                far.sendall(data)
        self._end(near, far)

    def _answers(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while data := far.recv(65536):
                if self.cut_answer:
                    self.cut_answer -= 1
                    self.cuts += 1
                    break
                time.sleep(self.delay_s)
                near.sendall(data)
        self._end(near, far)

    def _end(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            self._open.discard(each)


@pytest.fixture
def prefix(elasticsearch_server: ElasticsearchServer) -> Iterator[str]:
    name = f"f{uuid.uuid4().hex[:12]}"
    yield name
    with client(elasticsearch_server) as opened:
        if names := opened.indices.get(index=f"{name}*", features="aliases").body:
            opened.indices.delete(index=list(names))
        opened.options(ignore_status=404).indices.delete_index_template(name=f"{name}*")
        opened.options(ignore_status=404).cluster.delete_component_template(name=f"{name}*")


@pytest.fixture
def proxied(elasticsearch_server: ElasticsearchServer) -> Iterator[Proxy]:
    with closing(Proxy(elasticsearch_server.port)) as opened:
        yield opened


@pytest.fixture
def opened(elasticsearch_server: ElasticsearchServer, prefix: str) -> Iterator[Callable[..., ElasticPosts]]:
    """Opens the posts, straight or through another port; ``options`` are those of ``Cluster``."""
    made: list[ElasticPosts] = []

    def make(
        port: int = 0, *, segment: Callable[[str], list[str]] = str.split, **options: float
    ) -> ElasticPosts:
        at = address(f"elasticsearch://127.0.0.1:{port or elasticsearch_server.port}/{prefix}", "")
        cluster = Cluster(at, access(elasticsearch_server.password), **options)
        made.append(ElasticPosts(cluster, segment))
        return made[-1]

    yield make
    for each in made:
        each.close()


def access(password: str = "", **more: object) -> Access:
    return Access(password=SecretStr(password), **more)


def client(server: ElasticsearchServer) -> closing[Elasticsearch]:
    user = ("elastic", server.password) if server.password else None
    return closing(Elasticsearch(f"http://127.0.0.1:{server.port}", basic_auth=user, request_timeout=60))


def whole(posts: Posts, judged: Sequence[Judged]) -> None:
    """Every post is there once, under its newest words, with each engagement version once."""
    assert posts.size() == len(judged)
    assert dict(posts.known([each.post.id for each in judged])) == {each.post.id: each for each in judged}
    for record in posts.walk(limit=len(judged)):
        assert list(record.versions) == [(record.judged.post.fetched_at, record.judged.post.engagement)]


def insist(posts: Posts, batch: Sequence[Judged]) -> int:
    """Put as the worker does: again and again while the trouble passes; returns how often it failed."""
    deadline, failed = time.monotonic() + LONG_S, 0
    while True:
        try:
            posts.put(batch)
            return failed
        except StoreError as error:
            assert not error.permanent, str(error)
            assert time.monotonic() < deadline
            failed += 1
            time.sleep(0.2)


def refused(call: Callable[[], object], *, permanent: bool, secrets: Sequence[str] = ()) -> str:
    with pytest.raises(StoreError) as caught:
        call()
    text = str(caught.value)
    assert caught.value.permanent is permanent
    assert "\n" not in text and "Elasticsearch" in text
    for each in secrets:
        assert each not in text
    return text


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_goes_away_and_comes_back_loses_and_doubles_nothing(
    elasticsearch_server: ElasticsearchServer, opened, post, judged, end: str
) -> None:
    posts = opened(patience_s=1.0)
    batches = [[judged(post(f"{n}-{k}")) for k in range(20)] for n in range(30)]
    started, failed = threading.Event(), 0

    def outage() -> None:
        started.wait(LONG_S)
        getattr(elasticsearch_server, end)()
        elasticsearch_server.start()

    breaker = threading.Thread(target=outage)
    breaker.start()
    for number, batch in enumerate(batches):
        failed += insist(posts, batch)
        if number == 3:
            started.set()
        if number > 3 and breaker.is_alive() and not failed:
            time.sleep(0.2)
    breaker.join()
    assert failed
    whole(posts, [each for batch in batches for each in batch])


@pytest.mark.parametrize("way", ["request", "answer"])
def test_a_connection_cut_in_the_middle_of_a_bulk_is_mended_by_trying_again(
    proxied: Proxy, opened, post, judged, way: str
) -> None:
    posts = opened(proxied.port)
    posts.put([judged(post("first"))])
    batch = [judged(post(str(n), "云桥 提现 不了 " * 200)) for n in range(300)]
    texts = iter(range(10**6))

    def arm(text: str) -> list[str]:
        # Words are cut after what is known was read and before the bulk request is sent.
        if next(texts) == 299:
            proxied.cut_request, proxied.cut_answer = (200_000, 0) if way == "request" else (None, 1)
        return text.split()

    posts = opened(proxied.port, segment=arm)
    posts.put(batch)
    assert proxied.cuts == 1
    whole(posts, [judged(post("first")), *batch])


def test_slow_answers_end_in_an_error_that_passes_and_not_in_copies(
    proxied: Proxy, opened, post, judged
) -> None:
    posts = opened(proxied.port, timeout_s=5.0, patience_s=0.5)
    batch = [judged(post(str(n))) for n in range(50)]
    insist(posts, batch[:25])
    proxied.delay_s = 12.0
    text = refused(lambda: posts.put(batch), permanent=False)
    assert "没有按时回答" in text
    proxied.delay_s = 0.0
    insist(posts, batch)
    whole(posts, batch)


def test_a_read_only_index_keeps_posts_in_the_inbox_and_is_found(
    elasticsearch_server: ElasticsearchServer, opened, post, judged, prefix: str
) -> None:
    posts = opened(patience_s=0.5)
    posts.put([judged(post("1"))])
    with client(elasticsearch_server) as admin:
        admin.indices.put_settings(
            index=f"{prefix}-posts", settings={"index.blocks.read_only_allow_delete": True}
        )
        text = refused(lambda: posts.put([judged(post("2"))]), permanent=False)
        assert "只读" in text and "磁盘" in text
        assert posts.size() == 1
        assert [each.subject for each in posts.examine() if not each.ok] == ["帖子索引的写入"]
        admin.indices.put_settings(
            index=f"{prefix}-posts", settings={"index.blocks.read_only_allow_delete": None}
        )
    posts.put([judged(post("2"))])
    whole(posts, [judged(post("1")), judged(post("2"))])


@pytest.mark.slow
def test_an_index_without_a_live_shard_is_trouble_and_not_calm(
    elasticsearch_server: ElasticsearchServer, opened, post, judged, prefix: str
) -> None:
    posts = opened(patience_s=0.5)
    posts.put([judged(post("1"))])
    january, place = f"{prefix}-posts-v1-2026.01", "index.routing.allocation.require._name"
    with client(elasticsearch_server) as admin:
        admin.indices.create(index=january, settings={place: "nowhere"}, wait_for_active_shards="0")
        for ask in (
            posts.size,
            lambda: posts.known(["1"]),
            lambda: posts.search(Query()),
            lambda: posts.forget(before=datetime(2026, 2, 1, tzinfo=UTC), keep=["1"]),
        ):
            refused(ask, permanent=False)
        admin.indices.put_settings(index=january, settings={place: None})
        admin.cluster.health(index=january, wait_for_status="yellow")
    whole(posts, [judged(post("1"))])


@pytest.mark.slow
def test_a_disk_at_its_flood_stage_stops_the_intake_until_there_is_room(
    elasticsearch_server: ElasticsearchServer, opened, post, judged
) -> None:
    posts = opened(patience_s=0.5)
    done = [judged(post("0"))]
    posts.put(done)
    disk = "cluster.routing.allocation.disk"
    full = {f"{disk}.watermark.{stage}": "900tb" for stage in ("low", "high", "flood_stage")}
    full |= {f"{disk}.threshold_enabled": "true", "cluster.info.update.interval": "10s"}
    with client(elasticsearch_server) as admin:
        try:
            admin.cluster.put_settings(persistent=full)
            deadline = time.monotonic() + LONG_S
            while True:
                one = judged(post(str(len(done))))
                try:
                    posts.put([one])
                except StoreError as error:
                    assert not error.permanent and "只读" in str(error)
                    break
                done.append(one)
                assert time.monotonic() < deadline, "the flood stage was never reached"
                time.sleep(1)
            # Room again: Elasticsearch takes its block away by itself, once its watermarks are met.
            room = {name: "1kb" for name in full if "watermark" in name}
            admin.cluster.put_settings(persistent=full | room)
            insist(posts, [one])
        finally:
            admin.cluster.put_settings(persistent=dict.fromkeys(full))
    whole(posts, [*done, one])


def test_wrong_credentials_say_so_and_show_none(elasticsearch_server: ElasticsearchServer) -> None:
    url = elasticsearch_server.url
    wrong = [
        access("wr0ng-pass"),
        access(elasticsearch_server.password, api_key=SecretStr("d3Jvbmc6a2V5")),
        access(),
    ]
    for each in wrong:
        secrets = [s for s in (each.password.get_secret_value(), each.api_key.get_secret_value()) if s]
        text = refused(
            lambda each=each: open_posts(url, each, segment=str.split), permanent=True, secrets=secrets
        )
        assert "密码" in text


def test_an_address_that_cannot_be_used_is_a_config_error_without_it() -> None:
    for url in (
        "elasticsearch://u:s3cret@host/x",
        "elasticsearch://",
        "elasticsearch://host:port",
        "elasticsearch://host/Bad*s3cret",
        "elasticsearch://host/a/b",
        "https://host/x?s3cret",
        "https://[s3cret",
        "elastic://s3cret@host",
    ):
        with pytest.raises(ConfigError) as caught:
            open_posts(url, segment=str.split)
        assert "s3cret" not in str(caught.value) and "\n" not in str(caught.value)


def test_nobody_at_the_address() -> None:
    port = free_port()
    cluster = Cluster(address(f"elasticsearch://127.0.0.1:{port}", ""), Access(), patience_s=0.5)
    text = refused(lambda: ElasticPosts(cluster, str.split), permanent=False)
    assert f"127.0.0.1:{port}" in text and "连不上" in text
    cluster.close()


@pytest.mark.parametrize(
    ("headers", "version", "said"),
    [
        ({"X-Elastic-Product": "Elasticsearch"}, "7.17.29", "7.17.29"),
        ({"X-Elastic-Product": "Elasticsearch"}, "8.6.2", "8.6.2"),
        ({"X-Elastic-Product": "Elasticsearch"}, "9.1.0", "9.1.0"),
        ({}, "2.11.0", "不是 Elasticsearch"),
    ],
)
def test_another_version_or_another_product_is_refused(headers: dict, version: str, said: str) -> None:
    class Other(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = f'{{"nodes": {{"n": {{"version": "{version}"}}}}}}'.encode()
            self.send_response(200)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with closing_server(ThreadingHTTPServer(("127.0.0.1", 0), Other)) as server:
        url = f"elasticsearch://127.0.0.1:{server.server_port}"
        text = refused(lambda: open_posts(url, segment=str.split), permanent=True)
    assert said in text


class closing_server(closing):
    """Serves in a thread, and ends."""

    def __enter__(self) -> ThreadingHTTPServer:
        self._thread = threading.Thread(target=self.thing.serve_forever)
        self._thread.start()
        return self.thing

    def __exit__(self, *_: object) -> None:
        self.thing.shutdown()
        self._thread.join()
        self.thing.server_close()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    import ipaddress

    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / f"{name}.pem", folder / f"{name}.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pem, secret


def test_tls_trusts_the_authority_given_and_nobody_else(
    elasticsearch_server: ElasticsearchServer, prefix: str, tmp_path: Path, post, judged
) -> None:
    (ca, key), (other, _) = certificate(tmp_path, "ours"), certificate(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    password = elasticsearch_server.password
    with closing(Proxy(elasticsearch_server.port, context)) as proxy:
        url = f"https://127.0.0.1:{proxy.port}/{prefix}"
        posts = open_posts(url, access(password, ca=ca), segment=str.split)
        posts.put([judged(post())])
        whole(posts, [judged(post())])
        assert "TLS" in posts.examine()[0].text
        posts.close()
        for wrong in (other, None):
            given = access(password, ca=wrong)
            text = refused(
                lambda given=given: open_posts(url, given, segment=str.split),
                permanent=True,
                secrets=[password],
            )
            assert "TLS" in text and "CA" in text
    with pytest.raises(ConfigError, match="CA"):
        open_posts(url, access(password, ca=tmp_path / "none.pem"), segment=str.split)
    text = refused(
        lambda: open_posts(
            f"https://127.0.0.1:{elasticsearch_server.port}", access(password), segment=str.split
        ),
        permanent=True,
    )
    assert "elasticsearch://" in text


@pytest.fixture
def hostile(post, judged) -> Judged:
    """A post with more brands than an index takes nested documents."""
    entity = EntityJudgement(name="n", sentiment=Sentiment.NEUTRAL, probability=1.0, negative=0.0)
    one = judged(post("hostile", "毒"))
    entities = tuple(replace(entity, brand=f"b{n}") for n in range(10_001))
    return replace(one, assessment=replace(one.assessment, entities=entities))


def test_of_a_half_failed_bulk_the_good_half_is_stored(opened, post, judged, hostile: Judged) -> None:
    posts = opened()
    good = [judged(post(str(n))) for n in range(6)]
    long = judged(replace(post(), id="x" * 600))
    with pytest.raises(RefusedError, match="nested") as caught:
        posts.put([*good[:3], hostile, *good[3:]])
    assert caught.value.permanent and "\n" not in str(caught.value)
    whole(posts, good)
    more = [judged(post(f"more-{n}")) for n in range(6)]
    with pytest.raises(RefusedError, match="512"):
        posts.put([*more[:4], long, *more[4:]])
    with pytest.raises(RefusedError, match="JSON"):
        posts.put([judged(post("nan"), influence=float("nan"))])
    whole(posts, [*good, *more])


def test_the_worker_buries_the_post_that_the_server_refuses(
    opened, tmp_path: Path, post, judged, hostile: Judged, now
) -> None:
    class Judge:
        model = "m1"

        def assess(self, posts: Sequence[Post]) -> list[Assessment]:
            return [(hostile if "毒" in each.text else judged(each)).assessment for each in posts]

        def stands(self, post: Post, assessment: Assessment) -> bool:
            return True

    posts = opened()
    with closing(open_inbox(f"sqlite:///{tmp_path}/inbox.db")) as inbox:
        inbox.put([post("1"), hostile.post, post("2")], now=now)
        worker = Worker(inbox=inbox, posts=posts, assessor=Judge, influence=lambda _: 1.0)
        worked = worker.drain(now=lambda: now)
        assert (worked.done, worked.buried) == (3, 1)
        (letter,) = inbox.dead()
        assert letter.post == hostile.post and "nested" in letter.reason
    assert posts.size() == 2


def test_two_workers_that_renew_one_post_at_once_lose_no_version(opened, post, judged, now) -> None:
    def at(hour: int) -> Judged:
        made = post(
            text=f"第 {hour} 版", fetched_at=now + timedelta(hours=hour), engagement=Engagement(likes=hour)
        )
        return judged(made)

    one = opened()
    one.put([at(0)])

    def meanwhile(text: str) -> list[str]:
        if "第 2 版" in text and len(one.engagement(post().id)) == 1:
            one.put([at(1)])
        return text.split()

    other = opened(segment=meanwhile)
    other.put([at(2)])
    assert [engagement.likes for _, engagement in one.engagement(post().id)] == [0, 1, 2]
    assert one.get(post().id) == at(2)


def test_two_workers_that_meet_a_post_under_two_months_store_it_once(opened, post, judged, now) -> None:
    first = judged(post(published_at=now - timedelta(days=40)))
    second = judged(post(text="改口 了", fetched_at=now + timedelta(hours=1), engagement=Engagement(likes=1)))
    one = opened()

    def meanwhile(text: str) -> list[str]:
        if "改口" in text and not one.size():
            one.put([first])
        return text.split()

    other = opened(segment=meanwhile)
    other.put([second])
    assert one.size() == 1
    stored = one.get(first.post.id)
    assert stored.post == replace(second.post, published_at=stored.post.published_at)
    assert [engagement.likes for _, engagement in one.engagement(first.post.id)] == [0, 1]
    other.put([second])
    assert one.size() == 1


def test_a_template_that_somebody_changed_is_reported_and_mended(
    elasticsearch_server: ElasticsearchServer, opened, prefix: str, post, judged
) -> None:
    posts = opened()
    posts.put([judged(post("1"))])
    with client(elasticsearch_server) as admin:
        name = f"{prefix}-posts-settings"
        held = admin.cluster.get_component_template(name=name)["component_templates"][0]["component_template"]
        held["template"]["settings"]["index"]["max_result_window"] = "5"
        admin.cluster.put_component_template(name=name, **held)
        admin.indices.delete_index_template(name=f"{prefix}-posts")
        admin.indices.create(
            index=f"{prefix}-posts-v1-2020.01",
            aliases={f"{prefix}-posts": {}},
            mappings={"properties": {"post": {"properties": {"id": {"type": "keyword"}}}}},
        )
    found = [each for each in posts.examine() if not each.ok]
    assert [(each.subject, each.mendable) for each in found] == [
        ("帖子索引的模板", True),
        ("帖子索引的模板", True),
        ("帖子索引的字段", True),
    ]
    assert all(each.ok for each in posts.mend())
    assert [each for each in posts.examine() if not each.ok] == []
    assert posts.mend() == []
    assert posts.search(Query(text="提现")).total == 1


def test_a_server_that_is_away_is_a_finding_and_not_an_error(proxied: Proxy, opened) -> None:
    posts = opened(proxied.port, patience_s=0.2)
    proxied.close()
    (found,) = posts.examine()
    assert not found.ok and "连不上" in found.text
    assert [each.ok for each in posts.mend()] == [False]


def test_a_snapshot_brings_everything_back(
    elasticsearch_server: ElasticsearchServer, opened, post, judged, now, prefix: str
) -> None:
    posts = opened()
    batch = [judged(post(str(n), published_at=now - timedelta(days=20 * n))) for n in range(5)]
    posts.put(batch)
    before = posts.walk()
    with client(elasticsearch_server) as admin:
        location = str(elasticsearch_server.snapshots / prefix)
        admin.snapshot.create_repository(
            name=prefix, repository={"type": "fs", "settings": {"location": location}}
        )
        made = admin.snapshot.create(
            repository=prefix,
            snapshot="s1",
            indices=f"{prefix}-*",
            include_global_state=False,
            wait_for_completion=True,
        )
        assert made["snapshot"]["state"] == "SUCCESS"
        assert posts.forget(before=now + timedelta(days=1)) == 5
        assert posts.size() == 0
        posts.put([judged(post("2", "迟到 的"))])
        admin.indices.delete(index=[f"{prefix}-posts-v1-2026.11"])
        admin.snapshot.restore(repository=prefix, snapshot="s1", wait_for_completion=True)
        assert posts.walk() == before
        admin.snapshot.delete(repository=prefix, snapshot="s1")
        admin.snapshot.delete_repository(name=prefix)


@pytest.mark.slow
def test_a_server_without_security_serves_too(
    elasticsearch_server: ElasticsearchServer, own_server, tmp_path_factory, post, judged
) -> None:
    elasticsearch_server.stop()
    try:
        plain = own_server(lambda: ElasticsearchServer(tmp_path_factory.mktemp("plain")))
        with closing(open_posts(plain.url, segment=str.split)) as posts:
            batch = [judged(post(str(n))) for n in range(5)]
            posts.put(batch)
            whole(posts, batch)
            assert [each for each in posts.examine() if not each.ok] == []
        plain.stop()
    finally:
        elasticsearch_server.start()
