"""Fitting the wide part with scikit-learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from nlp.corpus import Example
from nlp.labels import SENTIMENTS, STANCES, TOPICS
from nlp.wide import Wide, grams

OUTPUTS = (*SENTIMENTS, *TOPICS, "ad", *STANCES)
"""Columns of the wide part."""


def targets(examples: Sequence[Example]) -> NDArray[np.bool_]:
    """Examples × outputs; only for examples of the project's own labelled sets."""
    result = np.zeros((len(examples), len(OUTPUTS)), bool)
    for i, example in enumerate(examples):
        result[i, example.sentiment.index(True)] = True
        result[i, [len(SENTIMENTS) + topic for topic in example.topics or ()]] = True
        result[i, OUTPUTS.index("ad")] = bool(example.ad)
        result[i, OUTPUTS.index("ad") + 1 + (example.stance or 0)] = True
    return result


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
    features: sparse.csr_matrix, wanted: NDArray[np.bool_], strength: float, say: Callable[[str], None]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weights = np.zeros((features.shape[1], wanted.shape[1]), np.float32)
    bias = np.zeros(wanted.shape[1], np.float32)
    for k in range(wanted.shape[1]):
        model = LogisticRegression(C=strength, solver="liblinear", max_iter=200, random_state=0)
        model.fit(features, wanted[:, k])
        weights[:, k], bias[k] = model.coef_[0], model.intercept_[0]
        say(f"n-gram 线性部分 {k + 1}/{wanted.shape[1]}")
    return weights, bias


def fit(
    examples: Sequence[Example],
    *,
    features: int,
    least: int,
    strength: float = 10.0,
    say: Callable[[str], None] = lambda _: None,
) -> Wide:
    """One logistic regression an output; then only the n-grams that weigh most are kept and fitted again."""
    texts, wanted = [e.text for e in examples], targets(examples)
    known, counts = _counts(texts, least)
    spread = np.asarray((counts > 0).sum(0)).ravel()
    idf = (np.log((1 + len(texts)) / (1 + spread)) + 1).astype(np.float32)
    if len(known) > features:
        weights, _ = _regress(_normed(counts, idf), wanted, strength, say)
        worth = np.abs(weights).max(1) * idf
        kept = np.sort(np.argsort(-worth)[:features])
        known, counts, idf = known[kept], counts[:, kept], idf[kept]
    weights, bias = _regress(_normed(counts.tocsr(), idf), wanted, strength, say)
    scale = np.maximum(np.abs(weights).max(0), 1e-6) / 127
    return Wide(
        hashes=known,
        idf=idf,
        weights=np.round(weights / scale).astype(np.int8),
        scale=scale.astype(np.float32),
        bias=bias,
    )
