"""Word pieces of normalised text, cut into windows, with the places where companies are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import BertWordPieceTokenizer

CLS, SEP = 2, 3
WINDOW = 254
"""Word pieces of text in one window; [CLS] and [SEP] are added."""
MAX_MENTIONS = 16
"""Mentions of one name that are looked at, from the front."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pieces:
    """A tokenised text."""

    ids: list[int]
    offsets: list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Ids with [CLS] and [SEP], and for each name the spans (start, end) of its mentions in them."""

    ids: list[int]
    spans: list[list[tuple[int, int]]]


class Tokeniser:
    """The encoder's WordPiece tokeniser. Raises ``ModelError`` when the vocabulary is not its own."""

    def __init__(self, vocab: Path) -> None:
        from tokenizers import BertWordPieceTokenizer

        try:
            self._inner: BertWordPieceTokenizer = BertWordPieceTokenizer(
                str(vocab), lowercase=True, strip_accents=True
            )
        except Exception as error:  # the Rust side raises bare Exception
            raise ModelError(f"词表 {vocab} 不能用:{error}") from error
        if self._inner.token_to_id("[CLS]") != CLS or self._inner.token_to_id("[SEP]") != SEP:
            raise ModelError(f"词表 {vocab} 不是这个模型的")

    def pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """Word pieces of many texts."""
        encoded = self._inner.encode_batch(list(texts), add_special_tokens=False)
        return [Pieces(ids=e.ids, offsets=e.offsets) for e in encoded]


def occurrences(text: str, name: str) -> list[tuple[int, int]]:
    """Character spans of the first mentions of a name; case does not matter."""
    found: list[tuple[int, int]] = []
    if not name:
        return found
    low, needle = text.lower(), name.lower()
    if len(low) != len(text):
        low, needle = text, name
    at = low.find(needle)
    while at >= 0 and len(found) < MAX_MENTIONS:
        found.append((at, at + len(needle)))
        at = low.find(needle, at + len(needle))
    return found


def token_span(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """Pieces that overlap the characters [start, end); None when none does."""
    import bisect

    first = bisect.bisect_right(offsets, start, key=lambda offset: offset[1])
    last = bisect.bisect_left(offsets, end, key=lambda offset: offset[0])
    return (first, last) if last > first else None


def window(
    pieces: Pieces, spans: Sequence[Sequence[tuple[int, int]]], start: int, size: int = WINDOW
) -> Window:
    """One window of the text from piece ``start`` on; spans (in pieces) outside of it are dropped."""
    end = start + size
    inside = [
        [(max(a, start) - start + 1, min(b, end) - start + 1) for a, b in name if a < end and b > start]
        for name in spans
    ]
    return Window(ids=[CLS, *pieces.ids[start:end], SEP], spans=inside)


def mentions(text: str, pieces: Pieces, names: Sequence[str]) -> list[list[tuple[int, int]]]:
    """For each name the spans of pieces that mention it."""
    result = []
    for name in names:
        spans = (token_span(pieces.offsets, start, end) for start, end in occurrences(text, name))
        result.append([span for span in spans if span is not None])
    return result
