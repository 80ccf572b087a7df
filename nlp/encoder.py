"""The network, run by ONNX Runtime from the file that ``nlp.export`` writes. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import ModelError
from nlp.tokens import Window

Array = NDArray[np.float32]
INPUTS = ("ids", "mentions", "owner")
OUTPUTS = ("sentiment", "domain", "stance", "ad", "topics", "entity")


def softmax(x: Array, axis: int = -1) -> Array:
    """Softmax along an axis."""
    x = x - x.max(axis=axis, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=axis, keepdims=True)
    return x


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """Logits for a batch of windows, in the layout of ``nlp.model.Judge.forward``."""

    sentiment: Array
    """windows × domains × sentiments."""
    domain: Array
    stance: Array
    ad: Array
    topics: Array
    entity: list[Array]
    """For each window names × sentiments; a name that the window lacks is judged by the post alone."""


def feeds(windows: Sequence[Window]) -> dict[str, NDArray[Any]]:
    """The network's inputs for windows of one length: pieces, and of each name where it stands and in which window.

    Two more names that nobody asked about come last: a product with no row, or with one, is a case of its own.
    """
    ids = np.array([w.ids for w in windows], np.int64)
    names = [(i, spans) for i, w in enumerate(windows) for spans in w.spans]
    mentions = np.zeros((len(names) + 2, ids.shape[1]), np.float32)
    for row, (_, spans) in enumerate(names):
        for start, end in spans:
            mentions[row, start:end] = 1
    mentions /= np.maximum(mentions.sum(1, keepdims=True), 1)
    return {"ids": ids, "mentions": mentions, "owner": np.array([*(i for i, _ in names), 0, 0], np.int64)}


class Encoder:
    """A loaded network. Calls are pure and use the calling thread only; threads may share it.

    Raises ``ModelError`` when ``content`` is no network of ours.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # every length is a shape of its own: nothing to plan ahead
        options.log_severity_level = 3
        try:
            # The fused kernel for adding and normalising takes three times what the two steps take.
            self.session = onnxruntime.InferenceSession(
                content,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["SkipLayerNormFusion"],
            )
            inputs = {value.name for value in self.session.get_inputs()}
            outputs = {value.name for value in self.session.get_outputs()}
        except Exception as error:  # whatever is wrong with a foreign file
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"网络文件不能用:{type(error).__name__}: {reason}") from error
        if inputs != set(INPUTS) or not outputs.issuperset(OUTPUTS):
            raise ModelError(f"网络文件的输入输出不对:{sorted(inputs)} → {sorted(outputs)}")

    def read(self, windows: Sequence[Window]) -> Read:
        """Logits of a batch of windows that are equally long."""
        got = dict(zip(OUTPUTS, self.session.run(OUTPUTS, feeds(windows)), strict=True))
        ends = np.cumsum([len(w.spans) for w in windows])[:-1]
        entity = got.pop("entity")[:-2]
        return Read(**got, entity=np.split(entity, ends))
