"""Training a network, resumable, within a budget of minutes; and fine-tuning the encoder so. Imports torch.

What comes before the labels (``nlp.pretrain``, ``nlp.imitate``, ``nlp.distil``) is trained by the same loop.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from domain.errors import ModelError
from nlp.batches import Batch, one_pass
from nlp.corpus import LABELLED, Example
from nlp.labels import TOPICS
from nlp.precision import device, mixed
from nlp.processor import quicken
from nlp.tokens import Tokeniser

SAVE_EVERY_S = 90
SAY_EVERY = 25
Item = TypeVar("Item")
Losses = Callable[[dict[str, Tensor], dict[str, Tensor]], dict[str, Tensor]]
"""Logits and the batch to the loss of each task."""
AVERAGE_EVERY = 4
"""Steps between two updates of the moving average; it costs as much as a tenth of a step."""


class Arrays(Protocol):
    """A batch: a dataclass of arrays, of which the training itself reads the mask alone."""

    @property
    def mask(self) -> NDArray[np.int64]:
        """1 for a piece, 0 for padding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """Settings of the fine-tuning (``nlp/train.yaml``)."""

    learning_rate: float = 3e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1
    warmup: float = 0.04
    """Share of the budget in which the rate rises."""
    tokens: int = 4096
    """Padded word pieces in a step."""
    rename: float = 0.35
    """Share of posts whose companies get other names."""
    average: float = 0.998
    """Decay of the moving average of the weights, which is what is kept."""
    positive: float = 1.6
    """Weight of the positive class, the rarest."""
    rarest: float = 5.0
    """Largest weight of a rare topic's positives."""
    losses: dict[str, float] = field(default_factory=dict)
    """Weight of each task's loss."""
    shares: dict[str, float] = field(default_factory=dict)
    """How often each set is read in a pass."""
    focus_from: float = 1.0
    """Share of the budget from which on the sets are read as ``focus`` says: the project's own labels last."""
    focus: dict[str, float] = field(default_factory=dict)
    passes: float = 12
    """Passes at most; the budget may end it earlier, and alone does when this is infinite."""
    accumulate: int = 1
    """Batches whose gradients make one step: for a large encoder on a small GPU."""
    precision: str = "auto"
    """``fp32``, ``bf16``, or ``auto``: bf16 where the machine multiplies it faster (``nlp.precision``)."""
    seed: int = 7
    threads: int = 2


def marginal(logits: Tensor, allowed: Tensor) -> Tensor:
    """−log of the probability that the label lies among those allowed."""
    return torch.logsumexp(logits, -1) - torch.logsumexp(logits.masked_fill(allowed == 0, -1e4), -1)


def rarity(train: Sequence[Example], most: float) -> Tensor:
    """Weight of each topic's positives: √(negatives ÷ positives), 1..most."""
    labelled = [e for e in train if e.set in LABELLED]
    counts = np.zeros(len(TOPICS))
    for example in labelled:
        counts[list(example.topics or ())] += 1
    ratio = np.sqrt((len(labelled) - counts) / np.maximum(counts, 1))
    return torch.tensor(np.clip(ratio, 1, most), dtype=torch.float32)


def losses(
    out: dict[str, Tensor], batch: dict[str, Tensor], recipe: Recipe, rare: Tensor
) -> dict[str, Tensor]:
    """Loss of each task, a mean over the rows that carry its label."""
    weight = batch["weight"]
    known = batch["domain"] >= 0
    result: dict[str, Tensor] = {}
    if known.any():
        domain = batch["domain"][known]
        own = out["sentiment"][known, domain]
        allowed = batch["sentiment"][known]
        certain_positive = (allowed[:, 2] == 1) & (allowed.sum(-1) == 1)
        each = marginal(own, allowed) * weight[known] * torch.where(certain_positive, recipe.positive, 1.0)
        result["sentiment"] = each.mean()
        result["domain"] = functional.cross_entropy(out["domain"][known], domain)
    told = batch["topic_weight"]
    if told.any():
        each = functional.binary_cross_entropy_with_logits(
            out["topics"], batch["topics"], pos_weight=rare, reduction="none"
        )
        result["topics"] = (each * told).sum() / (told.amax(1) > 0).sum()
    if (asked := batch["stance"] >= 0).any():
        result["stance"] = functional.cross_entropy(out["stance"][asked], batch["stance"][asked])
    if (told_ad := batch["ad"] >= 0).any():
        result["ad"] = functional.binary_cross_entropy_with_logits(out["ad"][told_ad], batch["ad"][told_ad])
    if (marked := batch["events"][:, 0] >= 0).any():
        each = functional.binary_cross_entropy_with_logits(
            out["events"][marked], batch["events"][marked], reduction="none"
        )
        result["events"] = each.sum(-1).mean()
    if (felt := batch["emotion"] >= 0).any():
        result["emotion"] = functional.cross_entropy(out["emotion"][felt], batch["emotion"][felt])
    if len(batch["entity"]):
        each = marginal(out["entity"], batch["entity"]) * weight[batch["owner"]]
        result["entity"] = each.mean()
    return result


