"""Chinese words by jieba, with the words of our trade; one tokenizer of our own, no global state."""

from __future__ import annotations

import logging
import marshal
import math
import os
import re
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp.clean import simplify
from nlp.wordlists import words as listed

if TYPE_CHECKING:
    from jieba import Tokenizer

LONGEST_RUN = 2_000
"""Characters cut at once: jieba's time grows faster than the length of a run without punctuation."""

COMMON = 300
"""Times that a word of ours counts at least as found in jieba's corpus of 60 million: of 不到账, 到账 is the word."""

_RUNS = re.compile(r"([\u4e00-\u9fd5a-zA-Z0-9+#&\._%\-]+)")
"""What jieba cuts; every other character is a word by itself."""
_SCRIPTS = re.compile(r"[\u4e00-\u9fd5]+|[^\u4e00-\u9fd5]+")
_CHINESE = re.compile(r"[\u4e00-\u9fd5]")


def _jieba() -> Any:
    # jieba 0.42 has invalid escapes in its source and asks for pkg_resources: neither is our user's business.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
        import jieba.finalseg
    jieba.default_logger.setLevel(logging.CRITICAL)
    return jieba


def own_folder(parent: Path) -> Path:
    """A folder below ``parent`` that only this user can write to. The cache is read by marshal, which trusts what it
    reads: in a folder for everybody it could be somebody else's."""
    folder = parent / f"yujing-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="yujing-", dir=parent))


def _initialise(tokenizer: Any, cache: Path) -> None:
    """jieba reads its own cache value by value from the file; all at once takes a third of the time."""
    try:
        tokenizer.FREQ, tokenizer.total = marshal.loads(cache.read_bytes())  # noqa: S302 - jieba's own format
        tokenizer.initialized = True
    except (OSError, EOFError, ValueError, TypeError):  # none yet, or a broken one, which jieba writes anew
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tokenizer.initialize()


def _teach(tokenizer: Any, words: Iterable[str]) -> None:
    for word in words:
        if len(word) > 1 and not any(c.isspace() for c in word):
            tokenizer.add_word(word, max(COMMON, tokenizer.suggest_freq(word)))


class Segmenter:
    """Cuts text into words; the same words for indexing and for asking.

    ``words``: further words to know (brands, topic words). ``cache``: a folder for jieba's prefix dictionary, which
    makes every later start quick; one of this user's in the system's temporary folder when not given.
    """

    def __init__(self, words: Iterable[str] = (), *, cache: Path | None = None) -> None:
        self._words = list(words)
        self._told: frozenset[str] = frozenset()
        self._cache = cache

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        module = _jieba()
        tokenizer: Tokenizer = module.Tokenizer()
        folder = self._cache or own_folder(Path(tempfile.gettempdir()))
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.tmp_dir = str(folder)
        tokenizer.cache_file = "yujing-jieba.cache"
        _initialise(tokenizer, folder / tokenizer.cache_file)
        _teach(tokenizer, listed("finance"))
        self._told = frozenset(word for word in self._words if not tokenizer.FREQ.get(word))
        _teach(tokenizer, self._words)
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
            for word in self._cut(low[start : start + LONGEST_RUN]):
                if word.isalnum() or any(c.isalnum() for c in word):
                    found.append((word, place))
                place += len(word)
        return found

    def _cut(self, text: str) -> Iterator[str]:
        """What jieba's ``cut`` gives, in half its time: a test compares the two."""
        for run in _RUNS.split(text):
            if not run or not _RUNS.match(run):
                yield from run
                continue
            unknown = ""
            for word in self._words_of(run):
                if len(word) == 1:
                    unknown += word
                    continue
                yield from self._singles(unknown)
                unknown = ""
                yield word
            yield from self._singles(unknown)

    def knows(self, word: str) -> bool:
        """Whether a word is in the dictionary, or was only guessed."""
        return bool(self._tokenizer.FREQ.get(word))

    def parted(self, text: str) -> list[str]:
        """Words as ``tokens`` gives them, for a search index: a compound is parted by blanks into its pieces
        (提现困难 → 提现 困难), a word that was guessed, or told by the caller, into its characters: they are found
        whatever stands beside, and whatever is told later."""
        return [self._pieces(word) for word in self.tokens(text)]

    @cached_property
    def _pieces(self) -> Callable[[str], str]:
        @lru_cache(65_536)
        def pieces(word: str) -> str:
            runs = _SCRIPTS.findall(word)
            if len(runs) > 1:  # 714高炮
                return " ".join(map(pieces, runs))
            if len(word) == 1 or not _CHINESE.match(word):
                return word
            if len(word) == 2 and self.knows(word) and word not in self._told:
                return word
            return " ".join(map(pieces, self._words_of(word, whole=False)))

        return pieces

    def _words_of(self, run: str, *, whole: bool = True) -> Iterator[str]:
        """The most probable way to cut a run into known words and single characters; unless ``whole``, into several."""
        known, total, end = self._tokenizer.FREQ, math.log(self._tokenizer.total), len(run)
        best, following = [0.0] * (end + 1), [0] * end
        for i in range(end - 1, -1, -1):
            most, place, k = -math.inf, 0, i + 1
            last = end if whole or i else end - 1
            frequency = known.get(run[i])
            while frequency is not None:
                if frequency and (worth := math.log(frequency) - total + best[k]) >= most:
                    most, place = worth, k
                k += 1
                frequency = known.get(run[i:k]) if k <= last else None
            best[i], following[i] = (most, place) if place else (best[i + 1] - total, i + 1)
        i = 0
        while i < end:
            yield run[i : following[i]]
            i = following[i]

    def _singles(self, characters: str) -> Iterable[str]:
        """Neighbouring single characters: perhaps a word that the dictionary lacks (jieba's hidden Markov model)."""
        if len(characters) < 2 or self._tokenizer.FREQ.get(characters):
            return characters
        return _guessed(characters) if len(characters) <= 12 else _guessed.__wrapped__(characters)


@lru_cache(8192)
def _guessed(characters: str) -> tuple[str, ...]:
    return tuple(_jieba().finalseg.cut(characters))
