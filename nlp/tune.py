"""Fitting ``nlp.fusion`` on posts that were kept out of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from nlp.corpus import LABELLED, Example
from nlp.fusion import Fusion, Mix, sigmoid
from nlp.labels import DOMAINS, SENTIMENTS, STANCES, TOPICS
from nlp.runtime import Logits, Runtime

Floats = NDArray[np.floating]
_S, _T = len(SENTIMENTS), len(SENTIMENTS) + len(TOPICS)
GRID = np.arange(0.10, 0.81, 0.02)

START = Fusion(
    sentiment=Mix(bias=(0.0,) * 3),
    topics=Mix(bias=(0.0,) * len(TOPICS)),
    stance=Mix(bias=(0.0,) * 4),
    ad=Mix(bias=(0.0,)),
    alone=Mix(bias=(0.0,) * 3),
    among=Mix(bias=(0.0,) * 3),
    thresholds=(0.5,) * len(TOPICS),
    gate=(0.0, -np.inf, -np.inf),
)
"""Nothing fitted yet."""


def read(runtime: Runtime, examples: Sequence[Example]) -> list[Logits]:
    """Raw outputs for examples, a few hundred at a time."""
    result: list[Logits] = []
    for start in range(0, len(examples), 256):
        part = examples[start : start + 256]
        result += runtime.logits([(e.text, tuple(name for name, _ in e.entities)) for e in part])
    return result


def _fit(loss: Callable[[Floats], float], first: Sequence[float]) -> list[float]:
    found = minimize(loss, np.array(first), method="L-BFGS-B", options={"maxiter": 200})
    return [float(x) for x in found.x]


def _allowed(logits: Floats, allowed: NDArray[np.bool_]) -> float:
    """Mean −log probability that the label lies among those allowed."""
    open_ones = np.where(allowed, log_softmax(logits, axis=-1), -1e9)
    return float(-np.mean(logsumexp(open_ones, axis=-1)))


def _choice(encoder: Floats, grams: Floats, allowed: NDArray[np.bool_], *, second: float) -> Mix:
    """A mix for a task with one label among several; a weak pull to (1, second, 0)."""

    def loss(x: Floats) -> float:
        pull = (x[0] - 1) ** 2 + (x[1] - second) ** 2 + (x[2:] ** 2).sum()
        return _allowed(x[0] * encoder + x[1] * grams + x[2:], allowed) + 1e-3 * float(pull)

    found = _fit(loss, [1.0, second, *[0.0] * encoder.shape[1]])
    return Mix(encoder=found[0], grams=found[1], bias=tuple(found[2:]))


def _binary(encoder: Floats, grams: Floats, truth: NDArray[np.bool_]) -> Mix:
    """A mix for yes/no tasks (columns share both weights; each has a bias, pulled to the others')."""

    def loss(x: Floats) -> float:
        logits = x[0] * encoder + x[1] * grams + x[2:]
        pull = ((x[2:] - x[2:].mean()) ** 2).sum() * 1e-3 + 1e-4 * (x[0] ** 2 + x[1] ** 2)
        return float(
            np.where(truth, np.logaddexp(0, -logits), np.logaddexp(0, logits)).mean() * encoder.shape[1]
            + pull
        )

    found = _fit(loss, [0.7, 0.5, *[0.0] * encoder.shape[1]])
    return Mix(encoder=found[0], grams=found[1], bias=tuple(found[2:]))


def _f1(probability: Floats, truth: NDArray[np.bool_], limit: float) -> float:
    said = probability >= limit
    return float(2 * (said & truth).sum() / max(1, said.sum() + truth.sum()))


def _limits(probability: Floats, truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """Per topic the probability with the best F1, pulled to the one best for all where examples are few."""
    overall = max(GRID, key=lambda limit: _f1(probability, truth, limit))
    result = []
    for k in range(truth.shape[1]):
        scores = [_f1(probability[:, k], truth[:, k], limit) for limit in GRID]
        own = float(np.mean(GRID[np.isclose(scores, max(scores))]))
        trust = truth[:, k].sum() / (truth[:, k].sum() + 15)
        result.append(round(float(trust * own + (1 - trust) * overall), 3))
    return tuple(result)


def fit(examples: Sequence[Example], logits: Sequence[Logits]) -> Fusion:
    """All numbers of the fusion from the tuning part."""
    own = [i for i, e in enumerate(examples) if e.set in LABELLED]
    e, lg = [examples[i] for i in own], [logits[i] for i in own]
    wide = np.stack([x.wide for x in lg]).astype(float)
    sentiment = _choice(
        np.stack([x.sentiment[0] for x in lg]), wide[:, :_S], np.array([x.sentiment for x in e]), second=0.3
    )
    truth = np.zeros((len(e), len(TOPICS)), bool)
    for row, example in zip(truth, e, strict=True):
        row[list(example.topics or ())] = True
    topics = _binary(np.stack([x.topics for x in lg]), wide[:, _S:_T], truth)
    probability = sigmoid(topics(np.stack([x.topics for x in lg]), wide[:, _S:_T].astype(np.float32)))
    stance = _choice(
        np.stack([x.stance for x in lg]),
        wide[:, _T + 1 :],
        np.eye(len(STANCES), dtype=bool)[[x.stance or 0 for x in e]],
        second=0.3,
    )
    ads = np.array([[bool(x.ad)] for x in e])
    ad = _binary(np.stack([x.ad for x in lg]), wide[:, _T : _T + 1], ads)
    said = sigmoid(ad(np.stack([x.ad for x in lg]), wide[:, _T : _T + 1].astype(np.float32)))
    fusion = replace(
        START,
        sentiment=sentiment,
        topics=topics,
        stance=stance,
        ad=ad,
        thresholds=_limits(probability, truth),
        ad_threshold=round(float(max(GRID, key=lambda limit: _f1(said, ads, limit))), 2),
    )
    fusion = _kinds(fusion, examples, logits)
    return _companies(fusion, e, lg)


def _kinds(fusion: Fusion, examples: Sequence[Example], logits: Sequence[Logits]) -> Fusion:
    """Temperatures of the other kinds of text, and how far to believe the guess of the kind."""
    scales = []
    for kind in range(1, len(DOMAINS)):
        rows = [i for i, e in enumerate(examples) if e.domain == kind]
        if not rows:
            return fusion
        x = np.stack([logits[i].sentiment[kind] for i in rows])
        allowed = np.array([examples[i].sentiment for i in rows])
        scales.append(_fit(lambda k, x=x, allowed=allowed: _allowed(k[0] * x, allowed), [1.0])[0])  # type: ignore[misc]
    rows = [i for i, e in enumerate(examples) if e.domain > 0 or e.set in LABELLED]
    sentiment = np.stack([logits[i].sentiment for i in rows])
    domain = np.stack([logits[i].domain for i in rows])
    wide = np.stack([logits[i].wide for i in rows])[:, :_S]
    allowed = np.array([examples[i].sentiment for i in rows])

    def loss(x: Floats) -> float:
        trial = replace(fusion, others=(scales[0], scales[1]), gate=(0.0, float(x[0]), float(x[1])))
        p = trial.sentiments(sentiment, domain, wide)
        return float(-np.log(np.maximum((p * allowed).sum(1), 1e-9)).mean() + 1e-3 * (x**2).sum())

    found = minimize(loss, np.array([-1.0, -1.0]), method="Nelder-Mead")
    return replace(fusion, others=(scales[0], scales[1]), gate=(0.0, float(found.x[0]), float(found.x[1])))


def _companies(fusion: Fusion, examples: Sequence[Example], logits: Sequence[Logits]) -> Fusion:
    mixes = []
    for several in (False, True):
        encoder, posts, allowed = [], [], []
        for example, x in zip(examples, logits, strict=True):
            if not example.entities or (len({name for name, _ in example.entities}) > 1) != several:
                continue
            post = fusion.sentiments(x.sentiment[None], x.domain[None], x.wide[None, :_S])[0]
            encoder += list(x.entity)
            posts += [np.log(np.maximum(post, 1e-6))] * len(x.entity)
            allowed += [mask for _, mask in example.entities]
        mixes.append(_choice(np.stack(encoder), np.stack(posts), np.array(allowed), second=0.5))
    return replace(fusion, alone=mixes[0], among=mixes[1])
