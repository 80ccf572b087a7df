"""One scheduler at a time, on however many hosts: it leads while it holds a lease in the ledger, else it waits.

The holder renews every ``RENEW_S``. One that cannot stops by its own clock before anybody else may start; one that
was killed is followed when its lease ends, or at once on the machine where its process can be seen to be gone.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from domain.errors import StoreError
from monitor.scheduler import Scheduler
from store.ledger import SCHEDULER, Lease, Leases

LEASE_S = 20.0
"""Longest time without a leader after one was killed, less ``LOOK_S``."""
RENEW_S = 5.0
LOOK_S = 2.0
"""Seconds between two looks of one that waits."""
_POLL_S = 0.5


class Leader:
    """A process that leads, or waits for its turn. ``say`` gets one line when that changes for an unusual reason."""

    def __init__(
        self,
        leases: Leases,
        *,
        say: Callable[[str], None],
        place: str | None = None,
        seconds: float = LEASE_S,
    ) -> None:
        self._leases = leases
        self._say = say
        self._holder = f"{socket.gethostname()} 进程 {os.getpid()}"
        self._place = this_place() if place is None else place
        self._seconds = seconds
        self._said = ""

    def lead(
        self, scheduler: Callable[[Callable[[], bool]], Scheduler], *, wait: Callable[[float], bool]
    ) -> None:
        """Run a new scheduler whenever the lease can be had and for as long as it holds, until asked to end.

        ``scheduler`` makes one that asks the function given before it runs anything; ``wait`` sleeps so many
        seconds, less when asked to end, and returns whether it was. Raises ``StoreError`` for a permanent refusal.
        """
        while not wait(0):
            try:
                term = self._take()
                if term is not None:
                    self._serve(term, scheduler, wait)
                    continue
            except StoreError as error:
                if error.permanent:
                    raise
                self._tell(str(error))
            wait(LOOK_S)

    def _take(self) -> Term | None:
        asked = _clock()
        lease = self._leases.take(
            SCHEDULER, holder=self._holder, place=self._place, seconds=self._seconds, gone=gone
        )
        if lease is not None:
            return Term(self._leases, lease, asked=asked, seconds=self._seconds, say=self._tell)
        other = self._leases.get(SCHEDULER)
        if other is not None:
            self._tell(f"{other.holder} 正在主持调度，本进程待命")
        return None

    def _serve(
        self,
        term: Term,
        scheduler: Callable[[Callable[[], bool]], Scheduler],
        wait: Callable[[float], bool],
    ) -> None:
        if self._said:
            self._tell("本进程开始主持调度")
        with term:
            running = scheduler(term.holds)
            try:
                running.start()
                while term.holds() and not wait(_POLL_S):
                    pass
                if not term.holds():
                    self._tell("续不上调度权：停下任务，等待重新取得")
            finally:
                running.stop()

    def _tell(self, line: str) -> None:
        if line != self._said:
            self._said = line
            self._say(line)


class Term:
    """One turn at leading: renews its lease in a thread of its own, and gives it back at the end."""

    def __init__(
        self, leases: Leases, lease: Lease, *, asked: float, seconds: float, say: Callable[[str], None]
    ) -> None:
        self._leases = leases
        self._lease = lease
        self._seconds = seconds
        self._say = say
        # From before the question: the database's time for it ends later than ours.
        self._until = asked + seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def holds(self) -> bool:
        """Whether nobody else can have the lease; asks nobody."""
        return _clock() < self._until

    def __enter__(self) -> Term:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if not self.holds():
            return
        try:
            self._leases.release(self._lease)
        except StoreError as refused:
            self._say(str(refused))

    def _renew(self) -> None:
        while not self._ended.wait(min(RENEW_S, self._seconds / 4)):
            asked = _clock()
            try:
                renewed = self._leases.renew(self._lease, seconds=self._seconds)
            except StoreError as error:
                self._say(str(error))
                continue
            self._until = asked + self._seconds if renewed else asked
            if not renewed:
                return


def this_place() -> str:
    """This process among all processes of all machines; empty where that cannot be told (not on Linux)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return f"{boot} {space} {os.getpid()} {_birth(os.getpid())}"


def gone(place: str) -> bool:
    """Whether a place is on this machine (since its last start, in this container) and its process has ended."""
    parts, mine = place.split(), this_place().split()
    if len(parts) != 4 or parts[:2] != mine[:2]:
        return False
    pid = int(parts[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Somebody else's, and so alive; its birth may be hidden from us.
        return False
    return _birth(pid) != parts[3]


def _birth(pid: int) -> str:
    """When a process started, in the kernel's ticks: a number given again is not the same process."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else rest[18]


def _clock() -> float:
    # A machine that slept has lost its lease: this clock goes on meanwhile, where there is one.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