def tensors(batch: Arrays) -> dict[str, Tensor]:
    """The batch's arrays as tensors."""
    return {name: torch.from_numpy(value) for name, value in vars(batch).items()}


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its place when all of it has reached the disk. Raises ``ModelError`` when it cannot."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except (OSError, RuntimeError) as error:  # the latter is what torch makes of a full disk
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise ModelError(f"写不了 {path}：{reason}") from error


class Fitting:
    """Network, optimiser and average under training; everything of it goes into a checkpoint."""

    def __init__(
        self, begin: Callable[[], nn.Module], recipe: Recipe, wanted: Losses, feeds: Sequence[str]
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self._wanted, self._feeds = wanted, feeds
        self.device = device()
        self.network = begin().to(self.device)
        self.mean = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self._groups(), betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.step = self.turn = self.done = 0
        """Steps in all; the pass now read; batches read of it."""
        self.spent = 0.0
        """Seconds of training in all runs."""
        self.progress = 0.0
        self.curve: list[dict[str, float]] = []
        """Share of the run done and the smoothed loss of each task, now and then."""

    def _groups(self) -> list[dict[str, Any]]:
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, parameter in self.network.named_parameters():
            rate = self.recipe.learning_rate if name.startswith("bert.") else self.recipe.head_rate
            decay = self.recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        return [
            {"params": list(ps), "lr": rate, "peak": rate, "weight_decay": decay}
            for (rate, decay), ps in groups.items()
        ]

    def learn(self, batches: Sequence[dict[str, Tensor]]) -> dict[str, float]:
        """One step on the gradients of some batches together; returns the mean loss of each task."""
        factor = min(1.0, (self.progress + 0.002) / self.recipe.warmup) * max(0.02, 1 - self.progress)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        self.network.train()
        seen: dict[str, list[float]] = {}
        for batch in batches:
            for name, loss in self._backward(batch, len(batches)).items():
                seen.setdefault(name, []).append(loss.item())
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        if self.step % AVERAGE_EVERY == 0:
            self._average()
        return {name: float(np.mean(each)) for name, each in seen.items()}

    def _backward(self, batch: dict[str, Tensor], parts: int) -> dict[str, Tensor]:
        batch = {name: value.to(self.device) for name, value in batch.items()}
        with mixed(self.recipe.precision, self.device):
            out = self.network(*(batch[name] for name in self._feeds))
        each = self._wanted({name: value.float() for name, value in out.items()}, batch)
        total = torch.stack([self.recipe.losses[name] * loss for name, loss in each.items()]).sum() / parts
        total.backward()  # type: ignore[no-untyped-call]
        return each

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step)) ** AVERAGE_EVERY
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value, 1 - decay)
            else:
                self.mean[name].copy_(value)

    def save(self, work: Path) -> None:
        """Write the checkpoint and the averaged weights, each all or nothing."""
        state = {
            "network": self.network.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "numbers": [self.step, self.turn, self.done, self.spent],
            "curve": self.curve,
            "random": torch.get_rng_state(),
        }
        with _whole(work / "checkpoint.pt") as file:
            torch.save(state, file)
        with _whole(work / "encoder.safetensors") as file:
            file.write(save(self.mean))

    def resume(self, work: Path, say: Callable[[str], None]) -> None:
        """Go on from the checkpoint in ``work``, if there is one that can be read."""
        path = work / "checkpoint.pt"
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            say(f"断点 {path} 已损坏，从头训练")
            return
        self.network.load_state_dict(state["network"])
        self.mean = state["mean"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.turn, self.done, self.spent = state["numbers"]
        self.curve = state["curve"]
        torch.set_rng_state(state["random"])
        say(f"接着第 {self.step} 步训练(已用 {self.spent / 60:.1f} 分钟)")


def ahead(items: Iterable[Item]) -> Generator[Item]:
    """The items, the next one being made, in a thread of its own, while the one before is worked on."""
    source = iter(items)
    with ThreadPoolExecutor(1, "batches") as maker:
        coming = maker.submit(list, islice(source, 1))
        while made := coming.result():
            coming = maker.submit(list, islice(source, 1))
            yield made[0]


class Course:
    """One run of the training: reads passes, saves, tells how far it is."""

    def __init__(
        self, fitting: Fitting, *, work: Path, recipe: Recipe, budget: float, say: Callable[[str], None]
    ) -> None:
        self.fitting, self._work, self._recipe, self._budget, self._say = fitting, work, recipe, budget, say
        self._started, self._before = time.monotonic(), fitting.spent
        self._saved = self._started
        self._smooth: dict[str, float] = {}
        self._tokens = 0

    @property
    def over(self) -> bool:
        """Nothing is left of the passes or of the budget."""
        return self.fitting.turn >= self._recipe.passes or self.fitting.spent >= self._budget

    def look(self, part: float = 0.0) -> bool:
        """Bring the progress up to date, ``part`` of a pass being read; says whether the focus is on."""
        read = (self.fitting.turn + part) / self._recipe.passes
        self.fitting.progress = max(self.fitting.spent / self._budget, read)
        return self.fitting.progress >= self._recipe.focus_from

    def read(self, batches: Sequence[Arrays], *, focused: bool) -> None:
        """One pass, from where the checkpoint left it; ends early with the budget and when the focus begins."""
        together = self._recipe.accumulate
        numbers = range(self.fitting.done, len(batches), together)
        with closing(ahead(batches[number : number + together] for number in numbers)) as made:
            for number, some in zip(numbers, made, strict=True):
                if self.look(number / len(batches)) != focused:
                    break
                self._step(some)
                if self.over:
                    return
        self.fitting.turn, self.fitting.done = self.fitting.turn + 1, 0

    def _step(self, batches: Sequence[Arrays]) -> None:
        for name, loss in self.fitting.learn([tensors(batch) for batch in batches]).items():
            self._smooth[name] = 0.98 * self._smooth.get(name, loss) + 0.02 * loss
        self.fitting.done += len(batches)
        now = time.monotonic()
        self.fitting.spent = self._before + now - self._started
        self._tokens += sum(int(batch.mask.sum()) for batch in batches)
        if now - self._saved > SAVE_EVERY_S:
            self.fitting.save(self._work)
            self._saved = now
        if self.fitting.step % SAY_EVERY == 0:
            self._say(self._line(self._tokens / (now - self._started)))
            rounded = {name: round(loss, 4) for name, loss in self._smooth.items()}
            self.fitting.curve.append({"share": round(self.fitting.progress, 4), **rounded})

    def _line(self, speed: float) -> str:
        left = math.ceil(self._budget * (1 - self.fitting.progress) / 60)
        each = " ".join(f"{name} {loss:.3f}" for name, loss in self._smooth.items())
        done = f"{self.fitting.progress:4.0%} 步 {self.fitting.step} 遍 {self.fitting.turn + 1}"
        return f"{done} · {each} · {speed:.0f} 词片/秒 · 约剩 {left} 分钟"


def fit(
    train: Sequence[Example],
    *,
    begin: Callable[[], nn.Module],
    tokeniser: Tokeniser,
    work: Path,
    recipe: Recipe,
    budget_min: float,
    say: Callable[[str], None],
) -> None:
    """Fine-tune on labelled posts (``run``)."""
    rare = rarity(train, recipe.rarest).to(device())

    def batches(number: int, focused: bool) -> Sequence[Batch]:
        read = one_pass(
            train,
            tokeniser,
            seed=recipe.seed * 1000 + number,
            shares=recipe.focus if focused else recipe.shares,
            rename=recipe.rename,
            tokens=recipe.tokens,
        )
        return list(read)

    run(
        batches,
        wanted=lambda out, batch: losses(out, batch, recipe, rare),
        begin=begin,
        work=work,
        recipe=recipe,
        budget_min=budget_min,
        say=say,
    )


def run(
    batches: Callable[[int, bool], Sequence[Arrays]],
    *,
    wanted: Losses,
    begin: Callable[[], nn.Module],
    work: Path,
    recipe: Recipe,
    budget_min: float,
    say: Callable[[str], None],
    feeds: Sequence[str] = ("ids", "mask", "mentions", "owner"),
) -> dict[str, Any]:
    """Train until the budget or the passes are used up; killed at any point, the next call goes on.

    Returns how it went; what is done is not done again. Of a network's parameters those under ``bert.``
    learn at the rate of the encoder, the rest at that of the heads.

    The learning rate follows the share of the budget spent (or of the passes read, when that is larger), so a slow
    machine gets fewer passes and a complete schedule. Leaves ``encoder.safetensors`` (the averaged weights) in
    ``work`` from the first minutes on. ``batches``: those of a pass by its number, the same for the same number, and
    whether the focus is on. ``begin`` makes the network to start from, ``feeds`` names what of a batch it takes.
    """
    done = work / "encoder.done"
    told: dict[str, Any]
    if done.exists() and (work / "encoder.safetensors").exists():
        told = json.loads(done.read_text("utf-8"))
        return told
    torch.set_num_threads(recipe.threads)
    fitting = Fitting(begin, recipe, wanted, feeds)
    quicken(fitting.network, cast(PreTrainedModel, fitting.network.bert), recipe.precision)
    fitting.resume(work, say)
    course = Course(fitting, work=work, recipe=recipe, budget=budget_min * 60, say=say)
    while not course.over:
        focused = course.look()
        course.read(batches(fitting.turn, focused), focused=focused)
    fitting.save(work)
    told = {
        "steps": fitting.step,
        "passes": fitting.turn,
        "minutes": round(fitting.spent / 60, 1),
        "curve": fitting.curve,
    }
    with _whole(done) as file:
        file.write(f"{json.dumps(told)}\n".encode())
    return told
