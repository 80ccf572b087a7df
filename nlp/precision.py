"""Which arithmetic the training runs in: half precision where the machine multiplies it faster than single."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from time import perf_counter

import torch

PRECISIONS = ("auto", "fp32", "bf16")


def device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def halves(precision: str, where: torch.device) -> bool:
    """Whether to multiply in bfloat16. ``auto``: on a GPU that has it, and on processors that are measured to be
    faster so."""
    if precision != "auto":
        return precision == "bf16"
    if where.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return _faster_in_halves()


@cache
def _faster_in_halves() -> bool:
    """Whether this processor multiplies a layer's matrices faster in bfloat16. Measured, for its instructions do not
    tell: with AVX-512 BF16 some take two thirds of the time and some half as long again; without, a hundredfold."""
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return False
    single = _seconds(torch.ones(2048, 512), torch.ones(512, 512))
    half = _seconds(torch.ones(2048, 512, dtype=torch.bfloat16), torch.ones(512, 512, dtype=torch.bfloat16))
    return half < single


def _seconds(rows: torch.Tensor, columns: torch.Tensor) -> float:
    """The least of several times for one product; other work on the machine only adds to it."""
    times = []
    for _ in range(8):
        start = perf_counter()
        torch.mm(rows, columns)
        times.append(perf_counter() - start)
    return min(times)


def mixed(precision: str, where: torch.device) -> AbstractContextManager[None]:
    """The context in which a forward pass runs; weights and losses stay in single precision."""
    context: AbstractContextManager[None] = torch.autocast(
        where.type, torch.bfloat16, enabled=halves(precision, where)
    )
    return context
