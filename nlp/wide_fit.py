"""Fitting the wide part with scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from nlp.corpus import Example
from nlp.labels import DOMAINS
from nlp.wide import COLUMNS, OUTPUTS, Wide, grams

NEVER = -10.0
"""Logit of an output for which there is no example; of one without a counterexample the negative."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Some columns and the examples that say something about them."""

    rows: NDArray[np.int64]
    """Numbers of those examples."""
    wanted: NDArray[np.bool_]
    """Those examples × columns."""


def platform_tasks(examples: Sequence[Example]) -> list[Task]:
    """The columns ``OUTPUTS`` for examples of the project's own labelled sets."""
    wanted = np.zeros((len(examples), len(OUTPUTS)), bool)
    for row, example in zip(wanted, examples, strict=True):
        row[COLUMNS["sentiment"]] = example.sentiment
        row[COLUMNS["topics"]][list(example.topics or ())] = True
        row[COLUMNS["ad"]] = bool(example.ad)
        row[COLUMNS["stance"]][example.stance or 0] = True
    return [Task(rows=np.arange(len(examples)), wanted=wanted)]


def kind_tasks(examples: Sequence[Example]) -> list[Task]:
    """The columns ``KIND_OUTPUTS``: each kind's sentiments from that kind alone, and the kind from all."""
    kinds = np.array([example.domain for example in examples])
    allowed = np.array([example.sentiment for example in examples])
    tasks = [
        Task(rows=np.flatnonzero(kinds == kind), wanted=allowed[kinds == kind])
        for kind in range(1, len(DOMAINS))
    ]
    known = np.flatnonzero(kinds >= 0)
    return [*tasks, Task(rows=known, wanted=np.eye(len(DOMAINS), dtype=bool)[kinds[known]])]


def _counts(texts: Sequence[str], least: int) -> tuple[NDArray[np.uint32], sparse.csr_matrix]:
    spread: Counter[int] = Counter()
    each = []
    for text in texts:
        found, counts = np.unique(grams(text)[0], return_counts=True)
        each.append((found, counts))
        spread.update(found.tolist())
    known = np.array(sorted(h for h, n in spread.items() if n >= least), np.uint32)
    rows, columns, values = [], [], []
    for i, (found, counts) in enumerate(each):
        place = np.minimum(np.searchsorted(known, found), len(known) - 1)
        good = known[place] == found
        rows.append(np.full(good.sum(), i))
        columns.append(place[good])
        values.append(1 + np.log(counts[good]))
    matrix = sparse.csr_matrix(
        (np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))),
        shape=(len(texts), len(known)),
    )
    return known, matrix


def _normed(counts: sparse.csr_matrix, idf: NDArray[np.float32]) -> sparse.csr_matrix:
    weighted = counts @ sparse.diags(idf)
    norm = np.sqrt(weighted.multiply(weighted).sum(1)).A1
    return (sparse.diags(1 / np.maximum(norm, 1e-9)) @ weighted).tocsr()


def _regress(
    features: sparse.csr_matrix, tasks: Sequence[Task], strength: float, say: Callable[[str], None]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    width = sum(task.wanted.shape[1] for task in tasks)
    weights, bias = np.zeros((features.shape[1], width), np.float32), np.full(width, NEVER, np.float32)
    columns = [(task.rows, column) for task in tasks for column in task.wanted.T]
    for k, (rows, column) in enumerate(columns):
        if column.all() and len(column):
            bias[k] = -NEVER
        elif column.any():
            model = LogisticRegression(C=strength, solver="liblinear", max_iter=200, random_state=0)
            model.fit(features[rows], column)
            weights[:, k], bias[k] = model.coef_[0], model.intercept_[0]
        say(f"n-gram 线性部分 {k + 1}/{width}")
    return weights, bias


def fit(
    examples: Sequence[Example],
    tasks: Sequence[Task],
    *,
    features: int,
    least: int,
    strength: float = 10.0,
    say: Callable[[str], None] = lambda _: None,
) -> Wide:
    """One logistic regression an output; then only the n-grams that weigh most are kept and fitted again."""
    known, counts = _counts([e.text for e in examples], least)
    spread = np.asarray((counts > 0).sum(0)).ravel()
    idf = (np.log((1 + len(examples)) / (1 + spread)) + 1).astype(np.float32)
    if len(known) > features:
        weights, _ = _regress(_normed(counts, idf), tasks, strength, say)
        worth = np.abs(weights).max(1) * idf
        kept = np.sort(np.argsort(-worth)[:features])
        known, counts, idf = known[kept], counts[:, kept], idf[kept]
    weights, bias = _regress(_normed(counts.tocsr(), idf), tasks, strength, say)
    scale = np.maximum(np.abs(weights).max(0), 1e-6) / 127
    return Wide(
        hashes=known,
        idf=idf,
        weights=np.round(weights / scale).astype(np.int8),
        scale=scale.astype(np.float32),
        bias=bias,
    )
