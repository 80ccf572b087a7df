"""Fitting ``nlp.fusion`` on posts that were kept out of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from nlp.corpus import LABELLED, SHIPPED, Example
from nlp.entities import EntityFinder
from nlp.fusion import FOUND, GIVEN, UNNAMED, Fusion, Mix, reach, sigmoid
from nlp.judgement import Logits
from nlp.labels import DOMAINS, STANCES, TOPICS
from nlp.runtime import Runtime
from nlp.tokens import told_of
from nlp.wide import COLUMNS

Floats = NDArray[np.floating]
KIND = 0.1
"""Weight of guessing the kind of a text right beside judging its sentiment right."""
WRITTEN = 0.6
"""Weight of a post that was written for this project beside a real one: there are many, and real ones are judged."""
SURE = 60
"""Weighed posts with a topic that make its own threshold count as much as the one best for all."""
MOST = 1_500
"""Texts of a kind on which its recognition is fitted."""
GRID = np.arange(0.10, 0.81, 0.02)

START = Fusion(
    sentiment=Mix(bias=(0.0,) * 3),
    topics=Mix(bias=(0.0,) * len(TOPICS)),
    stance=Mix(bias=(0.0,) * 4),
    ad=Mix(bias=(0.0,)),
    alone=Mix(bias=(0.0,) * 3),
    among=Mix(bias=(0.0,) * 3),
    thresholds=(0.5,) * len(TOPICS),
    others=(Mix(bias=(0.0,) * 3),) * (len(DOMAINS) - 1),
    kind=Mix(bias=(0.0,) * len(DOMAINS)),
)
"""Nothing fitted yet."""


def read(runtime: Runtime, examples: Sequence[Example]) -> list[Logits]:
    """Raw outputs for examples, a few hundred at a time."""
    result: list[Logits] = []
    for start in range(0, len(examples), 256):
        part = examples[start : start + 256]
        result += runtime.logits([(e.text, tuple(name for name, _ in e.entities)) for e in part])
    return result


def _fit(loss: Callable[[Floats], float], first: Sequence[float], *, step: float = 1e-8) -> list[float]:
    """Where ``loss`` is least. ``step``: how far to look for its slope; more where it has single precision."""
    found = minimize(loss, np.array(first), method="L-BFGS-B", options={"maxiter": 200, "eps": step})
    return [float(x) for x in found.x]


def _allowed(logits: Floats, allowed: NDArray[np.bool_], weight: Floats | None) -> float:
    """Mean −log probability that the label lies among those allowed."""
    open_ones = np.where(allowed, log_softmax(logits, axis=-1), -1e9)
    return float(-np.average(logsumexp(open_ones, axis=-1), weights=weight))


def _choice(
    encoder: Floats,
    grams: Floats,
    allowed: NDArray[np.bool_],
    *,
    second: float,
    length: Floats | None = None,
    weight: Floats | None = None,
) -> Mix:
    """A mix for a task with one label among several; a weak pull to (1, second, 0). ``length`` as a column, where
    the sources may be believed by length; ``weight`` of each text."""

    def loss(x: Floats) -> float:
        pull = (x[0] - 1) ** 2 + (x[1] - second) ** 2 + (x[2:] ** 2).sum()
        return _allowed(_apply(x, encoder, grams, length), allowed, weight) + 1e-3 * float(pull)

    return _mix(_fit(loss, [1.0, second, 0.0, 0.0, *[0.0] * encoder.shape[1]]))


def _binary(encoder: Floats, grams: Floats, truth: NDArray[np.bool_], length: Floats, weight: Floats) -> Mix:
    """A mix for yes/no tasks (columns share the weights; each has a bias, pulled to the others')."""

    def loss(x: Floats) -> float:
        logits = _apply(x, encoder, grams, length)
        pull = ((x[4:] - x[4:].mean()) ** 2).sum() * 1e-3 + 1e-4 * (x[:4] ** 2).sum()
        each = np.where(truth, np.logaddexp(0, -logits), np.logaddexp(0, logits))
        return float(np.average(each.sum(1), weights=weight) + pull)

    return _mix(_fit(loss, [0.7, 0.5, 0.0, 0.0, *[0.0] * encoder.shape[1]]))


def _apply(x: Floats, encoder: Floats, grams: Floats, length: Floats | None) -> Floats:
    r = 0.0 if length is None else length
    logits: Floats = (x[0] + x[2] * r) * encoder + (x[1] + x[3] * r) * grams + x[4:]
    return logits


def _mix(x: Sequence[float]) -> Mix:
    return Mix(encoder=x[0], grams=x[1], encoder_long=x[2], grams_long=x[3], bias=tuple(x[4:]))


def _f1(probability: Floats, truth: NDArray[np.bool_], limit: float, weight: Floats) -> float:
    """``weight`` of each row."""
    said = probability >= limit
    hits, both = weight @ (said & truth), weight @ said + weight @ truth
    return float(2 * hits.sum() / max(1e-9, both.sum()))


def _limits(probability: Floats, truth: NDArray[np.bool_], weight: Floats) -> tuple[float, ...]:
    """Per topic the probability with the best F1, pulled to the one best for all where examples are few."""
    overall = max(GRID, key=lambda limit: _f1(probability, truth, limit, weight))
    result = []
    for k in range(truth.shape[1]):
        scores = [_f1(probability[:, k], truth[:, k], limit, weight) for limit in GRID]
        own = float(np.mean(GRID[np.isclose(scores, max(scores))]))
        seen = float(weight @ truth[:, k])
        trust = seen / (seen + SURE)
        result.append(round(float(trust * own + (1 - trust) * overall), 3))
    return tuple(result)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Raw outputs of many texts as arrays."""

    sentiment: Floats
    domain: Floats
    topics: Floats
    stance: Floats
    ad: Floats
    wide: NDArray[np.float32]
    named: NDArray[np.int64]
    length: NDArray[np.float32]

    @classmethod
    def of(cls, examples: Sequence[Example], logits: Sequence[Logits], *, told: bool = True) -> Stack:
        """Of examples and what was read of them; without ``told`` as if nobody had said who they are about."""
        names = ("sentiment", "domain", "topics", "stance", "ad", "wide")
        arrays = {name: np.stack([getattr(x, name) for x in logits]) for name in names}
        finder = EntityFinder()
        named = [
            GIVEN if told and e.entities else FOUND if not told and finder.find(e.text) else UNNAMED
            for e in examples
        ]
        length = reach(np.array([len(e.text) for e in examples]))
        return cls(**arrays, named=np.array(named), length=length)

    def grams(self, task: str) -> Floats:
        """The n-gram part's logits of a task."""
        return self.wide[:, COLUMNS[task]]

    def sentiments(self, fusion: Fusion) -> Floats:
        """Fused distributions."""
        return fusion.sentiments(self.sentiment, self.domain, self.wide, self.named, self.length)


def fit(examples: Sequence[Example], logits: Sequence[Logits]) -> Fusion:
    """All numbers of the fusion from the tuning part."""
    own = [i for i, e in enumerate(examples) if e.set in LABELLED]
    e, lg = [examples[i] for i in own], [logits[i] for i in own]
    x = Stack.of(e, lg)
    truth = np.zeros((len(e), len(TOPICS)), bool)
    for row, example in zip(truth, e, strict=True):
        row[list(example.topics or ())] = True
    stances = np.eye(len(STANCES), dtype=bool)[[one.stance or 0 for one in e]]
    ads = np.array([[bool(one.ad)] for one in e])
    sentiments = np.array([one.sentiment for one in e])
    long = x.length[:, None]
    weight = np.array([WRITTEN if one.set in SHIPPED else 1.0 for one in e])
    for_topics = _binary(x.topics, x.grams("topics"), truth, long, weight)
    for_ad = _binary(x.ad, x.grams("ad"), ads, long, weight)
    said = sigmoid(for_ad(x.ad, x.grams("ad"), long))
    fusion = replace(
        START,
        sentiment=_choice(
            x.sentiment[:, 0], x.grams("sentiment"), sentiments, second=0.3, length=long, weight=weight
        ),
        topics=for_topics,
        stance=_choice(x.stance, x.grams("stance"), stances, second=0.3, length=long, weight=weight),
        ad=for_ad,
        thresholds=_limits(sigmoid(for_topics(x.topics, x.grams("topics"), long)), truth, weight),
        ad_threshold=round(float(max(GRID, key=lambda limit: _f1(said, ads, limit, weight))), 2),
    )
    fusion = _kinds(fusion, examples, logits)
    return _companies(fusion, e, lg)


def _kinds(fusion: Fusion, examples: Sequence[Example], logits: Sequence[Logits]) -> Fusion:
    """Sentiments of the other kinds of text, which kind a text is, and what a company found in it says of that."""
    others = []
    for kind, name in enumerate(DOMAINS[1:], 1):
        rows = [i for i, e in enumerate(examples) if e.domain == kind]
        if not rows:
            return fusion
        x = Stack.of([examples[i] for i in rows], [logits[i] for i in rows])
        allowed = np.array([examples[i].sentiment for i in rows])
        others.append(_choice(x.sentiment[:, kind], x.grams(name), allowed, second=0.3))
    return _gate(replace(fusion, others=tuple(others)), examples, logits)


def _gate(fusion: Fusion, examples: Sequence[Example], logits: Sequence[Logits]) -> Fusion:
    """Which kind a text is, and what a company found in it says of that: as the sentiment is judged best, every kind
    counting alike, and no further from the true kind than that asks for."""
    usable = [i for i, e in enumerate(examples) if e.domain > 0 or e.set in LABELLED]
    rows = [
        i for kind in range(len(DOMAINS)) for i in [i for i in usable if examples[i].domain == kind][:MOST]
    ]
    x = Stack.of([examples[i] for i in rows], [logits[i] for i in rows], told=False)
    kinds = np.array([examples[i].domain for i in rows])
    allowed = np.array([examples[i].sentiment for i in rows])
    weight = 1 / np.bincount(kinds)[kinds]
    weight /= weight.sum()

    def of(v: Floats) -> Fusion:
        kind = Mix(encoder=float(v[0]), grams=float(v[1]), bias=(0.0, *map(float, v[3:])))
        return replace(fusion, kind=kind, found=float(v[2]))

    by_kind = (fusion.by_kind(x.sentiment, x.wide, x.length) * allowed[:, None, :]).sum(2)

    def loss(v: Floats) -> float:
        said = log_softmax(of(v).kinds(x.domain, x.wide, x.named), axis=1)
        right = np.log(np.maximum((np.exp(said) * by_kind).sum(1), 1e-9))
        true = said[np.arange(len(kinds)), kinds]
        return float(-(weight * (right + KIND * true)).sum() + 1e-3 * (v**2).sum())

    return of(np.array(_fit(loss, [0.5, 1.0, 0.0, *[0.0] * (len(DOMAINS) - 1)], step=1e-3)))


def _companies(fusion: Fusion, examples: Sequence[Example], logits: Sequence[Logits]) -> Fusion:
    """The mixes for companies; of those that a text lacks while it mentions another, nothing is learnt."""
    post = np.log(np.maximum(Stack.of(examples, logits).sentiments(fusion), 1e-6))
    there = [set(told_of(e.text, [name for name, _ in e.entities])) for e in examples]
    mixes = []
    for several in (False, True):
        rows = [
            (i, k)
            for i, e in enumerate(examples)
            for k, (name, _) in enumerate(e.entities)
            if (name in there[i] or not there[i])
            and (len(there[i] or {n for n, _ in e.entities}) > 1) == several
        ]
        encoder = np.array([logits[i].entity[k] for i, k in rows])
        posts = np.array([post[i] for i, _ in rows])
        allowed = np.array([examples[i].entities[k][1] for i, k in rows])
        mixes.append(_choice(encoder, posts, allowed, second=0.5))
    return replace(fusion, alone=mixes[0], among=mixes[1])
