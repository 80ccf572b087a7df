"""The wide part: a linear model over character 1–4-grams, beside the encoder.

On many posts single words decide, and a linear model over them is hard to beat with a small encoder; the two are
added up in ``nlp.fusion``. Features are known n-grams only (sorted 32-bit hashes, no buckets to collide in),
weights are 8-bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlp.labels import DOMAINS, SENTIMENTS, STANCES, TOPICS

OUTPUTS = (*SENTIMENTS, *TOPICS, "ad", *STANCES)
"""Columns of the table for posts about platforms."""
KIND_OUTPUTS = (*(f"{kind}/{name}" for kind in DOMAINS[1:] for name in SENTIMENTS), *DOMAINS)
"""Columns of the table for other kinds of text: the sentiments of each, and which kind it is."""


def _columns() -> dict[str, slice]:
    widths = {"sentiment": len(SENTIMENTS), "topics": len(TOPICS), "ad": 1, "stance": len(STANCES)}
    widths |= dict.fromkeys(DOMAINS[1:], len(SENTIMENTS)) | {"domain": len(DOMAINS)}
    result, at = {}, 0
    for name, width in widths.items():
        result[name] = slice(at, at + width)
        at += width
    return result


COLUMNS = _columns()
"""Where each task's logits stand when both tables' outputs are put side by side."""

LONGEST = 4
READ = 2_000
"""Characters of a text that are looked at, from the front."""
_PRIMES = [
    np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
]


def grams(text: str) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Hash of every n-gram of a normalised text, shorter ones first, and the length of each run: all of length 1
    in reading order, then all of length 2, …
    """
    codes = np.frombuffer(text[:READ].lower()[:READ].encode("utf-32-le", "replace"), np.uint32).astype(
        np.uint64
    )
    hashes, sizes = [], []
    rolling = np.zeros(len(codes) + 1, np.uint64)
    for n in range(1, LONGEST + 1):
        if len(codes) < n:
            break
        rolling = rolling[: len(codes) - n + 1] * _PRIMES[0] + codes[n - 1 :] * _PRIMES[1] + np.uint64(n)
        mixed = (rolling ^ (rolling >> np.uint64(29))) * _PRIMES[2]
        hashes.append(((mixed ^ (mixed >> np.uint64(32))) & np.uint64(0xFFFFFFFF)).astype(np.uint32))
        sizes.append(np.full(len(hashes[-1]), n, np.int64))
    if not hashes:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    return np.concatenate(hashes), np.concatenate(sizes)


@dataclass(frozen=True, kw_only=True)
class Wide:
    """Known n-grams, their weights and the biases."""

    hashes: NDArray[np.uint32]
    """Sorted."""
    idf: NDArray[np.float32]
    weights: NDArray[np.int8]
    """n-grams × outputs."""
    scale: NDArray[np.float32]
    """Of each output: weight = int8 · scale."""
    bias: NDArray[np.float32]

    def _known(self, hashes: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return place, self.hashes[place] == hashes

    def _row(self, hashes: NDArray[np.uint32], counts: NDArray[np.int64]) -> NDArray[np.float32]:
        """Outputs for one text from its distinct n-grams."""
        place, known = self._known(hashes)
        found = place[known]
        values = ((1 + np.log(counts[known])) * self.idf[found]).astype(np.float32)
        norm = float(np.sqrt((values**2).sum()))
        if not norm:
            return self.bias
        carried: NDArray[np.float32] = (values / norm) @ self.weights[found].astype(np.float32)
        return self.bias + carried * self.scale

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts × outputs."""
        return side_by_side((self,), texts)

    def carriers(self, text: str, outputs: Sequence[int]) -> NDArray[np.float32]:
        """For each character how much the n-grams that cover it speak for the given outputs (their sum)."""
        text = text[:READ]
        hashes, sizes = grams(text)
        score = np.zeros(len(text) + 1, np.float32)
        if not len(hashes) or not len(outputs):
            return score[:-1]
        place, known = self._known(hashes)
        columns = list(outputs)
        value = (self.weights[place][:, columns] * self.scale[columns]).sum(1) * self.idf[place] / sizes
        start = np.concatenate([np.arange((sizes == n).sum()) for n in range(1, int(sizes.max()) + 1)])
        for begin, size, worth in zip(start[known], sizes[known], value[known], strict=True):
            score[begin : begin + size] += worth
        return score[: len(text)]


def side_by_side(tables: Sequence[Wide], texts: Sequence[str]) -> NDArray[np.float32]:
    """Texts × outputs of several tables, one after another; each text is cut into n-grams once."""
    out = np.zeros((len(texts), sum(len(table.bias) for table in tables)), np.float32)
    for row, text in zip(out, texts, strict=True):
        hashes, counts = np.unique(grams(text)[0], return_counts=True)
        row[:] = np.concatenate([table._row(hashes, counts) for table in tables])
    return out
