"""How a long-running part of the service learns that it should end."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

SUPERVISED = "YUJING_SUPERVISED"
"""Environment variable by which ``yujing up`` tells its children its process id: end when the parent is gone."""


class Interrupted(Exception):
    """What was going on ends early because somebody asked for it; no failure."""


class Stop:
    """Set by SIGTERM or SIGINT, or by the death of a supervising parent."""

    def __init__(self, *, parent: int | None) -> None:
        self._event = threading.Event()
        self._parent = parent

    @classmethod
    def on_signals(cls) -> Stop:
        """A stop that listens to this process's signals; call it in the main thread."""
        # Not getppid(): a parent that has died before this line would be mistaken for its successor.
        parent = os.environ.get(SUPERVISED)
        stop = cls(parent=int(parent) if parent else None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop._heard)
        return stop

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()

    def set(self) -> None:
        """Ask to end."""
        self._event.set()

    def check(self) -> None:
        """Raises ``Interrupted`` when asked to end.

        For places where a piece of work may end. A handler that raises would do so anywhere: native code takes
        the exception for a failure of its own, a weakref's callback loses it.
        """
        if self.asked:
            raise Interrupted

    @property
    def asked(self) -> bool:
        """Whether to end now."""
        if self._parent is not None and os.getppid() != self._parent:
            self._event.set()
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when asked to end; returns ``asked``. An orphan notices within a second."""
        deadline = time.monotonic() + seconds
        while not self.asked:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._event.wait(min(left, 1.0))
        return self.asked
