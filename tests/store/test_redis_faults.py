"""What the inbox on Redis does when the server, the network or somebody else is in the way."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

import store.inbox.redis
from config.settings import Access
from deploy.engines import free_port
from deploy.engines.redis import RedisServer
from domain.errors import ConfigError, StoreError
from domain.post import Post
from store.inbox import Depth, Inbox, open_inbox
from store.inbox.redis import PRIVILEGES

LEASE = timedelta(minutes=5)
SECRET = "hunter2-密码"


@pytest.fixture
def server(own_server, tmp_path: Path) -> RedisServer:
    """A server that may be killed; no password."""
    return own_server(lambda: RedisServer(tmp_path / "redis"))


@pytest.fixture
def opened() -> Iterator[Callable[..., Inbox]]:
    """Opens an inbox and closes it at the end."""
    made: list[Inbox] = []

    def make(url: str, access: Access | None = None) -> Inbox:
        made.append(open_inbox(url, access or Access()))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """Somebody else on the same server."""
    with redis.Redis(port=server.port, decode_responses=True) as made:
        yield made


def drain(inbox: Inbox, now) -> list[Post]:
    done = []
    while leased := inbox.lease(7, now=now, lease=LEASE):
        assert inbox.acknowledge([each.token for each in leased]) == len(leased)
        done += [each.post for each in leased]
    return done


def refused(call: Callable[[], object], says: str, *, permanent: bool) -> StoreError:
    with pytest.raises(StoreError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert caught.value.permanent is permanent
    return caught.value


class Proxy:
    """A TCP proxy that can be cut, or go deaf towards the server's answers."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self.swallow = False
        """Requests reach the server; answers are thrown away."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close all connections; new ones are welcome."""
        # Taken at once: what is accepted while these are ended is not one of them.
        ended, self._sockets = self._sockets, []
        for each in ended:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [here, there]
            threading.Thread(target=self._copy, args=(here, there, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(there, here, True), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError), source:
            while data := source.recv(65536):
                if not (answers and self.swallow):
                    target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(server: RedisServer) -> Iterator[Proxy]:
    made = Proxy(server.port)
    yield made
    made.close()


def test_a_killed_server_has_all_that_put_returned_for(server, opened, post, now) -> None:
    inbox = opened(server.url)
    taken: list[str] = []
    ended = threading.Event()

    def put() -> None:
        for n in range(100_000):
            try:
                inbox.put([post(f"{n}-{k}") for k in range(5)], now=now)
            except StoreError as error:
                assert not error.permanent
                ended.set()
                return
            taken.extend(f"{n}-{k}" for k in range(5))

    putting = threading.Thread(target=put)
    putting.start()
    while len(taken) < 300 and not ended.is_set():
        ended.wait(0.01)
    server.kill()
    putting.join()
    refused(lambda: inbox.depth(now=now), "连不上 Redis 127.0.0.1", permanent=False)
    server.start()
    found = [each.native_id for each in drain(inbox, now)]
    assert len(found) == len(set(found))
    assert set(found) >= set(taken)
    # A batch whose answer was lost is there wholly or not at all.
    assert len(found) - len(taken) in (0, 5)


def test_a_server_that_restarts_in_the_middle_of_a_drain(server, opened, post, now) -> None:
    inbox = opened(server.url)
    inbox.put([post(str(n)) for n in range(40)], now=now)
    first = inbox.lease(10, now=now, lease=LEASE)
    assert inbox.acknowledge([each.token for each in first[:5]]) == 5
    server.stop()
    refused(lambda: inbox.acknowledge([first[5].token]), "连不上", permanent=False)
    refused(lambda: inbox.lease(10, now=now, lease=LEASE), "连不上", permanent=False)
    server.start()
    # Leases outlive the server: what is held is still hidden, and its tokens are still good.
    assert inbox.depth(now=now) == Depth(waiting=30, leased=5, dead=0, oldest=now)
    assert inbox.acknowledge([each.token for each in first]) == 5
    assert [each.native_id for each in drain(inbox, now)] == [str(n) for n in range(10, 40)]


def test_a_connection_that_is_cut_is_opened_again(opened, proxy, post, now) -> None:
    inbox = opened(f"redis://127.0.0.1:{proxy.port}/0")
    inbox.put([post("1")], now=now)
    proxy.cut()
    assert inbox.put([post("2")], now=now) == 1
    assert len(drain(inbox, now)) == 2


def test_an_answer_that_was_lost_doubles_nothing(
    opened, proxy, post, now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.inbox.redis, "ANSWER_S", 1.0)
    inbox = opened(f"redis://127.0.0.1:{proxy.port}/0")
    batch = [post("1"), post("2")]
    # Once before, so that the server knows the scripts and the answer is all that is lost.
    inbox.put([post("0")], now=now)
    assert len(drain(inbox, now)) == 1
    proxy.swallow = True
    refused(lambda: inbox.put(batch, now=now), "没有在 1 秒内回答", permanent=False)
    proxy.swallow = False
    assert inbox.put(batch, now=now) == 0
    proxy.swallow = True
    refused(lambda: inbox.lease(2, now=now, lease=LEASE), "没有在", permanent=False)
    proxy.swallow = False
    # Nobody got these two, so nobody works on them: they come back when the lease ends.
    assert inbox.lease(2, now=now, lease=LEASE) == []
    again = inbox.lease(2, now=now + LEASE, lease=LEASE)
    assert [(each.post, each.tries) for each in again] == [(batch[0], 2), (batch[1], 2)]
    proxy.swallow = True
    tokens = [each.token for each in again]
    refused(lambda: inbox.acknowledge(tokens), "没有在", permanent=False)
    proxy.swallow = False
    assert inbox.acknowledge(tokens) == 0
    assert inbox.depth(now=now) == Depth(waiting=0, leased=0, dead=0, oldest=None)


def test_nobody_listens(opened, server) -> None:
    server.stop()
    refused(lambda: opened(server.url), "连不上 Redis", permanent=False)


@pytest.mark.parametrize("user", ["", "somebody@"])
def test_a_wrong_password_is_one_line_without_it(
    redis_server, opened, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"redis://{user}127.0.0.1:{redis_server.port}/0"
    error = refused(
        lambda: opened(url, Access(password=SecretStr(SECRET))), "YUJING_INBOX_PASSWORD", permanent=True
    )
    refused(lambda: opened(url), "YUJING_INBOX_PASSWORD", permanent=True)
    shown = [str(error), repr(error), repr(error.__cause__), caplog.text]
    assert not [text for text in shown if SECRET in text or redis_server.password in text]


def test_no_repr_shows_the_password(redis_server, opened) -> None:
    inbox = opened(redis_server.url, Access(password=SecretStr(redis_server.password)))
    pool = inbox._client.connection_pool
    for shown in (repr(inbox), repr(vars(inbox)), repr(pool), repr(pool.connection_kwargs)):
        assert redis_server.password not in shown


def test_the_user_of_the_documentation_may_do_all_that_is_needed(server, client, opened, post, now) -> None:
    client.execute_command(
        "ACL", "SETUSER", "yujing", "on", f">{SECRET}", *PRIVILEGES.format(prefix="yujing").split()
    )
    url = f"redis://yujing@127.0.0.1:{server.port}/0"
    inbox = opened(url, Access(password=SecretStr(SECRET)))
    inbox.put([post("1"), post("2"), post("3")], now=now)
    one, two, _ = inbox.lease(3, now=now, lease=LEASE)
    inbox.bury(one.token, reason="bad", now=now)
    assert inbox.acknowledge([two.token]) == 1
    assert [letter.post for letter in inbox.dead()] == [post("1")]
    assert len(drain(inbox, now + LEASE)) == 1
    assert inbox.depth(now=now).dead == 1
    found = [*inbox.examine(), *inbox.mend()]
    assert all(finding.ok for finding in found)
    assert [finding for finding in found if "无权看 appendfsync" in finding.text]
    client.xadd("{yujing}:inbox", {"body": "written by hand"})
    refused(lambda: inbox.lease(1, now=now, lease=LEASE), "无法解读", permanent=True)
    inbox.close()
    # And no more than that: not another's keys, not the server.
    other = opened(f"{url}?prefix=other", Access(password=SecretStr(SECRET)))
    refused(lambda: other.put([post()], now=now), "权限不够", permanent=True)
    with redis.Redis(port=server.port, username="yujing", password=SECRET) as same:
        for forbidden in ("FLUSHALL", "CONFIG GET requirepass", "KEYS *", "ACL LIST", "DEL {yujing}:inbox"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                same.execute_command(*forbidden.split())


def test_memory_at_its_bound_refuses_and_drains(server, client, opened, post, now) -> None:
    inbox = opened(server.url)
    text = "提现 " * 500
    inbox.put([post("first", text), post("poison", text)], now=now)
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 3_000_000)
    put = 2
    with pytest.raises(StoreError, match="maxmemory") as caught:
        for n in range(10_000):
            inbox.put([post(f"{n}-{k}", text) for k in range(20)], now=now)
            put += 20
    assert not caught.value.permanent
    assert put > 100
    # Nothing was dropped to make room, and nothing of the refused batch is in.
    assert inbox.depth(now=now).waiting == put
    memory = next(finding for finding in inbox.examine() if finding.subject == "收件箱的内存")
    assert not memory.ok
    first, poison = inbox.lease(2, now=now, lease=LEASE)
    inbox.bury(poison.token, reason="bad", now=now)
    inbox.acknowledge([first.token])
    done = drain(inbox, now)
    assert len(done) == put - 2
    assert inbox.put([post("after", text)], now=now) == 1
    assert [letter.post.native_id for letter in inbox.dead()] == ["poison"]


@pytest.mark.parametrize("key", ["", ":digests", ":dead"])
def test_a_foreign_value_under_our_key_is_left_alone(server, client, opened, post, now, key: str) -> None:
    inbox = opened(server.url)
    if key:
        inbox.put([post("1")], now=now)
        (leased,) = inbox.lease(1, now=now, lease=LEASE)
        client.delete(f"{{yujing}}:inbox{key}")
    client.set(f"{{yujing}}:inbox{key}", "theirs")
    calls = {
        "": (lambda: inbox.put([post("2")], now=now), lambda: inbox.lease(1, now=now, lease=LEASE)),
        ":digests": (
            lambda: inbox.put([post("2")], now=now),
            lambda: inbox.acknowledge([leased.token]),
            lambda: inbox.bury(leased.token, reason="r", now=now),
        ),
        ":dead": (lambda: inbox.bury(leased.token, reason="r", now=now), inbox.dead),
    }
    for call in calls[key]:
        refused(call, "被别的程序占用", permanent=True)
    assert not all(finding.ok for finding in inbox.examine())
    assert not all(finding.ok for finding in inbox.mend()) or key == ":dead"
    assert client.get(f"{{yujing}}:inbox{key}") == "theirs"
    # Nothing half done: with the key free again, the post is where it was.
    client.delete(f"{{yujing}}:inbox{key}")
    inbox.mend()
    assert inbox.depth(now=now) == Depth(waiting=0, leased=1 if key else 0, dead=0, oldest=None)
    if key:
        assert inbox.acknowledge([leased.token]) == 1


def test_everything_may_vanish_under_a_worker(server, client, opened, post, now) -> None:
    inbox = opened(server.url)
    inbox.put([post("1"), post("2")], now=now)
    old, other = inbox.lease(2, now=now, lease=LEASE)
    client.flushall()
    assert inbox.acknowledge([old.token]) == 0
    inbox.bury(other.token, reason="r", now=now)
    assert inbox.lease(5, now=now, lease=LEASE) == []
    assert inbox.depth(now=now) == Depth(waiting=0, leased=0, dead=0, oldest=None)
    assert inbox.put([post("1")], now=now) == 1
    assert inbox.acknowledge([old.token]) == 0
    assert drain(inbox, now) == [post("1")]
    client.script_flush()
    assert inbox.put([post("1")], now=now) == 1


def test_a_group_that_is_gone_gives_everything_anew(server, client, opened, post, now) -> None:
    inbox = opened(server.url)
    inbox.put([post("1"), post("2")], now=now)
    (old,) = inbox.lease(1, now=now, lease=LEASE)
    client.xgroup_destroy("{yujing}:inbox", "workers")
    assert inbox.depth(now=now).waiting == 2
    assert inbox.acknowledge([old.token]) == 0
    assert drain(inbox, now) == [post("1"), post("2")]


def test_what_was_read_by_hand_or_deleted_by_hand_holds_nothing_up(server, client, opened, post, now) -> None:
    inbox = opened(server.url)
    batch = [post(str(n)) for n in range(6)]
    inbox.put(batch, now=now)
    held = inbox.lease(2, now=now, lease=LEASE)
    client.xreadgroup("workers", "somebody", {"{yujing}:inbox": ">"}, count=2)
    rows = [id_ for id_, _ in client.xrange("{yujing}:inbox")]
    client.xdel("{yujing}:inbox", rows[0], rows[2], rows[4])
    (finding,) = [finding for finding in inbox.examine() if finding.mendable]
    assert "手工" in finding.text
    assert [each.post for each in inbox.lease(9, now=now, lease=LEASE)] == [batch[3], batch[5]]
    assert inbox.acknowledge([each.token for each in held]) == 1
    # A post deleted by hand may come again, its digest left behind or not.
    assert inbox.put([batch[2]], now=now) == 1
    inbox.mend()
    assert [finding for finding in inbox.examine() if finding.mendable] == []
    client.delete("{yujing}:inbox:digests")
    inbox.mend()
    assert inbox.put(batch[2:4], now=now) == 0
    assert inbox.put(batch[:2], now=now) == 2


def test_leases_leave_no_consumers_behind(server, client, opened, post, now) -> None:
    inbox = opened(server.url)
    inbox.put([post(str(n)) for n in range(30)], now=now)
    inbox.lease(7, now=now, lease=LEASE)
    assert inbox.lease(1, now=now, lease=LEASE)[0].post == post("7")
    assert len(client.xinfo_consumers("{yujing}:inbox", "workers")) == 2
    assert len(drain(inbox, now + LEASE)) == 30
    assert client.xinfo_consumers("{yujing}:inbox", "workers") == []


def test_to_find_nothing_writes_nothing(server, client, opened, post, now) -> None:
    inbox = opened(server.url)
    inbox.put([post("1"), post("2")], now=now)
    assert inbox.acknowledge([inbox.lease(1, now=now, lease=LEASE)[0].token]) == 1
    inbox.lease(1, now=now, lease=LEASE)
    written = client.info("persistence")["aof_current_size"]
    assert inbox.lease(1, now=now, lease=LEASE) == []
    inbox.depth(now=now)
    assert all(finding.ok for finding in inbox.examine())
    assert client.info("persistence")["aof_current_size"] == written


def test_an_unreadable_post_hides_none_of_its_neighbours(server, client, opened, post, now) -> None:
    inbox = opened(server.url)
    inbox.put([post("1")], now=now)
    id_ = client.xadd("{yujing}:inbox", {"body": '{"v":99}', "at": "0", "digest": "x"})
    inbox.put([post("2")], now=now)
    for _ in range(5):
        refused(lambda: inbox.lease(9, now=now, lease=LEASE), "升级", permanent=True)
    client.xdel("{yujing}:inbox", id_)
    assert [(each.post.native_id, each.tries) for each in inbox.lease(9, now=now, lease=LEASE)] == [
        ("1", 1),
        ("2", 1),
    ]


@pytest.mark.parametrize(
    ("setting", "value", "subject"),
    [
        ("appendonly", "no", "收件箱的落盘"),
        ("appendfsync", "everysec", "收件箱的落盘"),
        ("no-appendfsync-on-rewrite", "yes", "收件箱的落盘"),
        ("maxmemory-policy", "allkeys-lru", "收件箱的淘汰策略"),
        ("maxmemory", "0", "收件箱的内存"),
    ],
)
def test_settings_that_lose_posts_are_found(server, client, opened, setting, value, subject) -> None:
    inbox = opened(server.url)
    assert all(finding.ok for finding in inbox.examine())
    client.config_set(setting, value)
    (wrong,) = [finding for finding in inbox.examine() if not finding.ok]
    assert wrong.subject == subject
    assert setting in wrong.text + wrong.remedy
    server.stop()
    assert [finding.ok for finding in inbox.examine()] == [False]


class Pretender:
    """Answers every connection with the same bytes to each request."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                with here, suppress(OSError):
                    while data := here.recv(65536):
                        here.sendall(self._answer if b"INFO" in data else b"+OK\r\n" * data.count(b"*"))

    def close(self) -> None:
        self._listener.close()


def _bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "says", "permanent"),
    [
        (_bulk("# Server\r\nredis_version:6.0.16\r\n"), "6.0.16，太旧", True),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "不是 Redis 协议", True),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "载入", False),
        (b"-MISCONF Errors writing to the AOF file: No space left on device\r\n", "磁盘", False),
        (b"-READONLY You can't write against a read only replica.\r\n", "只读副本", False),
        (b"-CLUSTERDOWN The cluster is down\r\n", "cluster is down", False),
        (b"-MOVED 3999 127.0.0.1:6381\r\n", "集群", True),
        (b"-ERR something else\r\n", "something else", True),
    ],
)
def test_what_a_server_may_answer(opened, answer: bytes, says: str, permanent: bool) -> None:
    pretender = Pretender(answer)
    try:
        refused(lambda: opened(f"redis://127.0.0.1:{pretender.port}/0"), says, permanent=permanent)
    finally:
        pretender.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@host/0",
        "redis://",
        "redis:///0",
        "redis://host:port/0",
        "redis://host/name",
        "redis://host/0?prefix=A b",
        "redis://host/0?prefix=",
        "redis://host/0?timeout=3",
        "redis://host/0?hunter2",
        "valkey://:hunter2@host/0",
    ],
)
def test_an_address_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError, match="YUJING_INBOX_URL") as caught:
        open_inbox(url)
    assert "hunter2" not in str(caught.value)
    assert "redis://" in str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, its own authority; the key lies beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "yujing-test")])
    began = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=36500))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_an_encrypted_connection_needs_the_right_authority(
    server, client, opened, post, now, certificate: Path
) -> None:
    port = free_port()
    try:
        client.config_set(
            *("tls-cert-file", str(certificate), "tls-key-file", str(certificate.with_name("key.pem"))),
            *("tls-auth-clients", "no", "tls-port", port),
        )
    except redis.exceptions.ResponseError as error:
        pytest.skip(f"this Redis was built without TLS: {error}")
    inbox = opened(f"rediss://127.0.0.1:{port}/0", Access(ca=certificate))
    inbox.put([post("1")], now=now)
    assert drain(inbox, now) == [post("1")]
    refused(lambda: opened(f"rediss://127.0.0.1:{port}/0"), "证书", permanent=True)
    refused(lambda: opened(f"rediss://localhost:{port}/0", Access(ca=certificate)), "证书", permanent=True)
    refused(lambda: opened(f"redis://127.0.0.1:{port}/0"), "连不上", permanent=False)


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_a_ca_that_is_none_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"YUJING_INBOX_CA.*ca\.pem"):
        open_inbox("rediss://host", Access(ca=path))


def test_a_closed_inbox_says_so(server, opened, now) -> None:
    inbox = opened(server.url)
    inbox.close()
    inbox.close()
    refused(lambda: inbox.depth(now=now), "关闭", permanent=True)
