"""Word pieces of normalised text, cut into windows, with the places where companies are named."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding

WINDOW = 254
"""Word pieces of text in one window; the tokeniser's first and last piece are added."""
MAX_MENTIONS = 16
"""Mentions of one name that are looked at, from the front."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pieces:
    """A tokenised text."""

    ids: list[int]
    ends: tuple[int, int]
    """What the encoder wants before and after a text ([CLS] and [SEP])."""
    encoding: Encoding = field(repr=False, compare=False)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """Characters (start, end) of every piece."""
        offsets: list[tuple[int, int]] = self.encoding.offsets
        return offsets


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Ids with the first and the last piece, and for each name the spans (start, end) of its mentions in them."""

    ids: list[int]
    spans: list[list[tuple[int, int]]]


class Tokeniser:
    """The encoder's tokeniser: of a ``tokenizer.json`` (its content, or the file), or of a BERT ``vocab.txt``.

    Raises ``ModelError`` when it is none, or none of the BERT family.
    """

    def __init__(self, source: Path | str) -> None:
        from tokenizers import BertWordPieceTokenizer, Tokenizer

        try:
            if isinstance(source, str):
                self._inner = Tokenizer.from_str(source)
            elif source.suffix == ".json":
                self._inner = Tokenizer.from_file(str(source))
            else:
                own = BertWordPieceTokenizer(str(source), lowercase=True, strip_accents=True)
                self._inner = Tokenizer.from_str(own.to_str())
            self._inner.no_truncation()
            self._inner.no_padding()
            self._inner.encode_special_tokens = True  # "[SEP]" in a post is what somebody wrote
            ends = self._inner.encode("").ids
        except Exception as error:  # the Rust side raises bare Exception
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"词表 {source if isinstance(source, Path) else ''} 不能用:{reason}") from error
        if len(ends) != 2:
            raise ModelError("词表没有 [CLS] 和 [SEP],不是 BERT 一类的")
        self._ends = (ends[0], ends[1])

    @property
    def json(self) -> str:
        """As the content of a ``tokenizer.json``."""
        text: str = self._inner.to_str()
        return text

    @property
    def size(self) -> int:
        """Ids are below this."""
        size: int = self._inner.get_vocab_size()
        return size

    @property
    def ends(self) -> tuple[int, int]:
        """The piece before and the one after a text."""
        return self._ends

    @property
    def mask(self) -> int:
        """The piece that stands for a hidden one. Raises ``ModelError`` when there is none."""
        for name in ("[MASK]", "<mask>"):
            if (number := self._inner.token_to_id(name)) is not None:
                return int(number)
        raise ModelError("词表没有 [MASK]，不能用来预训练")

    def pieces(self, texts: Sequence[str]) -> list[Pieces]:
        """Word pieces of many texts."""
        encoded = self._inner.encode_batch(list(texts), add_special_tokens=False)
        return [Pieces(ids=e.ids, ends=self._ends, encoding=e) for e in encoded]


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


def told_of(text: str, names: Sequence[str]) -> list[str]:
    """The different names that a text mentions (``occurrences``), in the order given."""
    low = text.lower()
    if len(low) != len(text):
        return [name for name in dict.fromkeys(names) if name and name in text]
    return [name for name in dict.fromkeys(names) if name and name.lower() in low]


def token_span(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """Pieces that overlap the characters [start, end); None when none does."""
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
    return Window(ids=[pieces.ends[0], *pieces.ids[start:end], pieces.ends[1]], spans=inside)


def mentions(text: str, pieces: Pieces, names: Sequence[str]) -> list[list[tuple[int, int]]]:
    """For each name the spans of pieces that mention it."""
    if not names:
        return []
    offsets = pieces.offsets
    result = []
    for name in names:
        spans = (token_span(offsets, start, end) for start, end in occurrences(text, name))
        result.append([span for span in spans if span is not None])
    return result
