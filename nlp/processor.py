"""Training on a processor: what PyTorch leaves lying there, and a GPU does not need.

``python -m bench.training`` says what each of it gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from nlp.precision import halves


class Dropout(nn.Dropout):
    """Dropout whose mask numpy draws: PyTorch's generator takes as long for it as a layer takes for its products.

    Seeds come from PyTorch's generator, which a checkpoint holds. The rate is rounded to a 256th.
    """

    def forward(self, input: Tensor) -> Tensor:
        below = round(self.p * 256)
        if not self.training or not below:
            return input
        seed = int(torch.randint(2**62, (1,)))
        drawn = np.random.Generator(np.random.SFC64(seed)).bytes(input.numel())
        kept = torch.from_numpy(np.frombuffer(drawn, np.uint8) >= below).view(input.shape)
        return input * (kept.to(input.dtype) * (256 / (256 - below)))


def quicken(network: nn.Module, encoder: PreTrainedModel, precision: str) -> None:
    """Make ``network``, of which ``encoder`` is a part, quick to train on this processor; its weights stay as they are.
    On a GPU nothing is done.

    Attention is computed by plain products, which for texts of some hundred word pieces are quicker than PyTorch's
    own kernel, and drops nothing between pieces. With ``precision`` that comes to bfloat16 the states between two
    layers are kept in it too: to turn them there and back costs as much as all products.
    """
    if next(network.parameters()).device.type != "cpu":
        return
    encoder.set_attn_implementation("eager")
    for module in list(network.modules()):
        for name, part in module.named_children():
            if type(part) is nn.Dropout:
                setattr(module, name, Dropout(part.p).train(part.training))
    for layer in encoder.modules():
        between = getattr(layer, "dropout", None)
        if hasattr(layer, "query") and isinstance(between, nn.Dropout):
            between.p = 0.0
    if halves(precision, torch.device("cpu")):
        encoder.get_submodule("embeddings").register_forward_hook(_halved)
        encoder.register_forward_hook(_restored)


def _halved(_module: nn.Module, _inputs: Any, states: Tensor) -> Tensor:
    return states.to(torch.bfloat16) if torch.is_autocast_enabled("cpu") else states


def _restored(_module: nn.Module, _inputs: Any, output: Any) -> Any:
    output["last_hidden_state"] = output["last_hidden_state"].float()
    return output
