"""The training corpora as labelled examples.

Every set keeps the meaning of its own labels: what a set does not say is masked, not guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nlp.clean import clip, joined, normalise
from nlp.corpus_files import blaming, find, placed, text_hash
from nlp.labels import DOMAINS, EMOTIONS, EVENTS, SENTIMENTS, STANCES, TOPICS

READ_POSTS = "read_posts"
"""Posts of ``READ_FROM`` that were read and labelled for this project; only their hashes and labels ship."""
UNLABELLED = "unlabelled"
READ_FROM = (UNLABELLED, "finance_negative.train")
SHIPPED = ("authored_posts", "written_posts")
"""Posts written for this project, all of them in ``nlp/corpora``."""
LABELLED = ("finance_posts.labelled.train", "finance_posts.labelled.more.train", *SHIPPED, READ_POSTS)
OTHERS = (
    "finance_negative.train",
    "news_sentiment.train",
    "forum_sentiment.train",
    "review_polarity.train",
    "crisis_events.train",
    "weibo_emotion.train",
)
AUXILIARY = ("crisis_events.train", "weibo_emotion.train")
"""Sets that teach the encoder and measure nothing."""
ANY = (True, True, True)
NOT_NEGATIVE = (False, True, True)

# Event types of CCKS that mean the same as one of our topics. A type that is only near (实控人股东变更,
# 业绩下滑) teaches nothing about topics.
EVENT_TOPICS = {
    "涉嫌非法集资": "illegal_fundraising",
    "涉嫌传销": "illegal_fundraising",
    "涉嫌欺诈": "fraud",
    "提现困难": "withdrawal_difficulty",
    "失联跑路": "absconding",
    "信批违规": "compliance_breach",
    "交易违规": "compliance_breach",
    "财务造假": "compliance_breach",
    "高管负面": "executive_misconduct",
    "债务违约": "liquidity_crisis",
    "资金紧张": "liquidity_crisis",
    "投诉维权": "customer_complaint",
    "歇业停业": "layoffs_arrears",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One labelled text. ``allowed`` sentiments are those its label leaves open."""

    set: str
    key: str
    """Unique in its set."""
    text: str
    """Normalised, title first."""
    sentiment: tuple[bool, ...] = ANY
    domain: int = 0
    topics: tuple[int, ...] | None = None
    """Indices; None when the set does not label topics."""
    stance: int | None = None
    ad: bool | None = None
    events: tuple[int, ...] | None = None
    emotion: int | None = None
    entities: tuple[tuple[str, tuple[bool, ...]], ...] = ()
    """Normalised name and the sentiments that the label leaves open for it."""
    group: str = ""
    form: str = ""
    weight: float = 1.0
    row: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


def only(sentiment: str) -> tuple[bool, ...]:
    """The mask of one certain sentiment. Raises ``ValueError`` when there is none of this name."""
    place = _number(SENTIMENTS, sentiment)
    return tuple(i == place for i in range(len(SENTIMENTS)))


def _number(names: Sequence[str], name: str) -> int:
    """Raises ``ValueError`` for one that is none of them."""
    if name not in names:
        raise ValueError(f"{name!r} 不在 {'、'.join(names)} 之中")
    return names.index(name)


def read(data: Path, name: str) -> list[Example]:
    """One set as examples; texts that are empty after normalisation are left out."""
    make = _MAKERS[name.split(".", maxsplit=1)[0]]
    made = []
    for where, row in _read_posts(data) if name == READ_POSTS else placed(find(data, name)):
        with blaming(where):
            made.append(make(name, row))
    return [example for example in made if example.text]


