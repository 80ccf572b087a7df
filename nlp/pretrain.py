"""Pre-training: the encoder guesses masked words of unlabelled posts, and so learns the language before the labels.

Whole words as jieba cuts them are masked (Cui et al. 2021, "Pre-training with whole word masking for Chinese
BERT"). Two stages, each kept in the work folder: texts → ``tokens.npz``; then steps, resumable at any point →
``model/`` (Hugging Face format). Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, BertForMaskedLM

from domain.errors import InputError, ModelError
from nlp.bases import RECORD, origin, save_encoder, tokeniser_of
from nlp.batches import Steps, padded, plan
from nlp.clean import clip, joined
from nlp.corpus_files import blaming, find, placed
from nlp.learn import Recipe, run
from nlp.segment import Segmenter
from nlp.tokens import WINDOW, Tokeniser

Say = Callable[[str], None]
POOL = 20_000
"""Sequences that are sorted by length together."""
_SHORTEST = 6
_MOST_PIECES = 1 << 16
"""What fits into two bytes; a multilingual vocabulary does not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Settings of the pre-training (``nlp/train.yaml``)."""

    sets: dict[str, float] = field(default_factory=dict)
    """Corpora, or sources within the unlabelled one, and how often each is read in a pass (.5: every other text)."""
    learning_rate: float = 8e-4
    warmup: float = 0.03
    weight_decay: float = 0.01
    masked: float = 0.2
    """Share of words that are hidden: of those 85 % become [MASK], 10 % another piece, 5 % stay."""
    tokens: int = 8192
    """Padded word pieces in a step."""
    seed: int = 11
    threads: int = 2
    precision: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Packed:
    """All sequences one after another."""

    ids: NDArray[np.uint16]
    words: NDArray[np.uint8]
    """Number of the word of each piece within its sequence."""
    lengths: NDArray[np.int64]
    share: NDArray[np.float32]
    """How often a pass reads each sequence."""
    marks: NDArray[np.int64]
    """The piece before a text, the one after it, and the one that hides another."""

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Place of the first piece of each sequence."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]])


@dataclass(frozen=True, kw_only=True)
class Cloze:
    """Arrays of one step, sequences × pieces."""

    ids: NDArray[np.int64]
    """With the hidden words replaced."""
    mask: NDArray[np.int64]
    hidden: NDArray[np.bool_]
    truth: NDArray[np.int64]


def texts(data: Path, sets: dict[str, float]) -> Iterator[tuple[str, float]]:
    """The texts of the corpora as the model reads them, with their shares. Raises ``InputError``.

    Of texts that begin with the same 80 characters the first alone is read.
    """
    seen: set[int] = set()
    for name in dict.fromkeys(key.partition("/")[0] for key in sets):
        for where, row in placed(find(data, name)):
            share = sets.get(f"{name}/{row.get('source')}", sets.get(name, 0.0))
            if share <= 0:
                continue
            with blaming(where):
                parts = [row["a"], row["b"]] if "a" in row else [row["text"]]
                made = [joined(clip(row.get("title") or ""), clip(part)) for part in parts]
            for text in made:
                if len(text) > 3 and (mark := hash(text[:80])) not in seen:
                    seen.add(mark)
                    yield text, share


def _cut(text: str, tokeniser: Tokeniser, segmenter: Segmenter) -> Iterator[tuple[Any, Any]]:
    """Sequences of at most a window: ids and numbers of words."""
    (pieces,) = tokeniser.pieces([text])
    starts = {place for _, place in segmenter.placed(text)}
    words = np.cumsum([start in starts for start, _ in pieces.offsets])
    for at in range(0, len(pieces.ids), WINDOW):
        if len(pieces.ids) - at >= _SHORTEST:
            part = words[at : at + WINDOW]
            yield np.array(pieces.ids[at : at + WINDOW], np.uint16), (part - part[0]).astype(np.uint8)


def prepare(data: Path, tokeniser: Tokeniser, work: Path, course: Course, say: Say) -> Packed:
    """Texts to packed sequences, once. Raises ``InputError`` when there are none."""
    path = work / "tokens.npz"
    if not path.exists():
        marks = np.array([*tokeniser.ends, tokeniser.mask])
        segmenter = Segmenter()
        ids, words, lengths, share = [], [], [], []
        for number, (text, part) in enumerate(texts(data, course.sets), 1):
            for a, w in _cut(text, tokeniser, segmenter):
                ids.append(a)
                words.append(w)
                lengths.append(len(a))
                share.append(part)
            if number % 100_000 == 0:
                say(f"切词 {number // 10_000} 万条")
        if not ids:
            raise InputError(f"{data} 里没有可供预训练的文本")
        part_file = work / "tokens.part.npz"
        np.savez(
            part_file,
            ids=np.concatenate(ids),
            words=np.concatenate(words),
            lengths=np.array(lengths, np.int64),
            share=np.array(share, np.float32),
            marks=marks,
        )
        part_file.rename(path)
    with np.load(path) as read:
        return Packed(**{name: read[name] for name in read.files})


def cloze(packed: Packed, rows: Sequence[int], share: float, size: int, rng: np.random.Generator) -> Cloze:
    """Some sequences with a share of their words hidden; ``size``: of the vocabulary."""
    before, after, hiding = packed.marks
    places = [slice(packed.starts[i], packed.starts[i] + packed.lengths[i]) for i in rows]
    truth, mask = padded([[before, *packed.ids[place], after] for place in places])
    words, _ = padded([[0, *(packed.words[place] + 1), 0] for place in places])
    coin = rng.random((len(rows), 256)) < share
    coin[:, 0] = False  # what is no word
    hidden = np.take_along_axis(coin, words, 1)
    dice = rng.random(truth.shape)
    shown = np.where(hidden & (dice < 0.85), hiding, truth)
    swapped = hidden & (dice >= 0.85) & (dice < 0.95)
    shown[swapped] = rng.integers(hiding + 1, size, int(swapped.sum()))
    return Cloze(ids=shown, mask=mask, hidden=hidden, truth=truth)


class Guesser(nn.Module):
    """A BERT with its head for masked words."""

    def __init__(self, model: BertForMaskedLM) -> None:
        super().__init__()
        self.bert, self.cls = model.bert, model.cls

    def forward(self, ids: Tensor, mask: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """Logits of the hidden pieces alone, for the vocabulary is large."""
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        return {"masked": self.cls(states[hidden])}


def losses(out: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Loss in nats a hidden piece; 0 where nothing is hidden."""
    truth = batch["truth"][batch["hidden"]]
    every = functional.cross_entropy(out["masked"], truth, reduction="sum")
    return {"masked": every / max(1, len(truth))}


