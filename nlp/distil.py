"""Distillation: an encoder learns what whole models, its teachers, think of many texts (Hinton et al. 2015,
"Distilling the knowledge in a neural network").

What a teacher thinks are its calibrated probabilities, its n-grams heard; of several teachers the mean. Labelled posts
about platforms are few, so each is read in many variants: clauses left out, mixed with another post's, words dropped,
other companies named (after Tang et al. 2019, "Distilling task-specific knowledge from BERT into simple neural
networks"). What a variant says nobody labelled; the teachers' probabilities are its label, doubt included.

Two stages, each kept in the work folder: texts and the teachers' view of them → ``told-N.npz``; then steps, resumable
at any point → ``model/``, a base for ``yujing train`` with its heads. Imports torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from domain.errors import InputError
from nlp import corpus
from nlp.bases import RECORD, from_pretrained, origin, save_pretrained, tokeniser_of
from nlp.batches import MOST_NAMES, pad, plan
from nlp.bundle import open_bundle
from nlp.clean import clip, joined
from nlp.corpus import LABELLED, Example, renamed
from nlp.corpus_files import blaming, find, placed
from nlp.encoder import softmax
from nlp.entities import EntityFinder
from nlp.fusion import POST_TASKS, UNNAMED, reach, sigmoid
from nlp.learn import Recipe, run
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.split import Split
from nlp.tokens import WINDOW, Tokeniser, Window, mentions, told_of, window

Say = Callable[[str], None]
Floats = NDArray[np.floating]
LONGEST = 240
"""Characters of a variant: one window of either network."""
SHARD = 5_000
"""Variants that are kept in one file."""
LEAST_DOMAIN = 0.025
"""Least weight of each kind of text in the loss of the sentiment: its head must not forget."""
_CLAUSES = re.compile(r"[^。！？!?；;\n，,]*[。！？!?；;\n，,]*")
_TASKS = ("sentiment", "domain", *POST_TASKS)
_LEAST = 1e-4
"""Least probability that is believed, of anything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lessons:
    """Settings of the distillation (``nlp/train.yaml``)."""

    variants: dict[str, float] = field(default_factory=dict)
    """How many variants of each text are read, by set, or SET/SOURCE within the unlabelled one (.1: of every tenth)."""
    rename: float = 0.35
    """Share of variants whose companies get other names."""
    dropped: float = 0.08
    """Share of words that a third of the variants lack."""
    learning_rate: float = 5e-4
    head_rate: float = 1e-3
    dropout: float = 0.0
    tokens: int = 4096
    passes: float = 1
    seed: int = 5
    threads: int = 2
    losses: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the teachers think of some texts, as logits."""

    texts: list[str]
    names: list[list[str]]
    """Companies of each text, in the order of ``entity``."""
    sentiment: NDArray[np.float16]
    """texts × kinds of text × sentiments."""
    domain: NDArray[np.float16]
    stance: NDArray[np.float16]
    ad: NDArray[np.float16]
    topics: NDArray[np.float16]
    entity: NDArray[np.float16]
    """All names one after another × sentiments."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Arrays of one step: the network's inputs (``nlp.batches.Batch``) and what the teachers think, as logits."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    mentions: NDArray[np.float32]
    owner: NDArray[np.int64]
    sentiment: NDArray[np.float32]
    domain: NDArray[np.float32]
    stance: NDArray[np.float32]
    ad: NDArray[np.float32]
    topics: NDArray[np.float32]
    entity: NDArray[np.float32]


def readable(data: Path, parts: Split, variants: dict[str, float]) -> list[tuple[Example, float]]:
    """Every text to vary with its number of variants: what is trained on, and unlabelled texts with names found."""
    finder = EntityFinder()
    chosen = [(e, variants[e.set]) for e in parts.train if variants.get(e.set, 0) > 0]
    name = corpus.UNLABELLED
    if any(key.startswith(f"{name}/") for key in variants):
        for number, (where, row) in enumerate(placed(find(data, name))):
            with blaming(where):
                times = variants.get(f"{name}/{row['source']}", 0.0)
                text = joined(clip(row.get("title") or ""), clip(row["text"])) if times > 0 else ""
            if len(text) > 5:
                chosen.append((Example(set=f"{name}/{row['source']}", key=str(number), text=text), times))
    if not chosen:
        raise InputError(f"{data} 里没有可供蒸馏的文本")
    return [(e if e.entities else _found(e, finder), times) for e, times in chosen]


def _found(example: Example, finder: EntityFinder) -> Example:
    return replace(example, entities=tuple((name, corpus.ANY) for name in finder.find(example.text)[:4]))


