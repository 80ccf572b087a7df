"""Text from outside on a terminal: without control characters, on one line."""

from __future__ import annotations


def plain(text: str) -> str:
    """One line of printable text: escape sequences and bidirectional overrides of a hostile post do nothing."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
