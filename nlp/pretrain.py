"""Pre-training: the encoder guesses masked words of unlabelled posts, and so learns the language before the labels.

Whole words as jieba cuts them are masked (Cui et al. 2021, "Pre-training with whole word masking for Chinese
BERT"). Two stages, each kept in the work folder: texts → ``tokens.npz``; then steps, resumable at any point →
``model/`` (Hugging Face format). Imports torch.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from transformers import AutoTokenizer, BertForMaskedLM

from domain.errors import InputError, ModelError
from nlp import corpus
from nlp.bases import tokeniser_of
from nlp.clean import clip, joined
from nlp.precision import mixed
from nlp.segment import Segmenter
from nlp.tokens import WINDOW, Tokeniser

Say = Callable[[str], None]
POOL = 20_000
"""Sequences that are sorted by length together."""
SAVE_EVERY_S = 120
SAY_EVERY = 50
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
    """Number of the word of each piece within its sequence (mod 256)."""
    lengths: NDArray[np.int64]
    share: NDArray[np.float32]
    """How often a pass reads each sequence."""
    marks: NDArray[np.int64]
    """The piece before a text, the one after it, and the one that hides another."""

    @property
    def starts(self) -> NDArray[np.int64]:
        """Place of the first piece of each sequence."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]])


def texts(data: Path, sets: dict[str, float]) -> Iterator[tuple[str, float]]:
    """The texts of the corpora as the model reads them, with their shares. Raises ``InputError``.

    Of texts that begin with the same 80 characters the first alone is read.
    """
    seen: set[int] = set()
    for name in dict.fromkeys(key.partition("/")[0] for key in sets):
        for where, row in corpus.placed(corpus.find(data, name)):
            share = sets.get(f"{name}/{row.get('source')}", sets.get(name, 0.0))
            if share <= 0:
                continue
            with corpus.blaming(where):
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
            marks=np.array([*tokeniser.ends, tokeniser.mask]),
        )
        part_file.rename(path)
    with np.load(path) as read:
        return Packed(**{name: read[name] for name in read.files})


def plan(packed: Packed, course: Course, seed: int) -> list[NDArray[np.int64]]:
    """One pass: sequences grouped into steps of similar length, the same for the same seed."""
    rng = np.random.default_rng(seed)
    times = np.floor(packed.share + rng.random(len(packed.share))).astype(np.int64)
    order = rng.permutation(np.repeat(np.arange(len(times)), times))
    groups: list[NDArray[np.int64]] = []
    for begin in range(0, len(order), POOL):
        part = order[begin : begin + POOL]
        part = part[np.argsort(packed.lengths[part], kind="stable")]
        at = 0
        while at < len(part):
            end = at + 1
            while end < len(part) and (end - at + 1) * (packed.lengths[part[end]] + 2) <= course.tokens:
                end += 1
            groups.append(part[at:end])
            at = end
    return [groups[i] for i in rng.permutation(len(groups))]