def _bert(base: str | Path) -> BertForMaskedLM:
    try:
        config = AutoConfig.from_pretrained(base)
        if config.model_type != "bert":  # of another kind no weight would be found, and all begin at random
            raise ModelError(f"{base} 是 {config.model_type}，只有 BERT 能再预训练")
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
        return BertForMaskedLM.from_pretrained(base, config=config, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"{base} 不是能再预训练的编码器（Hugging Face 格式的 BERT）：{reason}") from error


def pretrain(
    *, data: Path, base: str | Path, work: Path, course: Course, budget_min: float, say: Say
) -> Path:
    """Pre-train ``base`` further for so many minutes in all; returns the folder of the new encoder.

    Killed at any point, the same call goes on; once made, the folder is returned as it is. Raises ``InputError`` for
    missing corpora, ``ModelError`` for a base that is no BERT.
    """
    finished = work / "model"
    if (finished / RECORD).is_file():
        return finished
    work.mkdir(parents=True, exist_ok=True)
    tokeniser = tokeniser_of(base)
    if tokeniser.size > _MOST_PIECES:
        raise ModelError(f"{base} 的词表有 {tokeniser.size} 个词片，再预训练最多 {_MOST_PIECES} 个")
    torch.manual_seed(course.seed)  # of the head, where the base has none
    model = _bert(base)
    packed = prepare(data, tokeniser, work, course, say)
    say(f"预训练语料：{len(packed.lengths)} 段，{packed.lengths.sum() / 1e6:.1f} 百万词片")

    def clozes(number: int, _focused: bool) -> Steps[Cloze]:
        rng = np.random.default_rng([course.seed, number])
        groups = plan(packed.lengths + 2, course.tokens, rng, shares=packed.share, pool=POOL)

        def made(at: int) -> Cloze:
            own = np.random.default_rng([course.seed, number, at + 1])  # a last 0 would change nothing
            return cloze(packed, groups[at], course.masked, model.config.vocab_size, own)

        return Steps(made, range(len(groups)))

    recipe = Recipe(
        learning_rate=course.learning_rate,
        head_rate=course.learning_rate,
        weight_decay=course.weight_decay,
        warmup=course.warmup,
        passes=math.inf,
        precision=course.precision,
        seed=course.seed,
        threads=course.threads,
        losses={"masked": 1.0},
    )
    told = run(
        clozes,
        wanted=losses,
        begin=lambda: Guesser(model),
        work=work,
        recipe=recipe,
        budget_min=budget_min,
        say=say,
        feeds=("ids", "mask", "hidden"),
    )
    model.load_state_dict(load_file(work / "encoder.safetensors"))
    record = {"base": origin(base), "course": asdict(course), "run": told}
    return save_encoder(model, tokeniser=tokeniser, out=finished, record=record)
