"""What is wrong with a configuration, said so that a person can mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One fault of one file."""

    file: str
    """Path as the person wrote the folder, joined with the file's name."""
    line: int
    """1-based; 0 when the fault is of the file as a whole."""
    key: str
    """Path of the field, ``routes[0].level``; empty when the fault is of the file as a whole."""
    message: str
    """One Chinese clause without a line break."""
    suggestion: str = ""
    """What was probably meant; empty when there is no near miss."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        parts = [place, self.key, self.message] if self.key else [place, self.message]
        hint = f"（是不是想写 {self.suggestion}？）" if self.suggestion else ""
        return ": ".join(parts) + hint


def near(word: str, choices: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known word closest to a mistyped one; empty when none is as close as ``cutoff`` (0..1)."""
    known = sorted(choices)
    folded = {choice.casefold(): choice for choice in known}
    found = difflib.get_close_matches(word.casefold()[:200], folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else ""
