"""A trained ``Judge`` as the one file that inference runs, and back again. Training only: imports torch and onnx.

The graph is traced from ``Judge.forward`` itself, whatever encoder stands in it, and then made small and quick:

- Large linear layers multiply 8-bit integers. Weights have a scale for each output; inputs have one scale, taken
  from ``windows`` and fixed in the file, so that what stands beside a text in a batch cannot change its result.
- The table of word pieces is 8-bit with a scale for each row.
- Windows of one batch are equally long: there is no mask, and nothing is computed for padding.

All other tensors keep single precision and their names, those that only training needs included, so that the file
is also where a next training starts from (``state``, ``restore``).
"""

from __future__ import annotations

import copy
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AttentionInterface, AutoConfig

from nlp.batches import windows
from nlp.corpus import Example
from nlp.encoder import INPUTS, OUTPUTS, Encoder, feeds
from nlp.model import Judge
from nlp.tokens import Tokeniser, Window

CALIBRATING = 300
"""Posts from which the scales of inputs are taken."""
LEAST = 64
"""Rows and columns from which on a weight is worth 8 bits."""
TABLE = 1000
"""Rows from which on a table that is looked up is worth 8 bits."""
OUTSIDE = 0.01
"""Percent of a window's inputs at each end that the scale of an input leaves out."""
_LINEAR, _ROWS, _SCALE, _ZERO = "/linear/", "/rows/", "/scale/", "/zero/"


class _Paired(nn.Linear):
    """A linear layer that never sees one row alone: for a single row a matrix product may sum in another order."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 2:
            return super().forward(x)
        return super().forward(torch.cat([x, x]))[: x.shape[0]]


class _Inference(nn.Module):
    """What inference asks of a judge, in the order of ``OUTPUTS``."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge

    def forward(self, ids: Tensor, mentions: Tensor, owner: Tensor) -> tuple[Tensor, ...]:
        out = self.judge(ids, None, mentions, owner)
        return tuple(out[name] for name in OUTPUTS)


def _attend(
    _module: nn.Module, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """Attention without a mask; ``transformers`` calls it by the name under which it is registered."""
    weights = (query @ key.transpose(2, 3) * settings["scaling"]).softmax(-1)
    return (weights @ value).transpose(1, 2), None


def export(judge: Judge, *, windows: Sequence[Window], out: Path) -> None:
    """Write ``judge`` to ``out``. ``windows``: some two hundred of training texts, to take the input scales from."""
    model = _traced(judge)
    _keep(model, judge)
    _quantise(model, _ranges(model, windows))
    out.write_bytes(model.SerializeToString(deterministic=True))


def export_trained(
    judge: Judge, trained: Path, *, examples: Sequence[Example], tokeniser: Tokeniser, out: Path
) -> None:
    """Write ``judge`` with the tensors of the safetensors file ``trained``; input scales from some ``examples``."""
    judge.load_state_dict(load_file(trained))
    rng = np.random.default_rng(0)
    seen = [examples[i] for i in rng.permutation(len(examples))[:CALIBRATING]]
    export(judge, windows=windows(seen, tokeniser, rng), out=out)


def _traced(judge: Judge) -> ModelProto:
    logging.getLogger("torch.onnx").setLevel(
        logging.ERROR
    )  # torchvision, which it misses, is not needed here
    own = copy.deepcopy(judge).float().eval()
    for name, part in list(own.named_children()):
        if type(part) is nn.Linear:
            paired = _Paired(part.in_features, part.out_features, part.bias is not None)
            paired.load_state_dict(part.state_dict())
            setattr(own, name, paired)
    AttentionInterface.register("unmasked", _attend)
    own.bert.set_attn_implementation("unmasked")
    size, any_ = 7, torch.export.Dim.DYNAMIC
    example = (torch.full((3, size), 5), torch.zeros(4, size), torch.tensor([0, 1, 2, 2]))
    program = torch.onnx.export(
        _Inference(own).eval(),
        example,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: any_, 1: any_}, {0: any_, 1: any_}, {0: any_}),
        opset_version=20,
        dynamo=True,
        optimize=False,  # it would fold the weights' names away; ONNX Runtime optimises when it loads
        verbose=False,
    )
    assert program is not None
    model: ModelProto = program.model_proto
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix("judge.")
    for node in model.graph.node:
        node.input[:] = [name.removeprefix("judge.") for name in node.input]
        node.ClearField("metadata_props")  # where the line of Python stands on this machine
    for field in ("value_info", "metadata_props"):
        model.graph.ClearField(field)
    return model


