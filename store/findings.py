"""What a store finds out about itself, for ``yujing doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    """What was looked at: a few Chinese words."""
    ok: bool
    text: str
    """What was found, in one line."""
    remedy: str = ""
    """What a person does about it, when it is not ok."""
    mendable: bool = False
    """``mend`` can put it right."""


class Examined(Protocol):
    """A store that can look at itself; every one does."""

    def examine(self) -> list[Finding]:
        """Look at the server, its version, its schema, its room; never raises for what it finds."""

    def mend(self) -> list[Finding]:
        """Put right what can be put right without losing anything; returns what was done or failed."""
