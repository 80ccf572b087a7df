"""Batched inference: texts in, calibrated judgements out. The same answer for any batch and order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nlp.bundle import Bundle, open_bundle
from nlp.clean import clip, joined, normalise
from nlp.encoder import Encoder, softmax
from nlp.fusion import FOUND, GIVEN, UNNAMED, reach, sigmoid
from nlp.labels import SENTIMENTS, STANCES, TOPICS
from nlp.tokens import WINDOW, Pieces, Tokeniser, Window, mentions, window
from nlp.wide import COLUMNS, side_by_side

MOST_WINDOWS = 5
"""Windows of one text that are read: the first four and the last."""
MOST_NAMES = 64
"""Different names of one text that are judged by their own mentions; further ones by the post."""
BATCH_TOKENS = 2048
"""Padded word pieces computed at once."""

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A text to judge, as written, and the names to judge it about."""

    text: str
    title: str = ""
    entities: tuple[str, ...] = ()
    found: bool = False
    """The entities were found in the text by us; whoever asks did not name them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the model makes of one item; probabilities are calibrated, in the order of ``nlp.labels``."""

    sentiment: tuple[float, ...]
    topics: tuple[float, ...]
    stance: tuple[float, ...]
    ad: float
    entities: tuple[tuple[float, ...], ...]
    """One distribution over sentiments for each given name."""
    decided: tuple[int, ...]
    """Indices of the topics decided on, most probable first."""
    is_ad: bool
    read: str
    """The text as the model read it."""

    @property
    def best(self) -> str:
        """The most probable sentiment."""
        return SENTIMENTS[int(np.argmax(self.sentiment))]

    @property
    def best_stance(self) -> str:
        """The most probable stance."""
        return STANCES[int(np.argmax(self.stance))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Logits:
    """Raw outputs for one text; what ``nlp.tune`` calibrates on."""

    sentiment: Array
    domain: Array
    topics: Array
    stance: Array
    ad: Array
    entity: Array
    wide: Array


_CERTAIN = (0.0005, 0.999, 0.0005)


class Runtime:
    """A loaded model. Thread-safe: nothing changes after construction."""

    def __init__(
        self, bundle: Bundle, *, batch_tokens: int = BATCH_TOKENS, workers: int | None = None
    ) -> None:
        self.name = bundle.name
        self.wide = bundle.wide
        self._kinds = bundle.kinds
        self.fusion = bundle.fusion
        self._encoder = Encoder(bundle.tensors, heads=bundle.heads)
        self._tokeniser = Tokeniser(bundle.vocab)
        self._batch_tokens = batch_tokens
        self._workers = workers or min(4, os.cpu_count() or 1)

    @classmethod
    def load(cls, directory: Path) -> Runtime:
        """The model of a directory. Raises ``ModelError``."""
        return cls(open_bundle(directory))

    def judge(self, items: Sequence[Item], *, finance: bool = False) -> list[Judgement]:
        """Judgements in the order of the items; exact repeats are computed once.

        ``finance``: all of them are known to be about the platforms, as those of watched sources are. Otherwise a
        text for which no company was given may be recognised as news, stock-forum talk or a review of a purchase,
        and is judged as such.
        """
        texts = [joined(clip(item.title), clip(item.text)) for item in items]
        names = [tuple(normalise(clip(name, head=64, tail=0)) for name in item.entities) for item in items]
        named = [GIVEN if finance or (item.entities and not item.found) else FOUND if item.entities else UNNAMED
                 for item in items]  # fmt: skip
        keys = list(zip(texts, names, named, strict=True))
        distinct = [key for key in dict.fromkeys(keys) if key[0]]
        known = dict(zip(distinct, self.logits([key[:2] for key in distinct]), strict=True))
        made = {key: self._decide(key[0], logits, len(set(key[1])), key[2]) for key, logits in known.items()}
        return [made[key] if key[0] else self._blank(len(key[1])) for key in keys]

    def grams(self, texts: Sequence[str]) -> Array:
        """Raw outputs of the n-gram part for normalised texts, in the columns of ``nlp.wide.COLUMNS``."""
        return side_by_side((self.wide, self._kinds), texts)

    def logits(self, texts: Sequence[tuple[str, tuple[str, ...]]]) -> list[Logits]:
        """Raw outputs for normalised texts with their normalised names."""
        pieces = self._tokeniser.pieces([text for text, _ in texts])
        work = [
            (i, w)
            for i, ((text, names), found) in enumerate(zip(texts, pieces, strict=True))
            for w in _windows(text, found, names)
        ]
        read = self._read([w for _, w in work])
        wide = self.grams([text for text, _ in texts])
        grouped: list[list[int]] = [[] for _ in texts]
        for place, (i, _) in enumerate(work):
            grouped[i].append(place)
        return [_gather([read[p] for p in places], [work[p][1] for p in places], names, row)
                for places, (_, names), row in zip(grouped, texts, wide, strict=True)]  # fmt: skip

    def _read(self, windows: Sequence[Window]) -> list[tuple[Array, ...]]:
        order = sorted(range(len(windows)), key=lambda i: len(windows[i].ids))
        batches: list[list[int]] = []
        for i in order:
            if not batches or (len(batches[-1]) + 1) * len(windows[i].ids) > self._batch_tokens:
                batches.append([])
            batches[-1].append(i)
        result: list[tuple[Array, ...]] = [()] * len(windows)

        def run(batch: list[int]) -> None:
            got = self._encoder.read([windows[i] for i in batch])
            for row, i in enumerate(batch):
                result[i] = (
                    got.sentiment[row], got.domain[row], got.topics[row], got.stance[row], got.ad[row : row + 1],
                    got.entity[row],
                )  # fmt: skip

        # One BLAS thread for each of ours: the element-wise work then runs in parallel too, and no thread of BLAS
        # spins while it waits for a core that another process has.
        with threadpool_limits(1, user_api="blas"):
            if len(batches) < 2 or self._workers < 2:
                for batch in batches:
                    run(batch)
            else:
                with ThreadPoolExecutor(self._workers) as pool:
                    list(pool.map(run, reversed(batches)))
        return result

    def _decide(self, text: str, logits: Logits, names: int, named: int) -> Judgement:
        wide = logits.wide
        length = reach(np.array([len(text)]))
        sentiment = self.fusion.sentiments(
            logits.sentiment[None], logits.domain[None], wide[None], np.array([named]), length
        )[0]
        topics = sigmoid(self.fusion.topics(logits.topics, wide[COLUMNS["topics"]], length))
        stance = softmax(self.fusion.stance(logits.stance, wide[COLUMNS["stance"]], length))
        ad = float(sigmoid(self.fusion.ad(logits.ad, wide[COLUMNS["ad"]], length))[0])
        entities = self.fusion.entities(logits.entity, sentiment, names > 1)
        decided = [k for k in np.argsort(-topics) if topics[k] >= self.fusion.thresholds[k]]
        return Judgement(
            sentiment=_shares(sentiment),
            topics=_rounded(topics),
            stance=_shares(stance),
            ad=round(ad, 5),
            entities=tuple(map(_shares, entities)),
            decided=tuple(map(int, decided)),
            is_ad=ad >= self.fusion.ad_threshold,
            read=text,
        )

    def _blank(self, names: int) -> Judgement:
        """Nothing was said: neutral, about everybody."""
        return Judgement(
            sentiment=_CERTAIN,
            topics=(0.0005,) * len(TOPICS),
            stance=(0.0005, 0.0005, 0.0005, 0.9985),
            ad=0.0005,
            entities=(_CERTAIN,) * names,
            decided=(),
            is_ad=False,
            read="",
        )


def _rounded(p: Array) -> tuple[float, ...]:
    """Five digits: what another batch's order of summing changes is not shown as a difference."""
    return tuple(round(float(x), 5) for x in p)


def _shares(p: Array) -> tuple[float, ...]:
    """A distribution of five digits that still sums to 1: the largest share takes what rounding left."""
    shares = list(_rounded(p))
    best = int(np.argmax(p))
    shares[best] = round(1 - sum(share for i, share in enumerate(shares) if i != best), 5)
    return tuple(shares)


def _windows(text: str, pieces: Pieces, names: Sequence[str]) -> list[Window]:
    """The windows of a text that are read, each with the mentions of the first different names."""
    distinct = list(dict.fromkeys(names))[:MOST_NAMES]
    spans = mentions(text, pieces, distinct)
    starts = list(range(0, max(1, len(pieces.ids)), WINDOW))
    if len(starts) > 1 and len(pieces.ids) - starts[-1] < WINDOW // 4:
        starts.pop()  # a short rest says too little to be heard as loudly as the others
    if len(starts) > MOST_WINDOWS:
        starts = [*starts[: MOST_WINDOWS - 1], starts[-1]]
    return [window(pieces, spans, start) for start in starts]


def _gather(
    read: Sequence[tuple[Array, ...]], windows: Sequence[Window], names: Sequence[str], wide: Array
) -> Logits:
    """Windows of one text as one: the first counts double; a topic also by where it is loudest."""
    weight = np.array([2.0, *[1.0] * (len(read) - 1)], np.float32)
    weight /= weight.sum()
    sentiment, domain, topics, stance, ad = (
        np.tensordot(weight, np.stack([part[k] for part in read]), 1) for k in range(5)
    )
    loudest = np.max([part[2] for part in read], axis=0)
    distinct = {name: i for i, name in enumerate(list(dict.fromkeys(names))[:MOST_NAMES])}
    rows = []
    for name in names:
        i = distinct.get(name)
        if i is None:
            rows.append(np.zeros(len(SENTIMENTS), np.float32))
            continue
        inside = [part[5][i] for part, w in zip(read, windows, strict=True) if w.spans[i]]
        rows.append(np.mean(inside, axis=0) if inside else read[0][5][i])
    return Logits(
        sentiment=sentiment,
        domain=domain,
        topics=(topics + loudest) / 2,
        stance=stance,
        ad=ad,
        entity=np.array(rows, np.float32).reshape(-1, len(SENTIMENTS)),
        wide=wide,
    )
