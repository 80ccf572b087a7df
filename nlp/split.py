"""What is trained on, tuned on and measured on: copies of a text are never on two sides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nlp.corpus import AUXILIARY, LABELLED, OTHERS, Example, read
from nlp.corpus_files import text_hash
from nlp.minhash import PERMUTATIONS, shingles, signature

HELD_OUT = 0.2
"""Share of the clusters that are not trained on: half to tune on, half to measure on."""
BANDS = 8
LARGEST = 40
"""A larger cluster (one advert pasted everywhere) is always trained on: it would fill a held-out part."""


def clusters(examples: Sequence[Example]) -> list[int]:
    """For each example the number of its cluster: near-duplicates (8 bands of 8 MinHashes) and groups share one."""
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    first: dict[tuple[int, bytes] | str, int] = {}
    width = PERMUTATIONS // BANDS
    for i, example in enumerate(examples):
        marks = signature(shingles(example.text[:600]))
        names: list[tuple[int, bytes] | str] = [
            (band, marks[band * width : (band + 1) * width].tobytes()) for band in range(BANDS)
        ]
        if example.group:
            names.append(example.group)
        for name in names:
            parent[root(i)] = root(first.setdefault(name, i))
    return [root(i) for i in range(len(examples))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Training examples, and two held-out parts of the labelled sets: one to tune on, one to measure on."""

    train: list[Example]
    tune: list[Example]
    test: list[Example]


def split(data: Path, *, held_out: float = HELD_OUT) -> Split:
    """Split by the hash of the cluster: no near-duplicate and no contrast group is on two sides.

    Half of ``held_out`` is for tuning, half for measuring; rows of the public sets that copy a held-out text
    are dropped from training.
    """
    return parted(
        [example for name in (*LABELLED, *OTHERS) for example in read(data, name)], held_out=held_out
    )


def parted(examples: Sequence[Example], *, held_out: float) -> Split:
    """See ``split``."""
    parts: dict[str, list[Example]] = {"train": [], "tune": [], "test": []}
    for example, mark in zip(examples, marks(examples, clusters(examples)), strict=True):
        at = place(mark)
        part = "test" if at < held_out / 2 else "tune" if at < held_out else "train"
        if part != "train" and example.set in AUXILIARY:
            continue
        parts[part].append(example)
    return Split(**parts)


def marks(examples: Sequence[Example], roots: Sequence[int]) -> list[str]:
    """For each example the smallest digest in its cluster; empty for a cluster above ``LARGEST``.

    ``roots`` are those of ``clusters``.
    """
    smallest: dict[int, str] = {}
    sizes = Counter(roots)
    for example, number in zip(examples, roots, strict=True):
        digest = hashlib.sha256(example.text.encode()).hexdigest()
        smallest[number] = min(smallest.get(number, digest), digest)
    return [smallest[number] if sizes[number] <= LARGEST else "" for number in roots]


def place(mark: str) -> float:
    """Where a cluster stands in 0..1, by which a part is held out; one that is always trained on: 1.

    The smallest of many digests is small: hashed again, a large cluster is held out as often as a single text.
    """
    return int(text_hash(mark)[:8], 16) / 2**32 if mark else 1.0
