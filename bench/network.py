"""The network alone, as different runtimes run it, on one core. ``python -m bench.network [POSTS]``.

The same windows for all; CPU seconds, so that what else runs on the machine matters less; the best of three.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from bench._posts import held_out
from nlp.batches import pad
from nlp.bundle import open_bundle, shipped
from nlp.encoder import OUTPUTS, Encoder
from nlp.export import _traced, restore
from nlp.tokens import Window, mentions, window

BATCH = 2048
"""Word pieces in a batch of the runtimes that pad."""


def windows(wanted: int) -> tuple[str, list[Window]]:
    """The first window of so many posts with the places of their companies, the shortest first."""
    where, examples = held_out()
    some = examples[:: max(1, len(examples) // wanted)]
    made = []
    pieces = open_bundle(shipped()).tokeniser.pieces([e.text for e in some])
    for example, found in zip(some, pieces, strict=True):
        names = [name for name, _ in example.entities]
        made.append(window(found, mentions(example.text, found, names), 0))
    return where, sorted(made, key=lambda w: len(w.ids))


def batches(some: Sequence[Window], *, padded: bool) -> list[list[Window]]:
    """Neighbours by length; of exactly one length where nothing may be padded."""
    made: list[list[Window]] = []
    for one in some:
        size = len(one.ids)
        fits = made and (len(made[-1]) + 1) * size <= BATCH
        if not fits or not (padded or len(made[-1][0].ids) == size):
            made.append([])
        made[-1].append(one)
    return made


def main() -> None:
    """Print the table."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    torch.set_num_threads(1)
    where, some = windows(int(sys.argv[1]) if sys.argv[1:] else 300)
    judge = restore(shipped() / "encoder.onnx").eval()
    single, eight = Encoder(_traced(judge).SerializeToString()), Encoder(open_bundle(shipped()).encoder)

    def by_torch(batch: list[Window]) -> np.ndarray:
        with torch.inference_mode():
            out = judge(*map(torch.from_numpy, pad(batch)))
        return np.concatenate([out[name].reshape(len(batch), -1).float().numpy() for name in OUTPUTS[:-1]], 1)

    def by_torch_in_half(batch: list[Window]) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16):
            return by_torch(batch)

    def by(encoder: Encoder) -> Callable[[list[Window]], np.ndarray]:
        def call(batch: list[Window]) -> np.ndarray:
            out = vars_of(encoder.read(batch))
            return np.concatenate([out[name].reshape(len(batch), -1) for name in OUTPUTS[:-1]], 1)

        return call

    padded, equal = batches(some, padded=True), batches(some, padded=False)
    rows = {
        "PyTorch, single precision": (by_torch, padded),
        "PyTorch, bfloat16 (autocast)": (by_torch_in_half, padded),
        "ONNX Runtime, single precision": (by(single), equal),
        "**ONNX Runtime, 8 bits (shipped)**": (by(eight), equal),
    }
    tokens = sum(len(w.ids) for w in some)
    print(f"{len(some)} {where}, {tokens} word pieces, one core\n")
    print("| | pieces/s | posts/s | mean difference of a logit |\n|---|---|---|---|")
    wanted = np.concatenate([by_torch(batch) for batch in padded])
    for name, (call, groups) in rows.items():
        spent = min(_seconds(call, groups) for _ in range(3))
        off = np.abs(np.concatenate([call(batch) for batch in groups]) - wanted).mean()
        print(f"| {name} | {tokens / spent:,.0f} | {len(some) / spent:.0f} | {off:.4f} |")


def vars_of(read: object) -> dict[str, np.ndarray]:
    """Outputs by name."""
    return {name: getattr(read, name) for name in OUTPUTS}


def _seconds(call: Callable[[list[Window]], object], groups: list[list[Window]]) -> float:
    began = time.process_time()
    for batch in groups:
        call(batch)
    return time.process_time() - began


if __name__ == "__main__":
    main()