def _keep(model: ModelProto, judge: Judge) -> None:
    """Everything else that a next training needs: tensors that inference does not use, the encoder's settings."""
    known = {tensor.name for tensor in model.graph.initializer}
    for name, value in judge.state_dict().items():
        if name not in known:
            model.graph.initializer.append(numpy_helper.from_array(value.float().numpy(), name))
    settings = judge.bert.config.to_dict()
    settings.pop("_name_or_path", None)  # a folder of whoever trained it: nobody else's business
    helper.set_model_props(model, {"config": json.dumps(settings)})


def _weights(model: ModelProto) -> dict[str, tuple[NodeProto, str]]:
    """Outputs of the large linear layers: the node that multiplies and the name of its weight (outputs × inputs)."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    turned = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Transpose"}
    found = {}
    for node in model.graph.node:
        if node.op_type == "MatMul":
            name = turned.get(node.input[1], "")
        elif node.op_type == "Gemm" and {a.name: a.i for a in node.attribute}.get("transB"):
            name = node.input[1]
        else:
            continue
        if len(shapes.get(name, ())) == 2 and min(shapes[name]) >= LEAST:
            found[node.output[0]] = (node, name)
    return found


def _ranges(model: ModelProto, windows: Sequence[Window]) -> dict[str, tuple[float, float]]:
    """Lowest and highest value that matters, of every input of a large linear layer."""
    watched = sorted({node.input[0] for node, _ in _weights(model).values()})
    if not watched:
        return {}
    seen = ModelProto()
    seen.CopyFrom(model)
    seen.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in watched)
    session = Encoder(seen.SerializeToString()).session
    low, high = dict.fromkeys(watched, 0.0), dict.fromkeys(watched, 0.0)
    for one in windows:
        for name, values in zip(watched, session.run(watched, feeds([one])), strict=True):
            ends = np.percentile(values, [OUTSIDE, 100 - OUTSIDE])
            low[name], high[name] = min(low[name], float(ends[0])), max(high[name], float(ends[1]))
    return {name: (low[name], high[name]) for name in watched}


def _quantise(model: ModelProto, ranges: Mapping[str, tuple[float, float]]) -> None:
    graph = model.graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    biases = _biases(graph.node, tensors, uses)
    layers, fused, ready = _weights(model), set[str](), set[str]()
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.output[0] in fused:
            continue
        if node.output[0] in layers:
            name = layers[node.output[0]][1]
            bias, out = biases.get(node.output[0], ("", node.output[0]))
            if node.op_type == "Gemm":
                bias = node.input[2] if len(node.input) > 2 else ""
            elif bias:
                fused.add(out)
            source = node.input[0]
            if source not in ready:
                ready.add(source)
                nodes.append(_rounding(source, ranges[source], tensors))
            nodes.append(_product(source, name, bias, out, tensors))
        elif node.op_type == "Gather" and len(tensors.get(node.input[0], ())) >= TABLE:
            nodes += _lookup(node, tensors)
        else:
            nodes.append(node)
    read = {name for node in nodes for name in node.input} | set(OUTPUTS)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(
        node for node in nodes if read.intersection(node.output)
    )  # a turned weight is read no more
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in tensors.items())
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _biases(
    nodes: Sequence[NodeProto], tensors: Mapping[str, NDArray[Any]], uses: Mapping[str, int]
) -> dict[str, tuple[str, str]]:
    """For each value that is used once, by adding a bias to it: the bias and the sum."""
    found = {}
    for node in nodes:
        if node.op_type == "Add":
            for value, bias in (node.input, reversed(node.input)):
                if uses[value] == 1 and bias in tensors and tensors[bias].ndim == 1:
                    found[value] = (bias, node.output[0])
    return found


def _rounding(source: str, ends: tuple[float, float], tensors: dict[str, NDArray[Any]]) -> NodeProto:
    low, high = ends
    scale = max(high - low, 1e-6) / 255
    tensors[_SCALE + source] = np.array(scale, np.float32)
    tensors[_ZERO + source] = np.array(round(-low / scale), np.uint8)
    return helper.make_node("QuantizeLinear", [source, _SCALE + source, _ZERO + source], [f"/8bit/{source}"])


def _rows(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Each row as 8-bit integers and its scale.

    Processors without VNNI add two neighbouring products in 16 bits, and cut off what goes beyond. Scales leave so
    much room that 255 · (a + b) never does: the same result on every processor, for some finer steps lost.
    """
    wide = np.pad(weight, [(0, 0), (0, weight.shape[1] % 2)])
    most = np.maximum(np.abs(weight).max(1), np.abs(wide[:, ::2] + wide[:, 1::2]).max(1))
    scale = np.maximum(most, 1e-12).astype(np.float32) / np.float32(127)
    return np.round(weight / scale[:, None]).astype(np.int8), scale


