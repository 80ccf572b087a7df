"""May a new model replace the one in use? Pure: what both say about the same labelled posts in, reasons out.

Every score is a ratio of sums over posts (accuracy, F1, Brier), so the noise of a difference is known without
drawing: the linearised (delta-method) standard error of the paired difference. A fall counts when it is larger than
that noise explains, and larger than ``LEAST``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlp.corpus import ANY, Example
from nlp.labels import TOPICS
from nlp.scores import Told, slices

LEAST = 0.01
"""A fall of less is none."""
WHOLE_Z, SLICE_Z = 2.0, 2.576
"""Standard errors: a score that did not change falls further by chance once in 44 times on a whole set, once in 200
on a slice (of which there are many)."""
FEWEST = 30
"""Labelled posts below which a slice says nothing."""

Floats = NDArray[np.float64]
Sums = tuple[Floats, Floats]
"""Numerator and denominator of a score, one pair a post."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One score of both models on the same posts."""

    part: str
    """Which posts."""
    task: str
    posts: int
    before: float
    after: float
    allowed: float
    """How far it may fall."""
    whole: bool
    """Of all posts of a set, not of a slice."""

    @property
    def fell(self) -> bool:
        """Further than allowed."""
        return self.before - self.after > self.allowed

    def __str__(self) -> str:
        moved = f"从 {self.before:.3f} 到 {self.after:.3f}"
        return f"{self.part}的{self.task}{moved}（{self.posts} 帖，容许降 {self.allowed:.3f}）"


def compare(
    examples: Sequence[Example],
    before: Sequence[Told],
    after: Sequence[Told],
    *,
    name: str,
    apart: bool = False,
) -> list[Compared]:
    """All scores on posts that both models judged. ``apart``: also on every slice of them that is large enough."""
    parts = {name: (list(range(len(examples))), WHOLE_Z)}
    if apart:
        for slice_, rows in slices(examples).items():
            if "/" in slice_:
                parts[f"{name}·{slice_}"] = (rows, SLICE_Z)
    found = []
    for part, (rows, z) in parts.items():
        for task, (labelled, sums) in _TASKS.items():
            chosen = [i for i in rows if labelled(examples[i])]
            if len(chosen) >= FEWEST:
                old = sums([examples[i] for i in chosen], [before[i] for i in chosen])
                new = sums([examples[i] for i in chosen], [after[i] for i in chosen])
                found += _compared(part, task, len(chosen), old, new, z)
    return found


def _compared(part: str, task: str, posts: int, old: Sums, new: Sums, z: float) -> list[Compared]:
    if not old[1].sum() or not new[1].sum():
        return []
    was, pull_old = _score(old)
    now, pull_new = _score(new)
    noise = float(np.sqrt(((pull_new - pull_old) ** 2).sum()))
    return [
        Compared(
            part=part,
            task=task,
            posts=posts,
            before=was,
            after=now,
            allowed=max(LEAST, z * noise),
            whole=z == WHOLE_Z,
        )
    ]


def _score(sums: Sums) -> tuple[float, Floats]:
    """The score, and how much each post pulls at it."""
    above, below = sums
    score = float(above.sum() / below.sum())
    return score, (above - score * below) / below.sum()


# --------------------------------------------------------------------------------------------------- tasks


def _sentiment(examples: Sequence[Example], told: Sequence[Told]) -> Sums:
    right = [e.sentiment[int(np.argmax(t.sentiment))] for e, t in zip(examples, told, strict=True)]
    return np.array(right, float), np.ones(len(right))


def _honesty(examples: Sequence[Example], told: Sequence[Told]) -> Sums:
    """1 − Brier score ÷ 2: how good the probabilities are, calibration included."""
    wanted = np.array([e.sentiment for e in examples], float)
    said = np.array([t.sentiment for t in told], float)
    return 1 - 0.5 * ((said - wanted) ** 2).sum(1), np.ones(len(examples))


def _f1(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> Sums:
    both = 2.0 * (truth & said).sum(1)
    return both, truth.sum(1) + said.sum(1) + 0.0


def _topics(examples: Sequence[Example], told: Sequence[Told]) -> Sums:
    truth, said = np.zeros((2, len(examples), len(TOPICS)), bool)
    for i, (example, answer) in enumerate(zip(examples, told, strict=True)):
        truth[i, list(example.topics or ())] = True
        said[i, list(answer.topics or ())] = True
    return _f1(truth, said)


def _stance(examples: Sequence[Example], told: Sequence[Told]) -> Sums:
    right = [e.stance == t.stance for e, t in zip(examples, told, strict=True)]
    return np.array(right, float), np.ones(len(right))


def _ad(examples: Sequence[Example], told: Sequence[Told]) -> Sums:
    truth = np.array([[bool(e.ad)] for e in examples])
    return _f1(truth, np.array([[bool(t.ad)] for t in told]))


def _accused(examples: Sequence[Example], told: Sequence[Told]) -> Sums:
    sums = []
    for example, answer in zip(examples, told, strict=True):
        pairs = [
            (mask == (True, False, False), int(np.argmax(p)) == 0)
            for (_, mask), p in zip(example.entities, answer.entities or (), strict=True)
            if mask != ANY
        ]
        sums.append((2.0 * sum(t and s for t, s in pairs), float(sum(t + s for t, s in pairs))))
    above, below = np.array(sums, float).T
    return above, below


def _sure(example: Example) -> bool:
    return sum(example.sentiment) == 1


_TASKS: dict[str, tuple[Callable[[Example], bool], Callable[[Sequence[Example], Sequence[Told]], Sums]]] = {
    "情感准确率": (_sure, _sentiment),
    "情感概率（1−Brier/2）": (_sure, _honesty),
    "话题微F1": (lambda e: e.topics is not None, _topics),
    "立场准确率": (lambda e: e.stance is not None, _stance),
    "广告F1": (lambda e: e.ad is not None, _ad),
    "被指公司F1": (lambda e: any(mask != ANY for _, mask in e.entities), _accused),
}
