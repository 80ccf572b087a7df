"""Batched inference: texts in, calibrated judgements out. The same answer for any batch and order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from domain.errors import ModelError
from nlp.brands import as_called, as_written
from nlp.bundle import Bundle, open_bundle
from nlp.clean import clip, joined, normalise
from nlp.encoder import Encoder, softmax
from nlp.fusion import FOUND, GIVEN, POST_TASKS, UNNAMED, reach, sigmoid
from nlp.judgement import Item, Judgement, Logits
from nlp.labels import DOMAINS, SENTIMENTS, STANCES, TOPICS
from nlp.passages import LONG, heard, passages
from nlp.tokens import WINDOW, Pieces, Window, mentions, told_of, window
from nlp.wide import side_by_side

MOST_WINDOWS = 64
"""Windows of one text that are read: as many as ``clip`` leaves of a text in Chinese, and of others the first and the
last."""
MOST_NAMES = 64
"""Different names of one text that are judged by their own mentions; further ones by the post."""
BATCH_TOKENS = 1024
"""Word pieces computed at once: what stays in the cache of a core."""

REMEMBERED = 2_000
"""Judgements kept in case the same text comes again."""
LONGEST_REMEMBERED = 1_000
"""Characters of such a text."""
LONGEST_NAME = 200
"""Characters of a name that are looked for."""

Array = NDArray[np.float32]
Floats = NDArray[np.floating]


_SHAPES = {
    "sentiment": (len(DOMAINS), len(SENTIMENTS)),
    "domain": (len(DOMAINS),),
    "topics": (len(TOPICS),),
    "stance": (len(STANCES),),
    "ad": (1,),
    "entity": (1, len(SENTIMENTS)),
}
"""Of the logits for a text with one name."""
_CERTAIN = (0.0005, 0.999, 0.0005)


Asked = tuple[str, tuple[str, ...]]
"""What the model reads of an item: text and names, normalised."""
Key = tuple[str, tuple[str, ...], int]
"""The same, and what is known of whom it is about (``nlp.fusion.GIVEN`` …)."""


class _Recent:
    """The last judgements: the same words are often posted again and again. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[Key, Judgement] = {}

    def known(self, keys: Iterable[Key]) -> dict[Key, Judgement]:
        """What is remembered of these."""
        with self._lock:
            return {key: self._made[key] for key in keys if key in self._made}

    def add(self, made: Mapping[Key, Judgement]) -> None:
        """Remember, and forget the oldest."""
        with self._lock:
            self._made |= {key: each for key, each in made.items() if _is_short(key)}
            for key in list(islice(self._made, max(0, len(self._made) - REMEMBERED))):
                del self._made[key]


def _is_short(key: Key) -> bool:
    """A text that is worth its room: not an article, nor one with a list of thousands of companies."""
    return len(key[0]) <= LONGEST_REMEMBERED and len(key[1]) <= MOST_NAMES


