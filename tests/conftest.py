"""The engines, one server a run; a missing one skips its tests on a user's machine and fails in CI."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

import psycopg
import pytest
from psycopg import sql

from deploy.engines import Missing, Server
from deploy.engines.elasticsearch import ElasticsearchServer
from deploy.engines.postgresql import OWNER, PostgresqlServer
from deploy.engines.redis import RedisServer
from store.ledger import open_ledger

Kind = TypeVar("Kind", bound=Server)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """As root, a temporary folder of our own: every run that begins closes pytest's to all other users, and with it
    to the servers of a run that goes on."""
    if os.geteuid() == 0 and not config.option.basetemp:
        config.option.basetemp = tempfile.mkdtemp(prefix="yujing-tests-")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Nobody wants to look into the folder of a run that went well."""
    folder = session.config.option.basetemp
    if exitstatus == 0 and folder and "yujing-tests-" in str(folder):
        shutil.rmtree(folder, ignore_errors=True)


def installed(make: Callable[[], Kind]) -> Kind:
    """A server that is not started yet."""
    try:
        return make()
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def _started(server: Server) -> Iterator[None]:
    server.start()
    yield
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Redis with a password; each test takes names of its own and leaves the server running."""
    server = installed(lambda: RedisServer(tmp_path_factory.mktemp("redis"), password="engines"))
    for _ in _started(server):
        yield server


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresqlServer]:
    """PostgreSQL; each test makes a database of its own and leaves the server running."""
    server = installed(lambda: PostgresqlServer(tmp_path_factory.mktemp("postgresql")))
    for _ in _started(server):
        yield server


@pytest.fixture(scope="session")
def _ledger_template(postgresql_server: PostgresqlServer) -> str:
    """A database that has the ledger's tables and no connections: to copy it is quicker than to build another."""
    name = "ledger_template"
    postgresql_server.make_database(name)
    open_ledger(_with_password(postgresql_server, name)).close()
    return name


@pytest.fixture
def new_ledger_database(
    postgresql_server: PostgresqlServer, _ledger_template: str
) -> Iterator[Callable[[], str]]:
    """Makes one more PostgreSQL database with an empty ledger; returns its address, the password in it."""
    made: list[str] = []

    def administer(statement: str, name: str) -> None:
        with psycopg.connect(
            host="127.0.0.1",
            port=postgresql_server.port,
            user=OWNER,
            password=postgresql_server.password,
            dbname="postgres",
            autocommit=True,
        ) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def make() -> str:
        made.append(f"ledger_{uuid.uuid4().hex}")
        administer(f"CREATE DATABASE {{}} TEMPLATE {_ledger_template}", made[-1])
        return _with_password(postgresql_server, made[-1])

    yield make
    for name in made:
        administer("DROP DATABASE {} WITH (FORCE)", name)


def _with_password(server: PostgresqlServer, database: str) -> str:
    return server.url(database).replace(f"{OWNER}@", f"{OWNER}:{server.password}@")


@pytest.fixture(scope="session")
def elasticsearch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticsearchServer]:
    """Elasticsearch with a password; each test takes index names of its own and leaves the server running."""
    server = installed(
        lambda: ElasticsearchServer(tmp_path_factory.mktemp("elasticsearch"), password="engines")
    )
    for _ in _started(server):
        yield server


@pytest.fixture
def own_server() -> Iterator[Callable[[Callable[[], Kind]], Kind]]:
    """Starts a server that a test may stop and kill: ``own_server(lambda: RedisServer(tmp_path / "redis"))``."""
    made: list[Server] = []

    def start(make: Callable[[], Kind]) -> Kind:
        server = installed(make)
        made.append(server)
        server.start()
        return server

    yield start
    for server in made:
        server.stop()
