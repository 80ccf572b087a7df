"""Texts and questions as lists of words, alike for every backend.

Both are cut by the segmenter handed in, brought to one form (NFKC, case folded) and freed of punctuation, so
that an index that splits at blanks sees the same words everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from domain.errors import UsageError
from store.codec import clean

Segment = Callable[[str], list[str]]
"""Cuts a text into its words, in order."""
QUOTES = str.maketrans("“”„‟＂", '"""""')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Zero-width and direction marks, with which words are hidden from filters."""


def words(text: str, segment: Segment) -> list[str]:
    """The words of a text, in order."""
    plain = _CONTROL.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", clean(text))))
    found = " ".join(segment(plain)).casefold().split()
    return [word for word in found if word.isalnum() or not _silent(word)]


def phrases(text: str, segment: Segment) -> list[list[str]]:
    """What must occur: each inner list is a phrase, its words side by side; a lone word is a phrase of one.

    Raises ``UsageError`` for a quote that is not closed.
    """
    parts = clean(text).translate(QUOTES).split('"')
    if len(parts) % 2 == 0:
        raise UsageError('查询里的引号没有成对：短语请写成 "提现困难"')
    found: list[list[str]] = []
    for number, part in enumerate(parts):
        cut = words(part, segment)
        if number % 2:
            found.append(cut)
        else:
            found.extend([word] for word in cut)
    return [phrase for phrase in found if phrase]


def _silent(word: str) -> bool:
    """Nothing but punctuation and marks that no reader would look for."""
    return all(unicodedata.category(character)[0] in "PZC" for character in word)
