"""Real servers on this machine, for tests, benchmarks and ``make demo ENGINES=1``: loopback only, random ports.

One file an engine, each with one class that keeps to ``Server``. What is installed how: ``install.sh``.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol


class Missing(Exception):
    """An engine is not installed here; the text says what to install."""


class Server(Protocol):
    """One server with a data folder of its own; the constructor takes the folder and raises ``Missing``.

    ``start`` returns when it serves, on the same port and the same data each time, and raises ``RuntimeError`` with
    the end of its log when it does not; ``stop`` ends it in order, ``kill`` at once (SIGKILL).
    """

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment (``YUJING_…``) of a service that uses this server."""

    def start(self) -> None:
        """Serve."""

    def stop(self) -> None:
        """End in order; nothing when it does not run."""

    def kill(self) -> None:
        """End at once, as a power cut would."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
