"""How rare a word is in jieba's corpus."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def _idf() -> dict[str, str]:
    """By word, as written: of a quarter of a million numbers few are ever asked for."""
    spec = find_spec("jieba")
    assert spec and spec.submodule_search_locations
    # Found without importing it: jieba's source warns about itself (nlp.segment).
    path = Path(spec.submodule_search_locations[0]) / "analyse" / "idf.txt"
    parts = path.read_text("utf-8").split()
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rarity(word: str, otherwise: float) -> float:
    """Inverse document frequency of a word in jieba's corpus: the rarer, the larger; the median is 11.98."""
    return float(_idf().get(word, otherwise))


LONGEST_WORD = 4
"""Characters of a word that is looked for beside a mark."""


def are_two_words(text: str, left: int, right: int, *, parted: bool = True) -> bool:
    """Whether a known word ends at the character ``left``, or one begins at ``right``: what marks and blanks between
    them keep apart are two words (北京 东莞, 慢跑/路跑), not one that is hidden (京·东, 跑.路).

    ``parted``: the marks part words; behind others a word that begins is chance (跑*路费).
    """
    before = (text[at : left + 1] for at in range(max(0, left - LONGEST_WORD + 1), left))
    after = (text[right:at] for at in range(right + 2, min(len(text), right + LONGEST_WORD) + 1))
    return any(rarity(word, 0) for word in (*before, *(after if parted else ())))
