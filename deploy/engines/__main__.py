"""``python -m deploy.engines COMMAND …``: runs a command with Elasticsearch, Redis and PostgreSQL behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from deploy.engines import Missing, Server
from deploy.engines.elasticsearch import ElasticsearchServer
from deploy.engines.postgresql import PostgresqlServer
from deploy.engines.redis import RedisServer


def main(command: list[str]) -> int:
    """The command's exit code; 1 when an engine is missing or does not start."""
    # A polite end is an interruption too: the servers have sessions of their own and would stay.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="yujing-engines-")))
        try:
            servers: list[Server] = [
                ElasticsearchServer(folder / "elasticsearch", password="engines"),  # noqa: S106 - a server of a minute
                RedisServer(folder / "redis", password="engines"),  # noqa: S106
                PostgresqlServer(folder / "postgresql"),
            ]
            variables: dict[str, str] = {}
            for server in servers:
                ending.callback(server.stop)
                server.start()
                variables |= server.variables
            return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode
        except (Missing, RuntimeError) as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    if not sys.argv[1:]:
        print("python -m deploy.engines COMMAND …", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1:]))
