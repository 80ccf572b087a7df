"""MinHash signatures of texts by numpy: 3-character shingles, 64 permutations."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 64
_WORDLESS = re.compile(r"[\W_]+")
_RNG = np.random.default_rng(20_240_601)
_A = _RNG.integers(1, 2**63, PERMUTATIONS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_B = _RNG.integers(0, 2**63, PERMUTATIONS, dtype=np.uint64)
_MIX = [
    np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xBF58476D1CE4E5B9)
]


def shingles(text: str) -> NDArray[np.uint64]:
    """Distinct 64-bit hashes of all runs of three word characters; a shorter text is one shingle."""
    letters = _WORDLESS.sub("", text.lower())
    codes = np.frombuffer(letters.encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    if not len(codes):
        return np.zeros(0, np.uint64)
    if len(codes) < 3:
        codes = np.concatenate([codes, np.zeros(3 - len(codes), np.uint64)])
    mixed = codes[:-2] * _MIX[0] ^ codes[1:-1] * _MIX[1] ^ codes[2:] * _MIX[2]
    mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIX[3]
    return np.unique(mixed ^ (mixed >> np.uint64(29)))


def signature(marks: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """MinHash signature of a set of shingles (multiply-shift hashing, Dietzfelbinger et al. 1997)."""
    if not len(marks):
        return np.full(PERMUTATIONS, 2**32 - 1, np.uint32)
    hashed: NDArray[np.uint64] = (_A[:, None] * marks[None, :] + _B[:, None]) >> np.uint64(32)
    least: NDArray[np.uint32] = hashed.min(axis=1).astype(np.uint32)
    return least


def similarity(one: NDArray[np.uint64], two: NDArray[np.uint64]) -> float:
    """Jaccard similarity of two sets of shingles, 0..1; two empty sets are alike."""
    if not len(one) and not len(two):
        return 1.0
    shared = len(np.intersect1d(one, two, assume_unique=True))
    return shared / (len(one) + len(two) - shared)
