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