class Varying:
    """Makes variants of texts; the same ones for the same seed."""

    def __init__(self, examples: Sequence[Example], lessons: Lessons, segmenter: Segmenter) -> None:
        self._examples = examples
        self._lessons = lessons
        self._segmenter = segmenter
        labelled = {
            name for e in examples if e.set in LABELLED for name, _ in e.entities if 2 <= len(name) <= 8
        }
        self._names = sorted(labelled)

    def of(self, example: Example, rng: np.random.Generator) -> Example:
        """A variant: the text itself, or with clauses left out, turned around, or mixed with another text's."""
        clauses = [c for c in _CLAUSES.findall(example.text) if c]
        entities = example.entities
        dice = rng.random()
        if dice < 0.3:
            clauses = clauses[int(rng.integers(len(clauses))) :] if len(example.text) > LONGEST else clauses
        elif dice < 0.65:
            clauses = [c for c in clauses if rng.random() < 0.7] or clauses[:1]
        elif dice < 0.9:
            other = self._examples[int(rng.integers(len(self._examples)))]
            theirs = [c for c in _CLAUSES.findall(other.text) if c]
            at = int(rng.integers(len(theirs)))
            clauses = [
                *(c for c in clauses if rng.random() < 0.8),
                *theirs[at : at + 1 + int(rng.integers(4))],
            ]
            entities += other.entities
        else:
            clauses = [clauses[i] for i in rng.permutation(len(clauses))]
        text = "".join(clauses)[:LONGEST]
        if rng.random() < 0.33:
            text = self._thinned(text, rng)
        kept = dict.fromkeys(name for name, _ in entities if name in text)
        made = replace(example, text=text, entities=tuple((name, corpus.ANY) for name in kept))
        if made.entities and self._names and rng.random() < self._lessons.rename:
            made = renamed(made, self._names, rng)
        return made

    def _thinned(self, text: str, rng: np.random.Generator) -> str:
        for word, place in reversed(self._segmenter.placed(text)):
            if rng.random() < self._lessons.dropped:
                text = text[:place] + text[place + len(word) :]
        return text

    def all(self, times: Sequence[float], rng: np.random.Generator) -> Iterator[Example]:
        """All variants in random order."""
        counts = np.floor(np.array(times) + rng.random(len(times))).astype(np.int64)
        for i in rng.permutation(np.repeat(np.arange(len(times)), counts)):
            made = self.of(self._examples[i], rng)
            if made.text.strip():
                yield made


def cut(texts: Sequence[str], names: Sequence[Sequence[str]], tokeniser: Tokeniser) -> list[Window]:
    """The first window of each text with its names."""
    pieces = tokeniser.pieces(texts)
    return [
        window(p, mentions(text, p, own), 0, WINDOW)
        for text, p, own in zip(texts, pieces, names, strict=True)
    ]


def opinion(teacher: Runtime, texts: Sequence[str], names: Sequence[Sequence[str]]) -> dict[str, Floats]:
    """A teacher's calibrated probabilities of normalised texts and their companies, in the shapes of ``Told``."""
    logits = teacher.logits([(text, tuple(own)) for text, own in zip(texts, names, strict=True)])
    length = reach(np.array([len(text) for text in texts]))
    raw = {task: np.stack([getattr(each, task) for each in logits]) for task in (*_TASKS, "wide")}
    fusion, wide = teacher.fusion, raw["wide"]
    by_kind = fusion.by_kind(raw["sentiment"], wide, length)
    kinds = fusion.kinds(raw["domain"], wide, np.full(len(texts), UNNAMED))
    mixed = fusion.of_posts(raw, wide, length)
    told = [told_of(text, own) or set(own) for text, own in zip(texts, names, strict=True)]
    companies = [
        fusion.entities(each.entity, post, len(about) > 1)
        for each, post, about in zip(logits, by_kind[:, 0], told, strict=True)
    ]
    return {
        "sentiment": by_kind,
        "domain": softmax(kinds),
        "stance": softmax(mixed["stance"]),
        "ad": sigmoid(mixed["ad"])[:, 0],
        "topics": sigmoid(mixed["topics"]),
        "entity": np.concatenate(companies),
    }


def ask(teachers: Sequence[Runtime], examples: Sequence[Example]) -> Told:
    """What the teachers think of some texts on average."""
    texts = [e.text for e in examples]
    names = [[name for name, _ in e.entities[:MOST_NAMES]] for e in examples]
    opinions = [opinion(teacher, texts, names) for teacher in teachers]
    told = {}
    for task in opinions[0]:
        p = np.clip(np.mean([each[task] for each in opinions], axis=0), _LEAST, 1 - _LEAST)
        odds = np.log(p) - np.log1p(-p) if task in ("ad", "topics") else np.log(p)
        told[task] = odds.astype(np.float16)
    return Told(texts=texts, names=names, **told)


