"""Texts and questions as lists of words, alike for every backend.

Both are cut by the segmenter handed in, brought to one form (NFKC, case folded) and freed of punctuation, so
that an index that splits at blanks sees the same words everywhere. A compound is kept as its pieces: who looks
for 提现 finds 提现困难, and who looks for the compound looks for its pieces side by side.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from domain.errors import UsageError
from store.codec import clean

Segment = Callable[[str], list[str]]
"""Cuts a text into its words, in order; of a compound its pieces, parted by a blank."""
QUOTES = str.maketrans("“”„‟＂", '"""""')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Zero-width and direction marks, with which words are hidden from filters."""


def words(text: str, segment: Segment) -> list[str]:
    """The words of a text, in order, compounds in their pieces."""
    return [piece for word in _cut(text, segment) for piece in word]


def phrases(text: str, segment: Segment) -> list[tuple[str, ...]]:
    """What must occur: one of the phrases of each inner tuple; a phrase is words side by side, parted by blanks.

    There are two where a compound is among them: posts that an earlier release cut hold it whole. Raises
    ``UsageError`` for a quote that is not closed.
    """
    parts = clean(text).translate(QUOTES).split('"')
    if len(parts) % 2 == 0:
        raise UsageError('查询里的引号没有成对：短语请写成 "提现困难"')
    found: list[list[list[str]]] = []
    for number, part in enumerate(parts):
        cut = _cut(part, segment)
        found.extend([cut] if number % 2 else ([word] for word in cut))
    return [_either(phrase) for phrase in found if phrase]


def _either(phrase: list[list[str]]) -> tuple[str, ...]:
    parted, whole = " ".join(map(" ".join, phrase)), " ".join(map("".join, phrase))
    return tuple(dict.fromkeys((parted, whole)))


def _cut(text: str, segment: Segment) -> list[list[str]]:
    """The words of a text, each in its pieces."""
    plain = _CONTROL.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", clean(text))))
    found = (word.casefold().split() for word in segment(plain))
    told = ([piece for piece in word if piece.isalnum() or not _silent(piece)] for word in found)
    return [word for word in told if word]


def _silent(word: str) -> bool:
    """Nothing but punctuation and marks that no reader would look for."""
    return all(unicodedata.category(character)[0] in "PZC" for character in word)