def _product(source: str, name: str, bias: str, out: str, tensors: dict[str, NDArray[Any]]) -> NodeProto:
    if name in tensors:
        rounded, scale = _rows(tensors.pop(name))
        tensors[_LINEAR + name], tensors[_SCALE + name] = np.ascontiguousarray(rounded.T), scale
    inputs = [f"/8bit/{source}", _LINEAR + name, _SCALE + source, _SCALE + name, _ZERO + source, "", bias]
    return helper.make_node("MatMulIntegerToFloat", inputs, [out], domain="com.microsoft")


def _lookup(node: NodeProto, tensors: dict[str, NDArray[Any]]) -> list[NodeProto]:
    name, ids = node.input
    out = node.output[0]
    if name in tensors:
        rounded, scale = _rows(tensors.pop(name))
        tensors[_ROWS + name], tensors[_SCALE + name] = rounded, scale[:, None]
    return [
        helper.make_node("Gather", [_ROWS + name, ids], [f"{out}/8bit"], axis=0),
        helper.make_node("Gather", [_SCALE + name, ids], [f"{out}/scale"], axis=0),
        helper.make_node("Cast", [f"{out}/8bit"], [f"{out}/float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [f"{out}/float", f"{out}/scale"], [out]),
    ]


def state(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of an exported judge as in ``Judge.state_dict``, in single precision."""
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load_model(path).graph.initializer}
    made: dict[str, NDArray[Any]] = {}
    for full, value in tensors.items():
        if full.startswith(_LINEAR):
            name = full.removeprefix(_LINEAR)
            made[name] = (value * tensors[_SCALE + name]).T
        elif full.startswith(_ROWS):
            name = full.removeprefix(_ROWS)
            made[name] = value * tensors[_SCALE + name]
        elif not full.startswith("/"):
            made[full] = value
    return {name: np.array(value, np.float32, order="C") for name, value in made.items()}


def restore(path: Path, *, dropout: float = 0.1) -> Judge:
    """The judge that was exported, its weights as exact as 8 bits are, to be trained further."""
    settings = json.loads({p.key: p.value for p in onnx.load_model(path).metadata_props}["config"])
    config: Any = AutoConfig.for_model(settings.pop("model_type"), **settings)
    judge = Judge(config, dropout=dropout)
    values = {name: torch.from_numpy(value) for name, value in state(path).items()}
    judge.load_state_dict({name: values[name] for name in judge.state_dict()})
    return judge