class Runtime:
    """A loaded model. Thread-safe: threads share one pool of as many workers as there are cores."""

    def __init__(
        self, bundle: Bundle, *, batch_tokens: int = BATCH_TOKENS, workers: int | None = None
    ) -> None:
        self.name = bundle.name
        self.wide = bundle.wide
        self._kinds = bundle.kinds
        self.fusion = bundle.fusion
        self._encoder = Encoder(bundle.encoder)
        self._tokeniser = bundle.tokeniser
        self._batch_tokens = batch_tokens
        self._recent = _Recent()
        self._pool = ThreadPoolExecutor(workers or _cores(), thread_name_prefix="network")

    @classmethod
    def load(cls, directory: Path) -> Runtime:
        """The model of a directory, tried on one text. Raises ``ModelError``."""
        made = cls(open_bundle(directory))
        try:
            (tried,) = made.logits([("平台", ("平台",))])
        except Exception as error:
            # A foreign network can fail in any way; later every post would be to blame.
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{directory} 的网络与本程序不合：{type(error).__name__}: {reason}") from error
        if wrong := [name for name, shape in _SHAPES.items() if getattr(tried, name).shape != shape]:
            raise ModelError(f"{directory} 的网络与本程序的任务不合：{'、'.join(wrong)} 的形状不对")
        return made

    def judge(self, items: Sequence[Item], *, finance: bool = False) -> list[Judgement]:
        """Judgements in the order of the items; exact repeats are computed once, and recent ones not again.

        ``finance``: all of them are known to be about the platforms, as those of watched sources are. Otherwise a
        text for which no company was given may be recognised as news, stock-forum talk or a review of a purchase,
        and is judged as such.
        """
        read = {item: _key(item, finance) for item in dict.fromkeys(items)}
        keys = [read[item] for item in items]
        made = self._recent.known(keys)
        new = [key for key in dict.fromkeys(keys) if key[0] and key not in made]
        made |= dict(zip(new, self._heard(new), strict=True))
        self._recent.add({key: made[key] for key in new})
        return [made[key] if key[0] else _blank(len(key[1])) for key in keys]

    def _heard(self, keys: Sequence[Key]) -> list[Judgement]:
        """Judgements of texts, of long ones also by the passages that name a company (``nlp.passages``)."""
        parts: list[tuple[int, Key]] = []
        for i, (text, names, named) in enumerate(keys):
            there = told_of(text, names)[:MOST_NAMES] if len(text) > LONG else []
            for passage in passages(text) if there else ():
                if own := told_of(passage, there):
                    parts.append((i, (passage, tuple(own), named)))
        asked = [*keys, *(key for _, key in parts)]
        judged = self._decide(asked, self.logits([key[:2] for key in asked]))
        made, told = judged[: len(keys)], judged[len(keys) :]
        mine: dict[int, list[tuple[Sequence[str], Judgement]]] = {}
        for (i, (_, own_names, _)), each in zip(parts, told, strict=True):
            mine.setdefault(i, []).append((own_names, each))
        limits = self.fusion.thresholds
        return [
            heard(each, keys[i][1], mine[i], limits) if i in mine else each for i, each in enumerate(made)
        ]

    def grams(self, texts: Sequence[str]) -> Array:
        """Raw outputs of the n-gram part for normalised texts, in the columns of ``nlp.wide.COLUMNS``."""
        return side_by_side((self.wide, self._kinds), texts)

    def logits(self, texts: Sequence[Asked]) -> list[Logits]:
        """Raw outputs for normalised texts with their normalised names."""
        pieces = self._tokeniser.pieces([text for text, _ in texts])
        cut = [_windows(text, found, names) for (text, names), found in zip(texts, pieces, strict=True)]
        reading = self._read([w for windows in cut for w in windows])
        wide = self.grams([text for text, _ in texts])
        read = iter(reading())
        return [
            _gather([next(read) for _ in windows], windows, names, row)
            for windows, (_, names), row in zip(cut, texts, wide, strict=True)
        ]

    def _read(self, windows: Sequence[Window]) -> Callable[[], list[tuple[Array, ...]]]:
        """Begin to read windows, in batches of one length each; the call of what is returned waits for the outputs.

        Nothing is padded, so that a window's outputs are the same to the last bit whatever it was read with.
        """
        batches: list[list[int]] = []
        for i in sorted(range(len(windows)), key=lambda i: -len(windows[i].ids)):
            length = len(windows[i].ids)
            last = batches[-1] if batches else []
            if (
                not last
                or len(windows[last[0]].ids) != length
                or (len(last) + 1) * length > self._batch_tokens
            ):
                batches.append([])
            batches[-1].append(i)
        result: list[tuple[Array, ...]] = [()] * len(windows)

        def run(batch: list[int]) -> None:
            got = self._encoder.read([windows[i] for i in batch])
            rows = zip(
                got.sentiment, got.domain, got.topics, got.stance, got.ad[:, None], got.entity, strict=True
            )
            for i, row in zip(batch, rows, strict=True):
                result[i] = row

        if len(batches) == 1:  # one post need not wait for another thread to wake up
            run(batches[0])
            return lambda: result
        running = [self._pool.submit(run, batch) for batch in batches]

        def wait() -> list[tuple[Array, ...]]:
            for each in running:
                each.result()
            return result

        return wait

    def _decide(self, keys: Sequence[Key], logits: Sequence[Logits]) -> list[Judgement]:
        """From raw outputs to judgements, all texts at once, in double precision."""
        if not keys:
            return []
        wide = _stack(logits, "wide")
        there = [told_of(text, names) for text, names, _ in keys]
        several = np.array(
            [
                len({name.lower() for name in own or names}) > 1
                for own, (_, names, _) in zip(there, keys, strict=True)
            ]
        )
        named = np.array([named for _, _, named in keys])
        length = reach(np.array([len(text) for text, _, _ in keys]))
        sentiment = self.fusion.sentiments(
            _stack(logits, "sentiment"), _stack(logits, "domain"), wide, named, length
        )
        mixed = self.fusion.of_posts({task: _stack(logits, task) for task in POST_TASKS}, wide, length)
        topics, ad = sigmoid(mixed["topics"]), sigmoid(mixed["ad"])[:, 0]
        stance = _shares(softmax(mixed["stance"]))
        entities = [
            _as_told(names, own, made)
            for (_, names, _), own, made in zip(
                keys, there, self._companies([x.entity for x in logits], sentiment, several), strict=True
            )
        ]
        rows = zip(
            keys, _shares(sentiment), topics, _rounded(topics), stance, ad.tolist(), entities, strict=True
        )
        return [
            Judgement(
                sentiment=mood,
                topics=shown,
                stance=attitude,
                ad=round(advert, 5),
                entities=companies,
                decided=self._decided(exact),
                is_ad=advert >= self.fusion.ad_threshold,
                read=key[0],
            )
            for key, mood, exact, shown, attitude, advert, companies in rows
        ]

    def _decided(self, topics: Floats) -> tuple[int, ...]:
        """The topics decided on, most probable first."""
        found = np.flatnonzero(topics >= self.fusion.thresholds)
        return tuple(int(k) for k in found[np.argsort(-topics[found], kind="stable")])

    def _companies(
        self, logits: Sequence[Array], sentiment: Floats, several: NDArray[np.bool_]
    ) -> list[tuple[tuple[float, ...], ...]]:
        """Distributions of the companies of each text; a text that names several is another case than one."""
        owner = np.repeat(np.arange(len(logits)), [len(x) for x in logits])
        own = np.concatenate(logits).astype(np.float64)
        made = np.zeros_like(own)
        for case in (False, True):
            if (rows := several[owner] == case).any():
                made[rows] = self.fusion.entities(own[rows], sentiment[owner[rows]], case)
        shares = iter(_shares(made))
        return [tuple(next(shares) for _ in x) for x in logits]


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _key(item: Item, finance: bool) -> Key:
    found = FOUND if item.found else GIVEN
    named = GIVEN if finance else found if item.entities else UNNAMED
    text = joined(clip(item.title), clip(item.text))
    return text, as_called(text, as_written(text, tuple(map(_name, item.entities)))), named


