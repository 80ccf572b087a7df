"""Which arithmetic the training runs in: half precision where the processor multiplies it faster than single."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

PRECISIONS = ("auto", "fp32", "bf16")


def device() -> torch.device:
    """A GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def halves(precision: str, where: torch.device) -> bool:
    """Whether to multiply in bfloat16. ``auto``: on a GPU that has it, and on processors with AVX-512 BF16 or AMX;
    on others it is a hundred times slower than single precision."""
    if precision != "auto":
        return precision == "bf16"
    if where.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def mixed(precision: str, where: torch.device) -> AbstractContextManager[None]:
    """The context in which a forward pass runs; weights and losses stay in single precision."""
    context: AbstractContextManager[None] = torch.autocast(
        where.type, torch.bfloat16, enabled=halves(precision, where)
    )
    return context