def _read_posts(data: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The labels of ``nlp/corpora/read_posts`` with the texts they belong to, found by hash in ``READ_FROM``.

    Entities are stored as places [start, end) in the text, ``negative_about`` as numbers of entities. A post of a
    set that labels its companies has none here: they are learnt from there. Each comes with the place of its label.
    """
    labels: dict[str, tuple[str, dict[str, Any]]] = {}
    for where, label in placed(find(data, READ_POSTS)):
        with blaming(where):
            labels[label["sha256"]] = where, label
    for name in READ_FROM:
        for where, row in placed(find(data, name)):
            if not labels:
                return
            with blaming(where):
                found = labels.pop(text_hash(row["text"]), None)
            if found:
                of_label, label = found
                with blaming(of_label):
                    made = _found(label, row)
                yield of_label, made


def _found(label: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    names = [row["text"][start:end] for start, end in label["entities"]]
    return label | {
        "id": label["sha256"][:16],
        "title": row.get("title") or "",
        "text": row["text"],
        "entities": names,
        "negative_about": [names[i] for i in label["negative_about"]],
    }


def _text(row: dict[str, Any]) -> str:
    return joined(clip(row.get("title") or ""), clip(row["text"]))


def _key(row: dict[str, Any]) -> str:
    return str(row.get("id") or hashlib.sha256(row["text"].encode()).hexdigest()[:16])


def _project(name: str, row: dict[str, Any]) -> Example:
    accused, sentiment = set(row["negative_about"]), row["sentiment"]

    def open_for(entity: str) -> tuple[bool, ...]:
        if entity in accused:
            return only("negative")
        if sentiment == "neutral":
            return only("neutral")
        return only("positive") if sentiment == "positive" and len(row["entities"]) == 1 else NOT_NEGATIVE

    return Example(
        set=name,
        key=_key(row),
        text=_text(row),
        sentiment=only(sentiment),
        topics=tuple(_number(TOPICS, topic) for topic in row["topics"]),
        stance=_number(STANCES, row["stance"]),
        ad=bool(row["ad"]),
        entities=tuple((normalise(entity), open_for(entity)) for entity in row["entities"]),
        group=row.get("group") or "",
        form=row.get("form") or "",
        row=row,
    )


def _accusations(name: str, row: dict[str, Any]) -> Example:
    accused = set(row["key_entities"] or ())
    masks = {entity: only("negative") if entity in accused else NOT_NEGATIVE for entity in row["entities"]}
    return Example(
        set=name,
        key=_key(row),
        text=_text(row),
        sentiment=only("negative") if row["negative"] else NOT_NEGATIVE,
        entities=tuple((normalise(entity), mask) for entity, mask in masks.items()),
        weight=0.5,
        row=row,
    )


def _sentiment_only(name: str, row: dict[str, Any]) -> Example:
    domain = DOMAINS.index(name.split("_", maxsplit=1)[0])
    return Example(
        set=name, key=_key(row), text=_text(row), sentiment=only(row["sentiment"]), domain=domain, row=row
    )


def _events(name: str, row: dict[str, Any]) -> Example:
    topics = {TOPICS.index(EVENT_TOPICS[kind]) for kind in row["types"] if kind in EVENT_TOPICS}
    events = {EVENTS.index(kind) for kind in row["types"] if kind in EVENTS}
    return Example(
        set=name,
        key=_key(row),
        text=_text(row),
        domain=-1,
        topics=tuple(sorted(topics)),
        events=tuple(sorted(events)),
        weight=0.5,
        row=row,
    )


def _reviews(name: str, row: dict[str, Any]) -> Example:
    liked = only("positive" if row["positive"] else "negative")
    return Example(
        set=name, key=_key(row), text=_text(row), sentiment=liked, domain=DOMAINS.index("review"), row=row
    )


def _emotions(name: str, row: dict[str, Any]) -> Example:
    return Example(
        set=name,
        key=_key(row),
        text=_text(row),
        domain=-1,
        emotion=_number(EMOTIONS, row["emotion"]),
        row=row,
    )


_MAKERS = {
    "finance_posts": _project,
    "authored_posts": _project,
    "written_posts": _project,
    "read_posts": _project,
    "review_polarity": _reviews,
    "weibo_emotion": _emotions,
    "finance_negative": _accusations,
    "news_sentiment": _sentiment_only,
    "forum_sentiment": _sentiment_only,
    "crisis_events": _events,
}


def renamed(example: Example, names: Sequence[str], rng: np.random.Generator) -> Example:
    """The same example about other companies: each entity gets a random other name, everywhere in the text.

    It teaches that what is said decides, not who it is said about. A name that stands only within a longer one
    becomes what that becomes.
    """
    text = example.text
    order = sorted(range(len(example.entities)), key=lambda i: -len(example.entities[i][0]))
    new: dict[int, str] = {}
    for place, i in enumerate(order):
        name = example.entities[i][0]
        if len(name) < 2 or name not in text:
            around = (new[j] for j in order[:place] if len(name) > 1 and name in example.entities[j][0])
            new[i] = next(around, name)
            continue
        new[i] = names[int(rng.integers(len(names)))]
        text = text.replace(name, chr(0xE000 + place))
    for place, i in enumerate(order):
        text = text.replace(chr(0xE000 + place), new[i])
    changed = [(new[i], mask) for i, (_, mask) in enumerate(example.entities)]
    return replace(example, text=text, entities=tuple(changed))
