"""A local web server that misbehaves on request; every route is a function of the request."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Route = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One request and the way to answer it."""

    handler: BaseHTTPRequestHandler
    site: Site
    path: str
    query: dict[str, str]

    @property
    def nth(self) -> int:
        """How often this path was asked for, this time included."""
        return self.site.hits[self.path]

    def send(
        self,
        body: bytes | str,
        *,
        status: int = 200,
        kind: str = "text/html",
        headers: dict[str, str] | None = None,
    ) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.handler.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(data)


@dataclass
class Site:
    """Routes by path; a path that ends in ``*`` matches by prefix."""

    routes: dict[str, Route] = field(default_factory=dict)
    hits: Counter[str] = field(default_factory=Counter)
    log: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __enter__(self) -> Site:
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 20

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                site.hits[parts.path] += 1
                site.log.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                site.times.append(time.monotonic())
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                route = site.find(parts.path)
                try:
                    route(Exchange(self, site, parts.path, query))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                return  # a crawler that hangs up in the middle is what is being tested

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def find(self, path: str) -> Route:
        if path in self.routes:
            return self.routes[path]
        for pattern, route in self.routes.items():
            if pattern.endswith("*") and path.startswith(pattern[:-1]):
                return route
        return missing

    def count(self, prefix: str) -> int:
        return sum(n for path, n in self.hits.items() if path.startswith(prefix))


def missing(x: Exchange) -> None:
    x.send("not found", status=404)


def page(body: bytes | str, **kwargs: object) -> Route:
    return lambda x: x.send(body, **kwargs)  # type: ignore[arg-type]


def redirect(to: str) -> Route:
    return lambda x: x.send(b"", status=302, headers={"Location": to})


def slow(seconds: float) -> Route:
    def route(x: Exchange) -> None:
        time.sleep(seconds)
        x.send("late")

    return route


def truncated(body: bytes) -> Route:
    """Promises more than it sends, then hangs up."""

    def route(x: Exchange) -> None:
        x.handler.send_response(200)
        x.handler.send_header("Content-Length", str(len(body) * 2))
        x.handler.end_headers()
        x.handler.wfile.write(body)
        x.handler.close_connection = True

    return route


def gzip_bomb(megabytes: int) -> Route:
    packed = gzip.compress(b"\0" * (megabytes << 20))
    return lambda x: x.send(packed, headers={"Content-Encoding": "gzip"})


def huge(megabytes: int) -> Route:
    return lambda x: x.send(b"<p>" + b"x" * (megabytes << 20))


def hang_up(x: Exchange) -> None:
    x.handler.close_connection = True
    x.handler.connection.close()


def first(n: int, bad: Route, then: Route) -> Route:
    """Bad the first n times, then good."""
    return lambda x: (bad if x.nth <= n else then)(x)
