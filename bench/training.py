"""Fine-tuning on this processor, beside PyTorch as it is. ``python -m bench.training [ROUNDS]``.

The same batches of the posts that ship, with the same network, taking turns; both forward and backward, and the step
of the optimiser. Both start from the shipped base.
"""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import replace
from typing import Any

import torch

from nlp import train_settings
from nlp.adapt import replayed
from nlp.bases import from_pretrained, tokeniser_of
from nlp.batches import one_pass
from nlp.learn import Fitting, Recipe, losses, rarity, tensors
from nlp.model import Judge
from nlp.processor import quicken
from nlp.train import shipped_base

BATCHES = 12


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    recipe = Recipe(**train_settings.read()["encoder"])
    torch.set_num_threads(recipe.threads)
    train = replayed().train
    rare = rarity(train, recipe.rarest)
    shares = {e.set: 1.0 for e in train}
    read = one_pass(
        train,
        tokeniser_of(shipped_base()),
        seed=recipe.seed,
        shares=shares,
        rename=recipe.rename,
        tokens=recipe.tokens,
    )
    batches = [tensors(batch) for batch in itertools.islice(read, BATCHES)]
    pieces = sum(int(batch["mask"].sum()) for batch in batches)

    def fitting(quick: bool, **changes: Any) -> Fitting:
        own = replace(recipe, **changes)

        def begin() -> Judge:
            judge = from_pretrained(shipped_base(), dropout=own.dropout)
            if quick:
                quicken(judge, judge.bert, own.precision)
            return judge

        feeds = ("ids", "mask", "mentions", "owner")
        return Fitting(begin, own, lambda out, batch: losses(out, batch, own, rare), feeds)

    rows = {
        "PyTorch, single precision": fitting(False, precision="fp32"),
        "PyTorch, bfloat16 where it is faster": fitting(False),
        "**yujing train**": fitting(True),
        "the same, without dropout": fitting(True, dropout=0.0),
    }
    spent = dict.fromkeys(rows, float("inf"))
    for _ in range(rounds + 1):
        for name, one in rows.items():
            start = time.perf_counter()
            for batch in batches:
                one.learn([batch])
            spent[name] = min(spent[name], time.perf_counter() - start)
    first = spent["PyTorch, bfloat16 where it is faster"]
    print(f"{pieces} word pieces in {BATCHES} steps, {recipe.threads} threads\n")
    print("| | pieces/s | as against PyTorch |\n|---|---|---|")
    for name, seconds in spent.items():
        print(f"| {name} | {pieces / seconds:,.0f} | {first / seconds:.2f} |")


if __name__ == "__main__":
    main()
