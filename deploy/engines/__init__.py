"""Real servers on this machine, for tests, benchmarks and ``make demo ENGINES=1``: loopback only, random ports.

One file an engine, each with one class that keeps to ``Server``. What is installed how: ``install.sh``.
``python -m deploy.engines COMMAND …`` runs a command on the three of them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

STOP_S = 30.0
"""Seconds that a server has to end in order before it is killed."""


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


class Process:
    """A server's process: started with a log, awaited, ended."""

    def __init__(self, folder: Path, *, user: str | None) -> None:
        self._folder = folder
        self._log = folder / "server.log"
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running server. Raises ``RuntimeError`` when none runs."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def start(
        self,
        command: Sequence[str],
        *,
        ready: Callable[[], bool],
        within_s: float,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start, and wait until ``ready``. Raises ``RuntimeError`` with the end of the log."""
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **(env or {})},
                user=self._user,
                group=pwd.getpwnam(self._user).pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
            )
        deadline = time.monotonic() + within_s
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = self._log.read_text("utf-8", errors="replace")[-3000:]
                raise RuntimeError(f"{command[0]} does not serve:\n{tail}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and wait; killed when it does not."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL to it and to all that it started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


def other_user(*names: str) -> str | None:
    """Whom a server that refuses root runs as: nobody else than us when we are not root, else the first known."""
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise Missing(f"none of the users {', '.join(names)} is known here")


def own(folder: Path, user: str | None) -> None:
    """Make a folder, and give it to the user; temporary folders of ours above it let that user through.

    Raises ``Missing`` where another folder does not: whether strangers may enter that is not for us to change.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if user is None:
        return
    shutil.chown(folder, user)
    folder.chmod(0o700)
    temporary = Path(tempfile.gettempdir()).resolve()
    for above in folder.resolve().parents:
        state = above.stat()
        if state.st_mode & 0o001:
            continue
        if temporary not in above.parents or state.st_uid != os.geteuid():
            raise Missing(f"用户 {user} 进不了 {above}：给它 o+x 权限，或换一个文件夹")
        above.chmod(state.st_mode | 0o011)


def answers(port: int) -> bool:
    """Whether somebody listens on a port of the loopback interface."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
