"""The word lists that come with the package (``nlp/words/*.txt``)."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def words(name: str) -> tuple[str, ...]:
    """A list: one word a line, # starts a comment, in the file's order."""
    text = (resources.files("nlp") / "words" / f"{name}.txt").read_text("utf-8")
    return tuple(word for line in text.splitlines() if (word := line.partition("#")[0].strip()))
