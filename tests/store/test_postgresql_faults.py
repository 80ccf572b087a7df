"""What the ledger does when its PostgreSQL server goes away, comes back, refuses or is slow."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

import store.ledger.postgresql
from config.settings import Access
from deploy.engines import free_port
from deploy.engines.postgresql import OWNER, PostgresqlServer
from domain.errors import ConfigError, StoreError
from store.ledger import AuditEntry, Ledger, open_ledger
from store.stories import open_stories

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
OwnServer = Callable[[Callable[[], PostgresqlServer]], PostgresqlServer]


@pytest.fixture
def server(own_server: OwnServer, tmp_path: Path) -> PostgresqlServer:
    return own_server(lambda: PostgresqlServer(tmp_path / "postgresql"))


def opened(server: PostgresqlServer, url: str = "") -> Ledger:
    return open_ledger(url or server.url(), Access(password=SecretStr(server.password)))


def entry(n: int, now) -> AuditEntry:
    return AuditEntry(at=now, actor="李", action="ack", subject=str(n))


def refused(call: Callable[[], object], *, permanent: bool, match: str, never: str = "engines") -> None:
    with pytest.raises(StoreError, match=match) as caught:
        call()
    assert caught.value.permanent is permanent
    assert never not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_stopped_and_started_again_is_used_again(server: PostgresqlServer, now) -> None:
    ledger = opened(server)
    ledger.audit.record(entry(1, now))
    server.stop()
    refused(lambda: ledger.audit.record(entry(2, now)), permanent=False, match="连不上")
    refused(lambda: opened(server), permanent=False, match=r"连不上.*127\.0\.0\.1")
    findings = ledger.examine()
    assert findings and not any(finding.ok for finding in findings)
    server.start()
    ledger.audit.record(entry(2, now))
    assert [each.subject for each in ledger.audit.last()] == ["2", "1"]
    ledger.close()


WRITER = """
import sys
from datetime import UTC, datetime
from store.ledger import AuditEntry, open_ledger
ledger = open_ledger(sys.argv[1])
n = 0
while True:
    ledger.audit.record(AuditEntry(at=datetime.now(UTC), actor="w", action="a", subject=str(n)))
    print(n, flush=True)
    n += 1
