"""Words for people: what a post is about, and what in it carried the decision."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property, lru_cache

from nlp.brands import as_written
from nlp.clean import LINK, clip, normalise
from nlp.disguise import disguised
from nlp.judgement import Judgement
from nlp.labels import SENTIMENTS
from nlp.rarity import rarity
from nlp.segment import Segmenter
from nlp.wide import Wide
from nlp.wordlists import words

MOST_KEYWORDS = 10
MOST_DECISIVE = 5
LONGEST = 12
"""Characters of a decisive word."""
FAINT = 0.2
"""Part of the loudest decisive word's weight below which another one is chance (风口浪尖 beside 跑路)."""
EVERYDAY = 6.0
"""Words of jieba's corpus below this inverse document frequency (处理 5.4, 知道 4.0) mark nothing by themselves."""
READ = 3_000
"""Characters of a post that are looked at."""
_HAS_LETTER = re.compile(r"[^\W\d_]")
_QUANTITY = re.compile(
    r"[第几]?[一二两三四五六七八九十百千万亿几半][零一二两三四五六七八九十百千万亿几半多]*"
    r"[个次名位人元块笔天周年月日号点时分秒钟期页遍张条家种层成岁]*"
)
"""三百名, 十分钟, 第六: jieba takes them for words, and rare ones."""
_MARKUP = re.compile(
    rf"<!--[^<>]*>|<[/!]?[a-z][a-z0-9]*(?:[\s/][^<>]*)?(?:>|{LINK})|&(?:[a-z]{{2,8}}|#x?[0-9a-f]{{1,6}});"
    r"|\{[a-z]{2,8}:\d+\}",
    re.IGNORECASE,
)
"""Tags (of some the end went with a link), character references and places of pictures: {IMG:1}."""
_ASIDE = re.compile(
    rf"(?:回复)?@[\w\-·]{{2,15}}(?![\w\-·])|\[(?:{'|'.join(map(re.escape, words('emoticons')))})\]",
    re.IGNORECASE,
)
"""People who are spoken to or passed on (//@name:), and pictures written as words ([允悲])."""


def _without(pattern: re.Pattern[str], text: str) -> str:
    """The text with blanks instead of what is found, as long as before."""
    return pattern.sub(lambda found: " " * len(found[0]), text)


@lru_cache(4096)
def _plain(name: str) -> str:
    """A name as it stands in a text that the model read, case aside."""
    return normalise(clip(name, head=64, tail=0)).lower()


class Terms:
    """Keywords by TF-IDF with jieba's document frequencies, and decisive words by the n-gram part's weights."""

    def __init__(self, segmenter: Segmenter, *, risk_words: Collection[str] = ()) -> None:
        self._segmenter = segmenter
        self._risk = frozenset(word.lower() for word in risk_words)

    @cached_property
    def _stop(self) -> frozenset[str]:
        return frozenset(words("stop"))

    def keywords(self, text: str, names: Sequence[str] = ()) -> tuple[str, ...]:
        """The weightiest words, best first, at most ten; of the text as the model read it.

        ``names`` found in it, in whatever script or case, are taken as words and shown as given.
        """
        text = " ".join(_without(_MARKUP, text).split())[:READ].lower()
        counts: Counter[str] = Counter()
        for name in sorted(names, key=len, reverse=True):  # a name within another one is not its piece
            plain = _plain(name)
            if len(plain) > 1 and (times := text.count(plain)):
                counts[name] += times
                text = text.replace(plain, " ")
        cut = Counter(self._segmenter.tokens(_without(_ASIDE, text)))
        # A Chinese word that was only guessed, and once: a shred, or somebody's name.
        counts.update(
            {
                word: n
                for word, n in cut.items()
                if self._telling(word) and (n > 1 or word.isascii() or self._segmenter.knows(word))
            }
        )
        # A word that jieba's corpus never saw is as telling as its rarer half (11.98 is the median there).
        weight = {word: n * rarity(word, 11.98) for word, n in counts.items()}
        best = sorted(weight, key=lambda word: (-weight[word], word))
        return tuple(best[:MOST_KEYWORDS])

    def _telling(self, word: str) -> bool:
        if not 2 <= len(word) <= 20 or word in self._stop or _QUANTITY.fullmatch(word):
            return False
        return word.isalpha() or bool(_HAS_LETTER.search(word))

    def _says_little(self, word: str) -> bool:
        """An everyday word, or one that was only guessed: often across the border of two words (点提, 到现)."""
        return rarity(word, EVERYDAY) < EVERYDAY or not self._segmenter.knows(word)

    def decisive(
        self, original: str, judgement: Judgement, wide: Wide, names: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Literal substrings of the original that spoke most for what was decided, at most five of 2–12 characters.

        Of what speaks much more softly than the loudest word, nothing is shown: it would be there by chance.
        Empty for a neutral post without topics: nothing was decided against anybody. ``names`` (who it is about)
        and everyday words are left out: they say nothing to a reader, whatever weight they had.
        """
        outputs = [len(SENTIMENTS) + topic for topic in judgement.decided[:3]]
        if judgement.best != "neutral":
            outputs.append(SENTIMENTS.index(judgement.best))
        if not outputs:
            return ()
        text = judgement.read[:READ]
        carried = wide.carriers(text, outputs)
        plain = [_plain(name) for name in names]
        scored: dict[str, float] = {}
        for word, place in self._segmenter.placed(_without(_ASIDE, _without(_MARKUP, text))):
            worth = float(carried[place : place + len(word)].sum())
            if word in self._risk:
                worth = max(worth, 0.0) * 1.5 + 1e-3
            elif self._says_little(word) or any(word in name for name in plain):
                continue
            if len(word) <= LONGEST and worth > 0 and self._telling(word):
                scored[word] = max(worth, scored.get(word, 0.0))
        least = FAINT * max(scored.values(), default=0.0)
        loud = [word for word, worth in scored.items() if worth >= least]
        return _literal(original, sorted(loud, key=lambda word: (-scored[word], word)))


def _literal(original: str, words: Sequence[str]) -> tuple[str, ...]:
    """The first words that stand in the original, each as it writes it: in its own case and script, or disguised."""
    found: list[str] = []
    low = original.lower()
    disguises: dict[str, str] | None = None
    for word, written in zip(words, as_written(original[:READ], words), strict=True):
        at = low.find(written.lower()) if len(low) == len(original) else original.find(written)
        literal = original[at : at + len(written)] if at >= 0 else ""
        if not literal:
            disguises = disguised(original[:READ]) if disguises is None else disguises
            literal = _disguise_of(word, disguises)
        if 0 < len(literal) <= LONGEST and literal not in found:
            found.append(literal)
    return tuple(found[:MOST_DECISIVE])


def _disguise_of(word: str, disguises: dict[str, str]) -> str:
    """How the word is written, or else what it is part of (TX不了), or has in it (卷款跑lu)."""
    near = [plain for plain in disguises if plain in word or word in plain]
    return disguises[min(near, key=lambda plain: abs(len(plain) - len(word)))] if near else ""
