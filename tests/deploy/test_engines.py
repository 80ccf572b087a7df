"""The servers of the tests: they serve, keep what was written through SIGKILL, and ask for a password."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from deploy.engines.elasticsearch import ElasticsearchServer
from deploy.engines.postgresql import PostgresqlServer
from deploy.engines.redis import RedisServer

ROOT = Path(__file__).parents[2]


def test_redis_keeps_what_it_confirmed_through_a_kill(own_server: Callable, tmp_path: Path) -> None:
    server = own_server(lambda: RedisServer(tmp_path / "a folder" / "redis", password="p w"))
    with redis.Redis.from_url(server.url, password="p w") as client:
        client.set("kept", "yes")
    server.kill()
    server.start()
    with redis.Redis.from_url(server.url, password="p w") as client:
        assert client.get("kept") == b"yes"
    with redis.Redis.from_url(server.url) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.get("kept")


def test_postgresql_keeps_what_it_confirmed_through_a_kill(own_server: Callable, tmp_path: Path) -> None:
    server = own_server(lambda: PostgresqlServer(tmp_path / "a folder" / ("long" * 25) / "postgresql"))
    address = server.url().replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, password=server.password) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    server.kill()
    server.start()
    with psycopg.connect(address, password=server.password) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address, password="another").close()


def test_elasticsearch_asks_for_the_password(elasticsearch_server: ElasticsearchServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{elasticsearch_server.port}/_cluster/health")
    refused.value.close()
    assert refused.value.code == 401


@pytest.mark.slow
def test_a_command_runs_on_all_three(tmp_path: Path, elasticsearch_server: ElasticsearchServer) -> None:
    code = "import json, os; print(json.dumps([os.environ[f'YUJING_{n}_URL'] for n in ('POSTS', 'INBOX', 'LEDGER')]))"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.engines", sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    schemes = [address.partition(":")[0] for address in json.loads(done.stdout)]
    assert schemes == ["elasticsearch", "redis", "postgresql+psycopg"]
