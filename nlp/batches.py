"""Texts as batches of arrays: padded ids and masks, grouped by length; of labelled ones mentions and targets too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from nlp.corpus import EVENT_TOPICS, LABELLED, Example, renamed
from nlp.labels import EVENTS, TOPICS
from nlp.tokens import WINDOW, Pieces, Tokeniser, Window, mentions, window

MOST_NAMES = 24
"""Names of one post that are trained on."""
STRIDE = 8
"""Lengths are rounded up to a multiple of it: for every new shape PyTorch builds its kernels anew on a processor."""
Step = TypeVar("Step")
_EXACT = sorted({TOPICS.index(topic) for topic in EVENT_TOPICS.values()})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Arrays of one step; see ``nlp.model.Judge.forward`` for the inputs."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    mentions: NDArray[np.float32]
    owner: NDArray[np.int64]
    sentiment: NDArray[np.float32]
    """Allowed sentiments, 0/1."""
    domain: NDArray[np.int64]
    topics: NDArray[np.float32]
    topic_weight: NDArray[np.float32]
    stance: NDArray[np.int64]
    ad: NDArray[np.float32]
    """1, 0, or -1 where not labelled."""
    events: NDArray[np.float32]
    """-1 where not labelled."""
    emotion: NDArray[np.int64]
    """-1 where not labelled."""
    entity: NDArray[np.float32]
    weight: NDArray[np.float32]


class Steps(Sequence[Step]):
    """One pass: ``make`` of each item, when it is read; the arrays of all steps would fit no memory."""

    def __init__(self, make: Callable[[Any], Step], items: Sequence[Any]) -> None:
        self._make, self._items = make, items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, at: int) -> Step: ...
    @overload
    def __getitem__(self, at: slice) -> list[Step]: ...
    def __getitem__(self, at: int | slice) -> Step | list[Step]:
        if isinstance(at, slice):
            return [self._make(item) for item in self._items[at]]
        return self._make(self._items[at])


def rounded(length: int) -> int:
    """The length up to which a row of such a length is padded."""
    return -(-length // STRIDE) * STRIDE


def padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ids and their mask; what is masked has id 0, whatever that is in the vocabulary."""
    ids, mask = np.zeros((2, len(rows), rounded(max(map(len, rows)))), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def pad(
    windows: Sequence[Window],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Ids, mask, mentions and owner of some windows."""
    ids, mask = padded([w.ids for w in windows])
    names = [(i, spans) for i, w in enumerate(windows) for spans in w.spans]
    where = np.zeros((len(names), ids.shape[1]), np.float32)
    for row, (_, spans) in enumerate(names):
        for start, end in spans:
            where[row, start:end] = 1
    total = where.sum(1, keepdims=True)
    where /= np.maximum(total, 1)
    return ids, mask, where, np.array([i for i, _ in names], np.int64)


def chosen(train: Sequence[Example], shares: dict[str, float], rng: np.random.Generator) -> list[Example]:
    """One pass: of each set the share (1 = all, 1.5 = all and a random half again) given."""
    result: list[Example] = []
    by_set: dict[str, list[Example]] = {}
    for example in train:
        by_set.setdefault(example.set, []).append(example)
    for name, members in by_set.items():
        whole, part = divmod(shares[name], 1)
        result += members * int(whole)
        result += [members[i] for i in rng.permutation(len(members))[: round(part * len(members))]]
    return result


def windows(examples: Sequence[Example], tokeniser: Tokeniser, rng: np.random.Generator) -> list[Window]:
    """A window of each: mostly the first one, now and then a later one of a long text."""
    result = []
    for example, pieces in zip(examples, tokeniser.pieces([e.text for e in examples]), strict=True):
        spans = mentions(example.text, pieces, [name for name, _ in example.entities[:MOST_NAMES]])
        result.append(window(pieces, spans, _start(pieces, rng)))
    return result


def _start(pieces: Pieces, rng: np.random.Generator) -> int:
    rest = len(pieces.ids) - WINDOW
    return int(rng.integers(rest + 1)) if rest > 0 and rng.random() < 0.2 else 0


def plan(
    lengths: Sequence[int] | NDArray[np.int64],
    tokens: int,
    rng: np.random.Generator,
    *,
    shares: NDArray[np.floating] | None = None,
    pool: int = 4_000,
) -> list[list[int]]:
    """Indices grouped into batches of similar length and at most so many padded tokens, in random order.

    ``shares``: how often each is read (.5: in every other pass, by chance); once when not given. ``pool``: how many
    are sorted by length together; the more, the less is padding.
    """
    times = 1 if shares is None else np.floor(shares + rng.random(len(shares))).astype(np.int64)
    order = rng.permutation(np.repeat(np.arange(len(lengths)), times))
    groups: list[list[int]] = []
    for start in range(0, len(order), pool):
        current: list[int] = []
        for i in sorted(order[start : start + pool], key=lambda i: lengths[i]):
            if current and (len(current) + 1) * rounded(int(lengths[i])) > tokens:
                groups.append(current)
                current = []
            current.append(int(i))
        groups.append(current)
    return [groups[i] for i in rng.permutation(len(groups))]


def collate(examples: Sequence[Example], windows_: Sequence[Window]) -> Batch:
    """Arrays of some examples and their windows."""
    ids, mask, where, owner = pad(windows_)
    topics = np.zeros((len(examples), len(TOPICS)), np.float32)
    topic_weight = np.zeros_like(topics)
    events = np.full((len(examples), len(EVENTS)), -1, np.float32)
    for i, example in enumerate(examples):
        if example.topics is not None:
            if example.set in LABELLED:
                topic_weight[i] = 1
            else:
                # A public set marks one main event: what it marks is there, what it does not mark may be too.
                topic_weight[i, _EXACT] = 0.15
                topic_weight[i, list(example.topics)] = 0.5
            topics[i, list(example.topics)] = 1
        if example.events is not None:
            events[i] = 0
            events[i, list(example.events)] = 1
    kept = [mask for example in examples for _, mask in example.entities[:MOST_NAMES]]
    return Batch(
        ids=ids,
        mask=mask,
        mentions=where,
        owner=owner,
        sentiment=np.array([example.sentiment for example in examples], np.float32),
        domain=np.array([example.domain for example in examples], np.int64),
        topics=topics,
        topic_weight=topic_weight,
        stance=np.array([-1 if e.stance is None else e.stance for e in examples], np.int64),
        ad=np.array([-1 if e.ad is None else e.ad for e in examples], np.float32),
        events=events,
        emotion=np.array([-1 if e.emotion is None else e.emotion for e in examples], np.int64),
        entity=np.array(kept, np.float32).reshape(-1, 3),
        weight=np.array([example.weight for example in examples], np.float32),
    )


def one_pass(
    train: Sequence[Example],
    tokeniser: Tokeniser,
    *,
    seed: int,
    shares: dict[str, float],
    rename: float,
    tokens: int,
) -> Iterator[Batch]:
    """Batches of one pass, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    names = sorted(
        {name for e in train if e.set in LABELLED for name, _ in e.entities if 2 <= len(name) <= 8}
    )
    examples = [
        renamed(e, names, rng) if e.entities and rng.random() < rename else e
        for e in chosen(train, shares, rng)
    ]
    cut = windows(examples, tokeniser, rng)
    for group in plan([len(w.ids) for w in cut], tokens, rng):
        yield collate([examples[i] for i in group], [cut[i] for i in group])
