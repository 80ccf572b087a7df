"""The plainest classifier: good and bad words, counted. A baseline for ``yujing evaluate``, never used to judge."""

from __future__ import annotations

from collections.abc import Iterable

from nlp.segment import Segmenter
from nlp.wordlists import words

_NEGATIONS = frozenset(
    ["没", "没有", "不", "未", "并未", "非", "无", "不是", "并非", "不存在", "未发现", "别"]
)
_REACH = 2


class Lexicon:
    """Counts good and bad words, turning them round after a negation within two words."""

    def __init__(self, segmenter: Segmenter, *, good: Iterable[str], bad: Iterable[str]) -> None:
        self._cut = segmenter.tokens
        self._good, self._bad = frozenset(good), frozenset(bad)

    @classmethod
    def shipped(cls, segmenter: Segmenter) -> Lexicon:
        """With the lists of ``nlp/words``."""
        return cls(segmenter, good=words("good"), bad=words("bad"))

    def sentiment(self, text: str) -> list[float]:
        """Scores for negative, neutral, positive; the largest decides."""
        tokens = self._cut(text)
        good = bad = 0
        for i, token in enumerate(tokens):
            turned = any(before in _NEGATIONS for before in tokens[max(0, i - _REACH) : i])
            if token in self._good:
                good, bad = (good, bad + 1) if turned else (good + 1, bad)
            elif token in self._bad and not turned:
                bad += 1
        return [float(bad > good), 0.5, float(good > bad)]
