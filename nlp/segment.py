"""Chinese words by jieba, with the words of our trade; one tokenizer of our own, no global state."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp.clean import simplify
from nlp.wordlists import words as listed

if TYPE_CHECKING:
    from jieba import Tokenizer

LONGEST_RUN = 2_000
"""Characters cut at once: jieba's time grows faster than the length of a run without punctuation."""


def _jieba() -> Any:
    # jieba 0.42 has invalid escapes in its source and asks for pkg_resources: neither is our user's business.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
        import jieba.finalseg
    jieba.default_logger.setLevel(logging.CRITICAL)
    return jieba


class Segmenter:
    """Cuts text into words; the same words for indexing and for asking.

    ``words``: further words to know (brands, topic words). ``cache``: a folder for jieba's prefix dictionary, which
    makes every later start quick; the system's temporary folder when not given.
    """

    def __init__(self, words: Iterable[str] = (), *, cache: Path | None = None) -> None:
        self._words = [*listed("finance"), *words]
        self._cache = cache

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        module = _jieba()
        tokenizer: Tokenizer = module.Tokenizer()
        folder = self._cache or Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.tmp_dir = str(folder)
        tokenizer.cache_file = "yujing-jieba.cache"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer.initialize()
        for word in self._words:
            if len(word) > 1 and not any(c.isspace() for c in word):
                tokenizer.add_word(word)
        return tokenizer

    def tokens(self, text: str) -> list[str]:
        """Words in order, lower case, simplified, without blanks and punctuation. Any text, bounded time."""
        return [token for token, _ in self.placed(text)]

    def placed(self, text: str) -> list[tuple[str, int]]:
        """Words as ``tokens`` gives them, each with its place in ``simplify(text)``."""
        plain = simplify(text)
        low = plain.lower()
        if len(low) != len(plain):
            low = plain
        found = []
        for start in range(0, len(low), LONGEST_RUN):
            place = start
            for word in self._tokenizer.cut(low[start : start + LONGEST_RUN], HMM=True):
                if any(c.isalnum() for c in word):
                    found.append((word, place))
                place += len(word)
        return found