@lru_cache(4096)
def _name(name: str) -> str:
    return normalise(clip(name, head=LONGEST_NAME, tail=0))


def _as_told(
    names: Sequence[str], there: Sequence[str], made: tuple[tuple[float, ...], ...]
) -> tuple[tuple[float, ...], ...]:
    """Of a name that the text lacks, while it mentions another: what it says of that where the one is part of the
    other (北京金领贷, 金领贷), else nothing."""
    if not there or len(there) == len(set(names)):
        return made
    present = set(there)
    said = {name: p for name, p in zip(names, made, strict=True) if name in present}
    # Of thousands of names no more than are judged by their own mentions: each costs time for each that lacks.
    lowered = [(name.lower(), p) for name, p in islice(said.items(), MOST_NAMES)]

    @cache
    def of(name: str) -> tuple[float, ...]:
        low = name.lower()
        near = [p for other, p in lowered if low and (low in other or other in low)]
        return max(near, default=_CERTAIN)  # the sentiment that comes first is negative

    return tuple(said[name] if name in said else of(name) for name in names)


def _blank(names: int) -> Judgement:
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


def _stack(logits: Sequence[Logits], name: str) -> Floats:
    return np.array([getattr(x, name) for x in logits], np.float64)


def _rounded(p: Floats) -> list[tuple[float, ...]]:
    """Rows of five digits."""
    return [tuple(row) for row in p.round(5).tolist()]


def _shares(p: Floats) -> list[tuple[float, ...]]:
    """Rows of five digits that still sum to 1: the largest share takes what rounding left."""
    shares, rows = p.round(5), np.arange(len(p))
    best = p.argmax(1)
    shares[rows, best] = 0
    shares[rows, best] = 1 - shares.sum(1)
    return _rounded(shares)


def _windows(text: str, pieces: Pieces, names: Sequence[str]) -> list[Window]:
    """The windows of a text that are read, each with the mentions of the first different names."""
    distinct = list(dict.fromkeys(names))[:MOST_NAMES]
    spans = mentions(text, pieces, distinct)
    starts = list(range(0, max(1, len(pieces.ids)), WINDOW))
    if len(starts) > 1 and len(pieces.ids) - starts[-1] < WINDOW // 4:
        starts[-1] = len(pieces.ids) - WINDOW  # a short rest by itself says too little to be heard as loudly
    if len(starts) > MOST_WINDOWS:
        starts = [*starts[: MOST_WINDOWS - 1], starts[-1]]
    return [window(pieces, spans, start) for start in starts]


def _gather(
    read: Sequence[tuple[Array, ...]], windows: Sequence[Window], names: Sequence[str], wide: Array
) -> Logits:
    """Windows of one text as one: the first counts double; a topic also by where it is loudest."""
    if len(read) == 1:
        sentiment, domain, topics, stance, ad, _ = read[0]
    else:
        weight = np.array([2.0, *[1.0] * (len(read) - 1)], np.float32)
        weight /= weight.sum()
        sentiment, domain, topics, stance, ad = (
            np.tensordot(weight, np.stack([part[k] for part in read]), 1) for k in range(5)
        )
        topics = (topics + np.max([part[2] for part in read], axis=0)) / 2
    entity = np.zeros((len(names), len(SENTIMENTS)), np.float32)
    distinct = {name: i for i, name in enumerate(list(dict.fromkeys(names))[:MOST_NAMES])}
    for row, name in zip(entity, names, strict=True):
        if (i := distinct.get(name)) is not None:
            inside = [part[5][i] for part, w in zip(read, windows, strict=True) if w.spans[i]]
            row[:] = np.mean(inside, axis=0) if len(inside) > 1 else (inside or [read[0][5][i]])[0]
    return Logits(
        sentiment=sentiment, domain=domain, topics=topics, stance=stance, ad=ad, entity=entity, wide=wide
    )