"""


def test_a_server_killed_loses_nothing_that_was_confirmed(server: PostgresqlServer) -> None:
    url = server.url().replace(f"{OWNER}@", f"{OWNER}:{server.password}@")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        for line in process.stdout:
            if int(line) == 50:
                server.kill()
                break
        confirmed = [50, *(int(line) for line in process.stdout)]
    assert process.returncode != 0
    server.start()
    ledger = opened(server)
    kept = {int(each.subject) for each in ledger.audit.last(10_000)}
    ledger.close()
    assert set(range(confirmed[-1] + 1)) <= kept
    # At most the one whose confirmation was on its way.
    assert len(kept) <= confirmed[-1] + 2


@pytest.fixture
def ledger(new_ledger_database: Callable[[], str]) -> Iterator[Ledger]:
    made = open_ledger(new_ledger_database())
    yield made
    made.close()


def test_a_connection_that_the_server_ends_is_replaced(ledger: Ledger, now) -> None:
    def cut() -> None:
        with ledger.handle.write() as connection:
            own = connection.execute(text("SELECT pg_backend_pid()")).scalar()
            with psycopg.connect(
                make_url(str(ledger.handle._engine.url.render_as_string(hide_password=False)))
                .set(drivername="postgresql")
                .render_as_string(hide_password=False)
            ) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", [own])
            connection.execute(text("SELECT 1"))

    refused(cut, permanent=False, match="断开了连接|连接断了")
    ledger.audit.record(entry(1, now))
    assert len(ledger.audit.last()) == 1


class Proxy:
    """Passes bytes on between a port of its own and the server; ``cut`` resets what is open."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.deaf = False
        """Takes what the client says and passes nothing on."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if self.deaf:
                    # Its own ends only: by now the client may be connecting anew.
                    self._end([one, other])
                    return
                other.sendall(data)

    def cut(self) -> None:
        # Taken at once: what is accepted while these are ended is not one of them.
        ended, self._open = self._open, []
        self._end(ended)

    @staticmethod
    def _end(ends: list[socket.socket]) -> None:
        for each in ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self._listener.close()
        self.cut()


@pytest.fixture
def proxy(postgresql_server: PostgresqlServer) -> Iterator[Proxy]:
    made = Proxy(postgresql_server.port)
    yield made
    made.close()


def test_a_connection_cut_in_the_middle_is_transient_and_half_a_change_is_none(
    proxy: Proxy, new_ledger_database: Callable[[], str], notification, now
) -> None:
    address = make_url(new_ledger_database())
    ledger = open_ledger(address.set(port=proxy.port).render_as_string(hide_password=False))

    def cut() -> None:
        with ledger.handle.write() as connection:
            connection.execute(text("DELETE FROM states"))
            proxy.cut()
            connection.execute(text("SELECT 1"))

    ledger.states.save("k", {"a": {}})
    refused(cut, permanent=False, match="连接断了|连不上")
    assert ledger.states.load("k") == {"a": {}}
    proxy.deaf = True
    refused(lambda: ledger.outbox.enqueue([notification()]), permanent=False, match="连接断了|连不上")
    proxy.deaf = False
    assert ledger.outbox.enqueue([notification()]) == 1
    ledger.close()


def test_a_wrong_password_is_permanent_and_not_shown(postgresql_server: PostgresqlServer) -> None:
    for password, words in (
        ("s3cret-not-it", "YUJING_LEDGER_PASSWORD"),
        ("", "请设置 YUJING_LEDGER_PASSWORD"),
    ):
        refused(
            lambda password=password: open_ledger(
                postgresql_server.url(), Access(password=SecretStr(password))
            ),
            permanent=True,
            match=words,
            never="s3cret",
        )


def test_a_database_or_host_that_is_not_there(postgresql_server: PostgresqlServer) -> None:
    refused(
        lambda: opened(postgresql_server, postgresql_server.url("nowhere")),
        permanent=True,
        match="CREATE DATABASE",
    )
    refused(
        lambda: opened(postgresql_server, "postgresql+psycopg://u@nowhere.invalid:5432/x"),
        permanent=False,
        match="连不上",
    )
    refused(
        lambda: opened(postgresql_server, postgresql_server.url() + "?sslmode=require"),
        permanent=True,
        match="TLS",
    )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://",
        "postgresql+psycopg://host/db",
        "postgresql+psycopg://u:s3cret@host",
        "postgresql+psycopg://u:s3cret@host:port/db",
        "postgresql+psycopg://u@host/db?password=s3cret",
        "postgresql://u:s3cret@host/db",
    ],
)
def test_an_address_that_is_not_one(url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"YUJING_LEDGER_URL.*postgresql\+psycopg|不支持 password"
    ) as caught:
        open_ledger(url)
    assert "s3cret" not in str(caught.value)


def test_a_server_too_old_or_a_database_of_another_encoding(
    postgresql_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store.ledger.postgresql, "OLDEST", 99)
        refused(lambda: opened(postgresql_server), permanent=True, match="需要 99 或更新")
    with psycopg.connect(
        host="127.0.0.1", port=postgresql_server.port, user=OWNER, password=postgresql_server.password,
        dbname="postgres", autocommit=True,
    ) as connection:  # fmt: skip
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    refused(lambda: opened(postgresql_server, postgresql_server.url("latin")), permanent=True, match="UTF8")


def test_a_statement_slower_than_the_limit(
    new_ledger_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.ledger.postgresql, "STATEMENT_S", 1)
    ledger = open_ledger(new_ledger_database())

    def slow() -> None:
        with ledger.handle.read() as connection:
            connection.execute(text("SELECT pg_sleep(60)"))

    refused(slow, permanent=False, match="超过 .* 秒被取消")
    assert ledger.audit.last() == []
    ledger.close()


def test_a_row_that_another_holds_for_too_long(
    new_ledger_database: Callable[[], str], notification, now, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.ledger.postgresql, "LOCK_S", 1)
    ledger = open_ledger(new_ledger_database())
    ledger.outbox.enqueue([notification()])
    with ledger.handle.write() as connection:
        connection.execute(text("SELECT 1 FROM outbox FOR UPDATE"))
        refused(lambda: ledger.outbox.sent("n1", at=now), permanent=False, match="占着同一处")
    ledger.outbox.sent("n1", at=now)
    assert [each.id for each in ledger.outbox.find(state="sent")] == ["n1"]
    ledger.close()


def test_what_was_being_written_is_never_shown(ledger: Ledger) -> None:
    def twice() -> None:
        with ledger.handle.write() as connection:
            for _ in range(2):
                connection.execute(
                    text("INSERT INTO states (kind, key, body) VALUES ('k', :key, '{}')"),
                    {"key": "13800138000"},
                )

    refused(twice, permanent=True, match="23505", never="13800138000")


@pytest.mark.parametrize(
    ("code", "permanent", "words"),
    [
        ("40001", False, "同一处"),
        ("40P01", False, "互相等待"),
        ("53100", False, "磁盘已满"),
        ("53300", False, "max_connections"),
        ("25006", False, "主库"),
        ("57P03", False, "启动"),
        ("42501", True, "授权"),
    ],
)
def test_what_a_code_means(ledger: Ledger, code: str, permanent: bool, words: str) -> None:
    """As the server itself would raise it, in the middle of a transaction."""

    def fail() -> None:
        with ledger.handle.write() as connection:
            connection.execute(text(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{code}'; END $$"))

    refused(fail, permanent=permanent, match=words)
    assert ledger.audit.last() == []


def test_more_connections_than_the_server_has(own_server: OwnServer, tmp_path: Path, now) -> None:
    server = own_server(lambda: PostgresqlServer(tmp_path / "postgresql"))
    ledger = opened(server)
    with psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user=OWNER,
        password=server.password,
        dbname="postgres",
        autocommit=True,
    ) as administrator:
        administrator.execute("CREATE ROLE clerk LOGIN PASSWORD 'engines' CONNECTION LIMIT 0")
        administrator.execute("GRANT CONNECT ON DATABASE yujing TO clerk")
    refused(
        lambda: opened(server, server.url().replace(f"{OWNER}@", "clerk@")),
        permanent=False,
        match="max_connections",
    )
    ledger.close()


def test_of_several_servers_the_one_that_answers_is_taken(new_ledger_database: Callable[[], str]) -> None:
    address = make_url(new_ledger_database())
    both = address.set(
        host=None, port=None, query={"host": (f"127.0.0.1:{free_port()}", f"{address.host}:{address.port}")}
    )
    url = both.render_as_string(hide_password=False)
    open_ledger(url).close()
    open_stories(url, Access()).close()


LEAST = """
CREATE ROLE yujing_app LOGIN PASSWORD 'engines';
GRANT CONNECT ON DATABASE {database} TO yujing_app;
GRANT USAGE ON SCHEMA public TO yujing_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO yujing_app;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM yujing_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO yujing_app;
"""
"""As in docs/operations.md."""


def test_a_role_with_the_least_rights(new_ledger_database: Callable[[], str], notification, now) -> None:
    address = make_url(new_ledger_database())
    owner = address.set(drivername="postgresql").render_as_string(hide_password=False)
    url = address.set(username="yujing_app").render_as_string(hide_password=False)
    try:
        stories = address.set(password=None).render_as_string()
        open_stories(stories, Access(password=SecretStr("engines"))).close()
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute(LEAST.format(database=address.database))
        open_stories(url, Access(password=SecretStr("engines"))).close()
        ledger = open_ledger(url)
        ledger.audit.record(entry(1, now))
        assert ledger.outbox.enqueue([notification()]) == 1
        assert all(finding.ok for finding in ledger.examine()), ledger.examine()
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("REVOKE UPDATE ON outbox FROM yujing_app")
        refused(lambda: ledger.outbox.sent("n1", at=now), permanent=True, match="授权")
        assert [f.text for f in ledger.examine() if not f.ok] == ["缺少 UPDATE outbox"]
        ledger.close()
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0002'")
        refused(lambda: open_ledger(url), permanent=True, match="授权")
    finally:
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("DROP OWNED BY yujing_app")
            connection.execute("DROP ROLE yujing_app")


def test_examining_says_what_there_is_and_mends_numbering(ledger: Ledger, now) -> None:
    found = {finding.subject: finding for finding in ledger.examine()}
    assert all(finding.ok for finding in found.values()), found
    assert found["台账服务器"].text.startswith("PostgreSQL ")
    with ledger.handle.write() as connection:
        connection.execute(
            text(
                "INSERT INTO audit (n, at, actor, action, subject, reason) VALUES (7, now(), 'a', 'b', '', '')"
            )
        )
    behind = [finding for finding in ledger.examine() if not finding.ok]
    assert [(finding.subject, finding.mendable) for finding in behind] == [("台账编号", True)]
    assert [finding.ok for finding in ledger.mend()] == [True]
    assert ledger.mend() == []
    assert all(finding.ok for finding in ledger.examine())
    ledger.audit.record(entry(1, now))
    with ledger.handle.read() as connection:
        assert connection.execute(text("SELECT max(n) FROM audit")).scalar() == 8


def test_a_schema_of_a_newer_version_is_refused(new_ledger_database: Callable[[], str]) -> None:
    url = new_ledger_database()
    ledger = open_ledger(url)
    with ledger.handle.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused(lambda: open_ledger(url), permanent=True, match="升级")
    ledger.close()


def test_processes_that_start_together_migrate_once(postgresql_server: PostgresqlServer) -> None:
    postgresql_server.make_database("together")
    url = postgresql_server.url("together").replace(f"{OWNER}@", f"{OWNER}:{postgresql_server.password}@")
    code = "import sys\nfrom store.ledger import open_ledger\nopen_ledger(sys.argv[1]).audit.last()"
    processes = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(3)]
    assert [process.wait(timeout=200) for process in processes] == [0, 0, 0]


def test_a_dump_restored_is_the_same_ledger(
    server: PostgresqlServer, notification, tmp_path: Path, now
) -> None:
    """The roles, the commands and the rights of docs/operations.md, word for word."""
    section = OPERATIONS.read_text("utf-8").partition("\n## PostgreSQL\n")[2]
    (sql,), (shell,) = (re.findall(rf"```{kind}\n(.*?)```", section, re.S) for kind in ("sql", "sh"))
    roles, _, grants = sql.replace("'…'", f"'{server.password}'").partition("-- run")
    grants = grants.partition("\n")[2]

    def run(database: str, statements: str) -> None:
        at = {"host": "127.0.0.1", "port": server.port, "user": OWNER, "password": server.password}
        with psycopg.connect(dbname=database, autocommit=True, **at) as connection:
            for statement in statements.split(";"):
                connection.execute(statement.encode())

    def opened_as(role: str, database: str) -> Ledger:
        return opened(server, server.url(database).replace(f"{OWNER}@", f"{role}@"))

    run("postgres", f"DROP DATABASE {OWNER}; {roles}")
    opened_as("yujing_owner", "yujing").close()
    run("yujing", grants)
    ledger = opened_as("yujing_app", "yujing")
    ledger.outbox.enqueue([notification(f"n{n}") for n in range(9)])
    ledger.audit.record(entry(1, now))
    ledger.close()
    environment = {"PATH": os.environ["PATH"], "PGPASSWORD": server.password, "PGPORT": str(server.port)}
    shell = shell.replace("HOST", "127.0.0.1").replace("-U postgres", f"-U {OWNER}")
    subprocess.run(["bash", "-ec", shell], env=environment, cwd=tmp_path, check=True)
    role = grants.partition(";")[0]
    run("yujing_new", grants.replace(role, "").replace("DATABASE yujing ", "DATABASE yujing_new "))
    ledger = opened_as("yujing_app", "yujing_new")
    assert len(ledger.outbox.find()) == 9
    assert all(finding.ok for finding in ledger.examine())
    ledger.audit.record(entry(3, now))
    assert [each.subject for each in ledger.audit.last()] == ["3", "1"]
    ledger.close()


def test_a_connection_is_encrypted_and_the_server_known_by_its_authority(
    own_server: OwnServer, tmp_path: Path
) -> None:
    server = own_server(lambda: PostgresqlServer(tmp_path / "postgresql"))
    opened(server).close()
    server.stop()
    data = tmp_path / "postgresql" / "data"
    for name in ("server", "stranger"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", data / f"{name}.key",
             "-out", data / f"{name}.crt"],
            check=True, capture_output=True,
        )  # fmt: skip
        os.chown(data / f"{name}.key", data.stat().st_uid, data.stat().st_gid)
        os.chown(data / f"{name}.crt", data.stat().st_uid, data.stat().st_gid)
    with (data / "postgresql.conf").open("a") as file:
        file.write("ssl = on\n")
    server.start()
    password = SecretStr(server.password)
    ledger = open_ledger(server.url(), Access(password=password, ca=data / "server.crt"))
    assert "1/100 个，已加密" in [finding.text for finding in ledger.examine()]
    ledger.close()
    for ca in (data / "stranger.crt", tmp_path / "none.pem"):
        refused(
            lambda ca=ca: open_ledger(server.url(), Access(password=password, ca=ca)),
            permanent=True,
            match="YUJING_LEDGER_CA",
        )
