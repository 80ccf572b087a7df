"""Imitation: before the labels, the encoder learns to think of every word what a larger public encoder thinks of it.

Hidden states of the larger one (the guide) are the targets (Sanh et al. 2019, "DistilBERT"; Jiao et al. 2020,
"TinyBERT"): a vector for each word piece says far more than which word was hidden. The two cut texts differently; a
piece of ours is matched with the mean of the guide's pieces that share characters with it. Resumable at any point →
``model/`` (Hugging Face format). Imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from domain.errors import InputError, ModelError
from nlp.bases import RECORD, from_pretrained, identity, origin, save_encoder, tokeniser_of
from nlp.batches import Steps, padded, plan
from nlp.learn import Recipe, run
from nlp.precision import device, mixed
from nlp.pretrain import texts
from nlp.processor import quicken
from nlp.tokens import Pieces, token_span

Say = Callable[[str], None]
LONGEST = 240
"""Characters of a passage: one window of either encoder."""
SHORTEST = 6
MOST_PIECES = 254
"""Word pieces of a passage that are looked at: there are more than characters where an encoder cuts bytes."""
LAYERS = (-2, -1)
"""The guide's hidden states that are imitated: the last is bent to its own training, the one before is less so."""
MEASURED = 40
"""Batches by which mean and spread of the guide's states are taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Practice:
    """Settings of the imitation (``nlp/train.yaml``)."""

    sets: dict[str, float] = field(default_factory=dict)
    """Corpora, or sources within the unlabelled one, and how often each is read in a pass (.5: every other text)."""
    learning_rate: float = 6e-4
    head_rate: float = 2e-3
    """Peak, for what turns our states into the guide's; it is thrown away afterwards."""
    warmup: float = 0.03
    tokens: int = 4096
    """Padded characters in a step."""
    seed: int = 13
    threads: int = 2


@dataclass(frozen=True, kw_only=True)
class Side:
    """Padded ids of some passages and their mask, passages × pieces."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Some passages as both encoders cut them."""

    own: Side
    guide: Side
    first: NDArray[np.int64]
    """passages × own pieces: the guide's first piece that shares characters with it; [CLS] looks at [CLS]."""
    last: NDArray[np.int64]
    """One past the last; as ``first`` where there is none."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Arrays of one step: the network's inputs and what the guide thinks."""

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    told: NDArray[np.float32]
    """passages × own pieces × size of the guide."""
    known: NDArray[np.bool_]
    """Pieces that share characters with one of the guide's."""


def passages(data: Path, sets: dict[str, float]) -> tuple[list[str], NDArray[np.float64]]:
    """The corpora in passages of one window, and their shares. Raises ``InputError`` when there are none."""
    found, shares = [], []
    for text, share in texts(data, sets):
        for at in range(0, len(text), LONGEST):
            if len(part := text[at : at + LONGEST]) >= SHORTEST:
                found.append(part)
                shares.append(share)
    if not found:
        raise InputError(f"{data} 里没有可供模仿的文本")
    return found, np.array(shares)


def side(pieces: Sequence[Pieces]) -> Side:
    """Padded ids, with the first and the last piece, and the mask."""
    ids, mask = padded([[p.ends[0], *p.ids[:MOST_PIECES], p.ends[1]] for p in pieces])
    return Side(ids=ids, mask=mask)


def pair(own: Sequence[Pieces], guide: Sequence[Pieces]) -> Pair:
    """The same passages cut by both, with what belongs together."""
    ours, theirs = side(own), side(guide)
    first, last = np.zeros((2, *ours.ids.shape), np.int64)
    last[:, 0] = 1
    for i, (mine, other) in enumerate(zip(own, guide, strict=True)):
        offsets = other.offsets[:MOST_PIECES]
        for place, (start, end) in enumerate(mine.offsets[:MOST_PIECES], 1):
            if span := token_span(offsets, start, end):
                first[i, place], last[i, place] = span[0] + 1, span[1] + 1
    return Pair(own=ours, guide=theirs, first=first, last=last)


