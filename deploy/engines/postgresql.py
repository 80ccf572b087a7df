"""A PostgreSQL server of our own."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.engines import Missing, Process, free_port, other_user, own

OWNER = "yujing"
"""Role that the service logs in as; it may make databases."""


class PostgresqlServer:
    """PostgreSQL on a folder of its own, with passwords (see ``deploy.engines.Server``)."""

    def __init__(self, folder: Path, *, password: str = "engines") -> None:  # noqa: S107
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        binary = shutil.which("postgres") or (found and str(found[-1] / "postgres"))
        if not binary:
            raise Missing("PostgreSQL 没有安装（Debian：apt-get install postgresql）")
        self._bin, self._folder, self._password = Path(binary).resolve().parent, folder, password
        self._user = other_user("postgres", "nobody")
        self.port = free_port()
        own(folder, self._user)
        self._process = Process(folder, user=self._user)

    def url(self, database: str = OWNER) -> str:
        """Without the password."""
        return f"postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{database}"

    @property
    def password(self) -> str:
        """Of ``OWNER``."""
        return self._password

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a service that uses this server."""
        return {"YUJING_LEDGER_URL": self.url(), "YUJING_LEDGER_PASSWORD": self._password}

    def start(self) -> None:
        """Serve; the first time, make the data folder, the role and its database."""
        data = self._folder / "data"
        if not data.exists():
            secret = self._folder / "password"
            secret.write_text(self._password, "utf-8")
            if self._user:
                shutil.chown(secret, self._user)
            self._run("initdb", "-D", data, "-U", OWNER, "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8",
                      "--locale=C.UTF-8")  # fmt: skip
            secret.unlink()
        self._process.start(
            [str(self._bin / "postgres"), "-D", str(data), "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             # No socket: the path of one ends after 107 characters.
             "-c", "unix_socket_directories="],
            ready=self._ready,
            within_s=60,
        )  # fmt: skip
        self.make_database(OWNER)

    def make_database(self, name: str) -> None:
        """Make an empty database; nothing when it is there."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=OWNER,
            password=self._password,
            dbname="postgres",
            autocommit=True,
        ) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if not found:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def stop(self) -> None:
        """End in order, without waiting for clients."""
        self._process.stop(signal.SIGINT)

    def kill(self) -> None:
        """End at once."""
        self._process.kill()

    def _ready(self) -> bool:
        return (
            subprocess.run(
                [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
            ).returncode
            == 0
        )

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [str(self._bin / program), *map(str, arguments)],
            user=self._user,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()[-1000:]}")
