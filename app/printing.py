"""Text from outside on a terminal: without control characters, on one line."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO
from urllib.parse import urlsplit


def plain(text: str) -> str:
    """One line of printable text: escape sequences and bidirectional overrides of a hostile post do nothing."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def address(url: str) -> str:
    """Where an engine is, for people: without user, password and options."""
    if url.startswith("sqlite:"):
        return plain(url)
    parts = urlsplit(url)
    return plain(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def note(line: str, stream: TextIO) -> None:
    """One line of a running service. A log that cannot be written (full disk, closed pipe) stops nothing."""
    with suppress(OSError):
        print(line, file=stream, flush=True)
