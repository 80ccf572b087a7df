"""Which posts are worth a person's reading next. Pure: judged posts in, the chosen ones with reasons out.

Four questions, asked in turn so that none drowns the others: where the model doubts, where its two parts disagree,
where people use words that training never saw, and a tenth drawn blindly, which keeps the sample honest (a set of
hard posts alone would make every model look bad, and says nothing about what the model is sure and wrong of).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nlp.fusion import sigmoid
from nlp.judgement import Judgement
from nlp.labels import SENTIMENTS
from nlp.minhash import shingles, similarity
from nlp.rarity import rarity
from nlp.wide import LONGEST, Wide, grams

DOUBT, DISPUTE, NOVEL, BLIND = "拿不准", "两部分意见不同", "新词", "抽查"
ALIKE = 0.5
"""Similarity (Jaccard) from which on one of two posts is enough."""
LEAST_STORIES = 2
"""Stories in which a new word must occur: a word of one author is no new usage."""
_BLIND_EVERY = 10
_HAN = re.compile(r"(?!.*[一二三四五六七八九十百千万亿两几零])[\u4e00-\u9fff]{2,8}")
_RARE = 10.0
"""Words of jieba's corpus below this inverse document frequency are everybody's (参与 5.3, 奖金 7.8, 付息 8.7)."""
_WORDS = {"negative": "负面", "neutral": "中性", "positive": "正面"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One judged post that may be chosen."""

    id: str
    story: str
    judgement: Judgement
    grams: Sequence[float]
    """Logits of the three sentiments by the n-gram part alone."""
    words: frozenset[str] = frozenset()
    """Its words that training never saw."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A post to read, and why."""

    id: str
    reasons: tuple[str, ...]


def doubt(judgement: Judgement, thresholds: Sequence[float]) -> float:
    """How little the model is sure, 0..1: of the sentiment of the post or of a company, or of a topic."""
    margins = [_margin(p) for p in (judgement.sentiment, *judgement.entities)]
    gaps = [abs(_logit(p) - _logit(limit)) for p, limit in zip(judgement.topics, thresholds, strict=True)]
    return max(1 - min(margins), math.exp(-min(gaps)))


def dispute(judgement: Judgement, grams: Sequence[float]) -> float:
    """How far the model and its n-gram part are apart about the sentiment, 0..1 (total variation)."""
    alone = sigmoid(np.asarray(grams, np.float32))
    alone = alone / max(float(alone.sum()), 1e-6)
    return float(0.5 * np.abs(alone - np.asarray(judgement.sentiment)).sum())


def _margin(p: Sequence[float]) -> float:
    best, second = sorted(p, reverse=True)[:2]
    return best - second


def _logit(p: float) -> float:
    p = min(max(p, 1e-5), 1 - 1e-5)
    return math.log(p / (1 - p))


class NewWords:
    """Finds words of which the n-gram part knows nothing. ``tokens`` cuts a text; ``known``: names to leave out."""

    def __init__(self, wide: Wide, tokens: Callable[[str], Iterable[str]], known: Collection[str]) -> None:
        self._hashes = wide.hashes
        self._tokens = tokens
        self._known = frozenset(known)
        self._seen: dict[str, bool] = {}

    def of(self, text: str, names: Sequence[str] = ()) -> frozenset[str]:
        """New words of a normalised text; ``names`` are companies of it."""
        found = {word for word in self._tokens(text) if _plain(word) and word not in self._known}
        return frozenset(
            word for word in found if self._new(word) and not any(word in name for name in names)
        )

    def _new(self, word: str) -> bool:
        if word not in self._seen:
            hashes, sizes = grams(word)
            whole = hashes[sizes == min(len(word), LONGEST)]
            place = np.minimum(np.searchsorted(self._hashes, whole), len(self._hashes) - 1)
            self._seen[word] = not bool((self._hashes[place] == whole).all())
        return self._seen[word]