def prepare(
    data: Path, parts: Split, teachers: Sequence[Path], work: Path, lessons: Lessons, say: Say
) -> list[Path]:
    """The teachers' view of all variants, in files; those that are there are not made again."""
    listed = work / "told.json"
    if listed.exists():
        return [work / name for name in json.loads(listed.read_text("utf-8"))]
    asked = [Runtime(open_bundle(teacher), workers=lessons.threads) for teacher in teachers]
    chosen = readable(data, parts, lessons.variants)
    varying = Varying([e for e, _ in chosen], lessons, Segmenter())
    rng = np.random.default_rng(lessons.seed)
    made = list(varying.all([times for _, times in chosen], rng))
    shards = []
    for number, at in enumerate(range(0, len(made), SHARD)):
        path = work / f"told-{number}.npz"
        if not path.exists():
            _write(ask(asked, made[at : at + SHARD]), path)
            say(f"老师已看 {min(at + SHARD, len(made))}/{len(made)} 条")
        shards.append(path)
    part = listed.with_suffix(".part")
    part.write_text(json.dumps([path.name for path in shards]) + "\n", "utf-8")
    part.rename(listed)
    return shards


def _write(told: Told, path: Path) -> None:
    words = json.dumps({"texts": told.texts, "names": told.names}, ensure_ascii=False)
    arrays = {name: value for name, value in vars(told).items() if name not in ("texts", "names")}
    part = path.with_suffix(".part.npz")
    np.savez(part, words=np.frombuffer(words.encode("utf-8", "replace"), np.uint8), **arrays)
    part.rename(path)


def _read(path: Path) -> Told:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return Told(**json.loads(arrays.pop("words").tobytes()), **arrays)


def taught(told: Told, tokeniser: Tokeniser, tokens: int, rng: np.random.Generator) -> Iterator[Lesson]:
    """The texts of one file in steps of similar length."""
    windows = cut(told.texts, told.names, tokeniser)
    ends = np.cumsum([len(names) for names in told.names])
    for rows in plan([len(w.ids) for w in windows], tokens, rng):
        ids, mask, where, owner = pad([windows[i] for i in rows])
        of_rows = [told.entity[ends[i] - len(told.names[i]) : ends[i]] for i in rows]
        posts = {
            name: getattr(told, name)[rows].astype(np.float32)
            for name in ("sentiment", "domain", "stance", "ad", "topics")
        }
        entity = np.concatenate(of_rows).astype(np.float32)
        yield Lesson(ids=ids, mask=mask, mentions=where, owner=owner, entity=entity, **posts)


def _differs(own: Tensor, told: Tensor) -> Tensor:
    """Cross-entropy of the teachers' probabilities, over the last axis."""
    return -(told.softmax(-1) * own.log_softmax(-1)).sum(-1)


def losses(out: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """How far the logits are from the teachers', each task; the kind of text weighs the sentiments by kind."""
    kinds = batch["domain"].softmax(-1)
    weights = LEAST_DOMAIN + (1 - LEAST_DOMAIN * kinds.shape[-1]) * kinds
    result = {
        "sentiment": (_differs(out["sentiment"], batch["sentiment"]) * weights).sum(-1).mean(),
        "domain": _differs(out["domain"], batch["domain"]).mean(),
        "stance": _differs(out["stance"], batch["stance"]).mean(),
        "ad": functional.binary_cross_entropy_with_logits(out["ad"], batch["ad"].sigmoid()),
        "topics": functional.binary_cross_entropy_with_logits(
            out["topics"], batch["topics"].sigmoid(), reduction="none"
        ).sum(-1).mean(),
    }  # fmt: skip
    if len(batch["entity"]):
        result["entity"] = _differs(out["entity"], batch["entity"]).mean()
    return result


def distil(
    *,
    data: Path,
    parts: Split,
    teachers: Sequence[Path],
    base: str | Path,
    work: Path,
    lessons: Lessons,
    budget_min: float,
    say: Say,
) -> Path:
    """Teach ``base`` what the model directories ``teachers`` think; returns the folder of the new base.

    Killed at any point, the same call goes on; once made, the folder is returned as it is. The minutes are those of
    the second stage. Raises ``InputError`` for missing corpora, ``ModelError`` for a teacher or a base that is none.
    """
    made = work / "model"
    if (made / RECORD).is_file():
        return made
    work.mkdir(parents=True, exist_ok=True)
    shards = prepare(data, parts, teachers, work, lessons, say)
    tokeniser = tokeniser_of(base)

    def batches(number: int, _focused: bool) -> Sequence[Lesson]:
        rng = np.random.default_rng([lessons.seed, number])
        found = [lesson for path in shards for lesson in taught(_read(path), tokeniser, lessons.tokens, rng)]
        return [found[i] for i in rng.permutation(len(found))]

    recipe = Recipe(
        learning_rate=lessons.learning_rate,
        head_rate=lessons.head_rate,
        dropout=lessons.dropout,
        tokens=lessons.tokens,
        passes=lessons.passes,
        seed=lessons.seed,
        threads=lessons.threads,
        losses=lessons.losses,
    )
    told = run(
        batches,
        wanted=losses,
        begin=lambda: from_pretrained(base, dropout=lessons.dropout),
        work=work,
        recipe=recipe,
        budget_min=budget_min,
        say=say,
    )
    judge = from_pretrained(base)
    judge.load_state_dict(load_file(work / "encoder.safetensors"))
    record = {"base": origin(base), "lessons": asdict(lessons), "run": told}
    return save_pretrained(judge, tokeniser=tokeniser, out=made, record=record)
