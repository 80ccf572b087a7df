"""A Redis server of our own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from deploy.engines import Missing, Process, answers, free_port


class RedisServer:
    """Redis on a Unix folder of its own, every write on disk before it answers (see ``deploy.engines.Server``)."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise Missing("redis-server 没有安装（Debian：apt-get install redis-server）")
        self._binary, self._folder, self._password = binary, folder, password
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self._process = Process(folder, user=None)

    @property
    def url(self) -> str:
        """Without the password."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def password(self) -> str:
        """Of the default user; empty when it needs none."""
        return self._password

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of a service that uses this server."""
        return {"YUJING_INBOX_URL": self.url} | (
            {"YUJING_INBOX_PASSWORD": self._password} if self._password else {}
        )

    def start(self) -> None:
        """Serve."""
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory": "1gb",
            "maxmemory-policy": "noeviction",
            "save": "",
            "requirepass": self._password,
        }
        path = self._folder / "redis.conf"
        # A file, not arguments: a password must not stand in the list of processes.
        path.write_text("".join(f'{name} "{value}"\n' for name, value in settings.items()), "utf-8")
        path.chmod(0o600)
        self._process.start([self._binary, str(path)], ready=lambda: answers(self.port), within_s=20)

    def stop(self) -> None:
        """End in order."""
        self._process.stop()

    def kill(self) -> None:
        """End at once."""
        self._process.kill()
