"""The invented sites on free ports of this machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from app.sandbox.scenario import Scenario
from app.sandbox.sites import Directory, Site, sites

LOOPBACK = "127.0.0.1"


class Web:
    """Serves a scenario: nothing is readable before it is published by ``now``."""

    def __init__(self, scenario: Scenario, directory: Directory, now: Callable[[], datetime]) -> None:
        self._servers = {kind: _Server(site, scenario, now) for kind, site in sites(directory).items()}
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            for server in self._servers.values()
        ]

    @property
    def urls(self) -> Mapping[str, str]:
        """Base address by kind of site."""
        return {kind: server.base for kind, server in self._servers.items()}

    def __enter__(self) -> Web:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers.values():
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, site: Site, scenario: Scenario, now: Callable[[], datetime]) -> None:
        # Port 0: the system picks a free one, so that two demos at once do not meet.
        super().__init__((LOOPBACK, 0), _Handler)
        self.site, self.scenario, self.now = site, scenario, now
        self.base = f"http://{LOOPBACK}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hung up is no event; anything else is a fault of ours and is shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    server_version = "sandbox"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        now = self.server.now()
        reply = self.server.site(self.path, self.server.base, self.server.scenario.published(now), now)
        body = reply.body.encode("utf-8", "replace")
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests of our own crawler are counted by the crawler."""