def means(states: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """The mean of ``states`` from ``first`` to before ``last``, for each own piece; zero where that is empty."""
    sums = nn.functional.pad(states.cumsum(1), (0, 0, 1, 0))

    def at(place: Tensor) -> Tensor:
        return sums.gather(1, place.unsqueeze(-1).expand(-1, -1, sums.shape[-1]))

    return (at(last) - at(first)) / (last - first).clamp(min=1).unsqueeze(-1)


class Guide:
    """The larger encoder, which is only read. Raises ``ModelError`` when there is none."""

    def __init__(self, source: str | Path) -> None:
        self.tokeniser = tokeniser_of(source)
        self._device = device()
        self._model = from_pretrained(source).bert.to(self._device).eval()
        quicken(self._model, self._model, "auto")
        config = self._model.config
        before = config.pad_token_id + 1 if config.model_type == "roberta" else 0  # places that it never uses
        if config.max_position_embeddings < before + MOST_PIECES + 2:
            raise ModelError(f"编码器 {source} 一次读不了 {MOST_PIECES} 个词片")
        self.size = len(LAYERS) * int(config.hidden_size)
        self._mean = torch.zeros(self.size, device=self._device)
        self._spread = torch.ones_like(self._mean)

    def _here(self, array: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    @torch.inference_mode()
    def _states(self, seen: Side) -> Tensor:
        ids, mask = self._here(seen.ids), self._here(seen.mask)
        with mixed("auto", self._device):
            layers = self._model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        return torch.cat([layers[i].float() for i in LAYERS], -1)

    def tells(self, both: Pair) -> NDArray[np.float32]:
        """Its states for each own piece, passages × own pieces × ``size``: mean 0, spread 1 (``measure``)."""
        found = means(self._states(both.guide), self._here(both.first), self._here(both.last))
        told: NDArray[np.float32] = ((found - self._mean) / self._spread).cpu().numpy()
        return told

    def sight(self, both: Pair) -> Sight:
        """The arrays of a step."""
        own = both.own
        return Sight(ids=own.ids, mask=own.mask, told=self.tells(both), known=both.last > both.first)

    def measure(self, some: Sequence[Pair]) -> None:
        """Take mean and spread of its states from these passages."""
        count, total, squares = 0, torch.zeros(self.size).double(), torch.zeros(self.size).double()
        for both in some:  # one after another: the states of all are a gigabyte
            states = self._states(both.guide)[self._here(both.guide.mask) == 1].cpu().double()
            count, total, squares = count + len(states), total + states.sum(0), squares + (states**2).sum(0)
        mean = total / count
        spread = (squares / count - mean**2).clamp(min=0).sqrt().clamp(min=1e-3)
        self._mean, self._spread = mean.float().to(self._device), spread.float().to(self._device)


class Imitator(nn.Module):
    """An encoder and what turns its states into the guide's."""

    def __init__(self, encoder: PreTrainedModel, size: int) -> None:
        super().__init__()
        self.bert = encoder
        own = int(encoder.config.hidden_size)
        self.word, self.post = nn.Linear(own, size), nn.Linear(own, size)

    def forward(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """What the guide is thought to think of each piece, and of the passage ([CLS])."""
        hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        return {"word": self.word(hidden), "post": self.post(hidden[:, 0])}


def losses(out: dict[str, Tensor], batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Share of the spread of the guide's states that is left unexplained, over pieces and over passages.

    0: they are known, or no piece is known to both; 1: as far off as the mean is (over passages, the mean of pieces).
    """
    known, told = batch["known"][:, 1:], batch["told"]
    theirs = told[:, 1:][known]
    every = nn.functional.mse_loss(out["word"][:, 1:][known], theirs, reduction="sum")
    return {
        "word": every / max(1, theirs.numel()),
        "post": nn.functional.mse_loss(out["post"], told[:, 0]),
    }


def imitate(
    *,
    data: Path,
    guide: str | Path,
    base: str | Path,
    work: Path,
    practice: Practice,
    budget_min: float,
    say: Say,
) -> Path:
    """Let ``base`` imitate ``guide`` for so many minutes; returns the folder of the new encoder.

    Heads that the base has are left behind: they knew the states of before. Killed at any point, the same call goes
    on; once made, the folder is returned as it is. Raises ``InputError`` for missing corpora, ``ModelError`` for an
    encoder that is none.
    """
    made = work / "model"
    if (made / RECORD).is_file():
        return made
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(practice.threads)
    own, leader = tokeniser_of(base), Guide(guide)
    read, shares = passages(data, practice.sets)
    lengths = np.array([len(text) for text in read])
    say(f"模仿语料：{len(read)} 段，{lengths.sum() / 1e6:.1f} 百万字")

    def cut(group: list[int]) -> Pair:
        some = [read[i] for i in group]
        return pair(own.pieces(some), leader.tokeniser.pieces(some))

    def pairs(number: int) -> Steps[Pair]:
        rng = np.random.default_rng([practice.seed, number])
        return Steps(cut, plan(lengths, practice.tokens, rng, shares=shares))

    leader.measure(pairs(0)[:MEASURED])
    recipe = Recipe(
        learning_rate=practice.learning_rate,
        head_rate=practice.head_rate,
        warmup=practice.warmup,
        dropout=0.0,
        tokens=practice.tokens,
        passes=math.inf,
        seed=practice.seed,
        threads=practice.threads,
        losses={"word": 1.0, "post": 1.0},
    )
    told = run(
        lambda number, _focused: Steps(leader.sight, pairs(number)),
        wanted=losses,
        begin=lambda: Imitator(from_pretrained(base, dropout=0.0).bert, leader.size),
        work=work,
        recipe=recipe,
        budget_min=budget_min,
        say=say,
        feeds=("ids", "mask"),
    )
    encoder = from_pretrained(base).bert
    trained = load_file(work / "encoder.safetensors")
    encoder.load_state_dict({k.removeprefix("bert."): v for k, v in trained.items() if k.startswith("bert.")})
    record = {"base": origin(base), "guide": identity(guide), "practice": asdict(practice), "run": told}
    return save_encoder(encoder, tokeniser=own, out=made, record=record)