def _plain(word: str) -> bool:
    """A word of Chinese characters, no number, and none that everybody uses every day."""
    return bool(_HAN.fullmatch(word)) and rarity(word, _RARE) >= _RARE


def choose(
    candidates: Sequence[Candidate],
    *,
    thresholds: Sequence[float],
    text_of: Callable[[str], str],
    most: int,
    labelled: Iterable[str] = (),
) -> list[Chosen]:
    """At most ``most`` posts, one of a story and none like another, the questions asked in turn.

    ``thresholds`` are the topics' of the model; ``text_of`` gives the text of an id; ``labelled``: texts that a
    person has read already, none like them is chosen. The same for any order of the candidates.
    """
    spread = Counter(word for c in _one_a_story(candidates) for word in c.words)
    new = {word for word, stories in spread.items() if stories >= LEAST_STORIES}
    rankings = _rankings(candidates, thresholds, {word: spread[word] for word in new})
    taken: dict[str, Candidate] = {}
    marks = [shingles(text) for text in labelled]
    stories: set[str] = set()
    turn = 0
    while len(taken) < most and any(rankings):
        ranking = rankings[_whose(turn)] or next(r for r in rankings if r)
        turn += 1
        while ranking:
            each = ranking.pop()
            own = shingles(text_of(each.id))
            if each.story in stories or any(_alike(own, other) for other in marks):
                continue
            taken[each.id] = each
            stories.add(each.story)
            marks.append(own)
            break
    return [Chosen(id=c.id, reasons=_reasons(c, thresholds, new)) for c in taken.values()]


def _alike(one: np.ndarray, two: np.ndarray) -> bool:
    """The same post told again; sizes are looked at first, which is cheap."""
    few, many = sorted((len(one), len(two)))
    return few >= ALIKE * many and similarity(one, two) >= ALIKE


def _whose(turn: int) -> int:
    """Which ranking is asked: the blind one every tenth time, the other three in turn."""
    return 3 if turn % _BLIND_EVERY == _BLIND_EVERY - 1 else turn % 3


def _one_a_story(candidates: Sequence[Candidate]) -> list[Candidate]:
    return list({c.story: c for c in sorted(candidates, key=lambda c: c.id)}.values())


def _rankings(
    candidates: Sequence[Candidate], thresholds: Sequence[float], new: dict[str, int]
) -> list[list[Candidate]]:
    """The candidates by each question, the best last."""

    def novelty(c: Candidate) -> float:
        return sum(math.log(1 + new[word]) for word in c.words if word in new)

    scores: list[Callable[[Candidate], float]] = [
        lambda c: doubt(c.judgement, thresholds),
        lambda c: dispute(c.judgement, c.grams),
        novelty,
    ]
    ranked = [sorted(candidates, key=lambda c: (score(c), c.id)) for score in scores]
    ranked[2] = [c for c in ranked[2] if novelty(c) > 0]
    ranked.append(sorted(candidates, key=lambda c: hashlib.sha256(c.id.encode()).hexdigest()))
    return ranked


def _reasons(c: Candidate, thresholds: Sequence[float], new: Collection[str]) -> tuple[str, ...]:
    found = []
    if doubt(c.judgement, thresholds) >= 0.6:
        best = max(c.judgement.sentiment)
        near = [
            k for k, (p, t) in enumerate(zip(c.judgement.topics, thresholds, strict=True))
            if abs(_logit(p) - _logit(t)) < 0.5
        ]  # fmt: skip
        found.append(f"{DOUBT}（{_WORDS[c.judgement.best]} {best:.0%}{'，话题在线边' if near else ''}）")
    alone = SENTIMENTS[int(np.argmax(c.grams))]
    if alone != c.judgement.best:
        found.append(f"{DISPUTE}（用词像{_WORDS[alone]}，全文判{_WORDS[c.judgement.best]}）")
    if words := sorted(word for word in c.words if word in new):
        found.append(f"{NOVEL}（{'、'.join(words[:5])}）")
    return tuple(found) or (BLIND,)
