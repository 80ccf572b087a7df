"""The training corpora as labelled examples, and the split that keeps copies on one side of it.

Every set keeps the meaning of its own labels: what a set does not say is masked, not guessed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from domain.errors import InputError
from nlp.clean import clip, joined, normalise
from nlp.labels import DOMAINS, EMOTIONS, EVENTS, SENTIMENTS, STANCES, TOPICS
from nlp.minhash import PERMUTATIONS, shingles, signature

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
HELD_OUT = 0.2
"""Share of the clusters that are not trained on: half to tune on, half to measure on."""
BANDS = 8
LARGEST = 40
"""A larger cluster (one advert pasted everywhere) is always trained on: it would fill a held-out part."""

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


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a JSON Lines file, gzip or not. Raises ``InputError`` naming file and row."""
    for _, row in placed(path):
        yield row


def placed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with the words that say where it stands."""
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                where = f"{path} 第 {number} 行"
                yield where, _row(line, where)
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path} 第 {number + 1} 行读不出来：压缩文件不完整") from error
    except OSError as error:
        raise InputError(f"读不了 {path}:{error.strerror or error}") from error


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}不是 UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}不是 JSON:{error}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}不是一组键值")
    return row


@contextmanager
def blaming(where: str) -> Iterator[None]:
    """What a row lacks, or holds of a wrong kind, is said as an ``InputError`` with its place."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"{where}没有 {error.args[0]}") from error
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{where}内容不对：{' '.join(str(error).split())}") from error


def shipped() -> Path:
    """The folder of what was written or labelled for this project and comes with the package."""
    return Path(str(resources.files("nlp") / "corpora"))


def find(data: Path, name: str) -> Path:
    """The file of a set, in a folder or among what ships. Raises ``InputError`` when it is missing."""
    for folder in (data, shipped()):
        for ending in (".jsonl.gz", ".jsonl"):
            if (path := folder / f"{name}{ending}").is_file():
                return path
    raise InputError(f"{data} 里没有 {name}.jsonl.gz")


def read(data: Path, name: str) -> list[Example]:
    """One set as examples; texts that are empty after normalisation are left out."""
    make = _MAKERS[name.split(".", maxsplit=1)[0]]
    made = []
    for where, row in _read_posts(data) if name == READ_POSTS else placed(find(data, name)):
        with blaming(where):
            made.append(make(name, row))
    return [example for example in made if example.text]


def text_hash(text: str) -> str:
    """By what a text of a corpus that may not be copied is known in the repository: SHA-256, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


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


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