def masked(
    packed: Packed, starts: NDArray[np.int64], rows: NDArray[np.int64], share: float, size: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """True ids, ids with words hidden, and which were hidden; sequences × pieces, id 0 is padding."""
    rng = np.random.default_rng(seed)
    longest = int(packed.lengths[rows].max()) + 2
    truth = np.zeros((len(rows), longest), np.int64)
    before, after, hiding = packed.marks
    words = np.full((len(rows), longest), -1, np.int64)
    for row, i in enumerate(rows):
        start, length = starts[i], int(packed.lengths[i])
        truth[row, 0], truth[row, length + 1] = before, after
        truth[row, 1 : length + 1] = packed.ids[start : start + length]
        words[row, 1 : length + 1] = packed.words[start : start + length]
    coin = rng.random((len(rows), 256)) < share
    hidden = np.take_along_axis(coin, np.maximum(words, 0), 1) & (words >= 0)
    dice = rng.random(truth.shape)
    shown = np.where(hidden & (dice < 0.85), hiding, truth)
    swapped = hidden & (dice >= 0.85) & (dice < 0.95)
    shown[swapped] = rng.integers(hiding + 1, size, int(swapped.sum()))
    return truth, shown, hidden


class Pretraining:
    """Network, optimiser and how far it is; all of it goes into a checkpoint."""

    def __init__(self, base: str | Path, course: Course) -> None:
        torch.manual_seed(course.seed)
        try:
            self.model = BertForMaskedLM.from_pretrained(base, dtype=torch.float32)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{base} 不是能再预训练的编码器（Hugging Face 格式的 BERT）：{reason}"
            ) from error
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            setattr(self.model.config, name, 0.0)
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": course.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=course.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True,
        )  # fmt: skip
        self.course = course
        self.turn = self.done = self.step = self.seen = 0
        self.spent = 0.0
        self.loss = 0.0
        self.curve: list[tuple[float, float]] = []
        """Millions of tokens read, smoothed loss in nats a hidden piece."""

    def learn(self, truth: Any, shown: Any, hidden: Any, progress: float) -> None:
        """One step."""
        factor = min(1.0, (progress + 0.002) / self.course.warmup) * max(0.02, 1 - progress)
        for group in self.optimiser.param_groups:
            group["lr"] = self.course.learning_rate * factor
        true, seen, where = (torch.from_numpy(x) for x in (truth, shown, hidden))
        with mixed(self.course.precision, true.device):
            states = self.model.bert(input_ids=seen, attention_mask=(true != 0).long()).last_hidden_state
            guessed = self.model.cls(states[where])
        loss = functional.cross_entropy(guessed.float(), true[where])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step, self.seen = self.step + 1, self.seen + int((true != 0).sum())
        self.loss = loss.item() if not self.loss else 0.99 * self.loss + 0.01 * loss.item()

    def save(self, work: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "numbers": [self.turn, self.done, self.step, self.seen, self.spent, self.loss],
            "curve": self.curve,
        }
        part = work / "checkpoint.part"
        torch.save(state, part)
        part.rename(work / "checkpoint.pt")

    def resume(self, work: Path) -> bool:
        """Go on from the checkpoint in ``work``, if there is one."""
        path = work / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.turn, self.done, self.step, self.seen, self.spent, self.loss = state["numbers"]
        self.curve = [(a, b) for a, b in state["curve"]]
        return True


def run(*, data: Path, base: str | Path, work: Path, course: Course, budget_min: float, say: Say) -> Path:
    """Pre-train ``base`` further for so many minutes in all; returns the folder of the new encoder.

    Killed at any point, the same call goes on. Raises ``InputError`` for missing corpora, ``ModelError`` for a base
    that is no BERT.
    """
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(course.threads)
    tokeniser = tokeniser_of(base)
    if tokeniser.size > _MOST_PIECES:
        raise ModelError(f"{base} 的词表有 {tokeniser.size} 个词片，再预训练最多 {_MOST_PIECES} 个")
    packed = prepare(data, tokeniser, work, course, say)
    say(f"预训练语料：{len(packed.lengths)} 段，{packed.lengths.sum() / 1e6:.1f} 百万词片")
    training = Pretraining(base, course)
    if training.resume(work):
        say(f"接着第 {training.step} 步")
    _steps(training, packed, work, budget_min * 60, say)
    training.save(work)
    out = work / "model"
    training.model.save_pretrained(out)
    AutoTokenizer.from_pretrained(base).save_pretrained(out)
    record = {
        "course": asdict(course),
        "steps": training.step,
        "tokens": training.seen,
        "minutes": round(training.spent / 60, 1),
        "curve": training.curve,
    }
    (out / "pretraining.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return out


def _steps(training: Pretraining, packed: Packed, work: Path, budget: float, say: Say) -> None:
    starts, size = packed.starts, int(training.model.config.vocab_size)
    began, before, saved, tokens = time.monotonic(), training.spent, time.monotonic(), training.seen
    while training.spent < budget:
        groups = plan(packed, training.course, training.course.seed * 1000 + training.turn)
        while training.done < len(groups) and training.spent < budget:
            batch = masked(
                packed, starts, groups[training.done], training.course.masked, size,
                training.course.seed * 1_000_003 + training.step,
            )  # fmt: skip
            training.done += 1
            if batch[2].any():
                training.learn(*batch, training.spent / budget)
            now = time.monotonic()
            training.spent = before + now - began
            if training.step % SAY_EVERY == 0:
                training.curve.append((round(training.seen / 1e6, 2), round(training.loss, 3)))
                left = math.ceil((budget - training.spent) / 60)
                speed = (training.seen - tokens) / (now - began)
                say(
                    f"{training.spent / budget:4.0%} 步 {training.step} · 掩词损失 {training.loss:.3f} · "
                    f"{speed:.0f} 词片/秒 · 约剩 {left} 分钟"
                )
            if now - saved > SAVE_EVERY_S:
                training.save(work)
                saved = now
        if training.done >= len(groups):
            training.turn, training.done = training.turn + 1, 0
