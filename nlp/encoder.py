"""The network of ``nlp.model`` computed with numpy: the same numbers, without torch's five seconds of loading."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlp.labels import DOMAINS, SENTIMENTS
from nlp.tokens import Window

Array = NDArray[np.float32]

_STEPS = 4096
_REACH = 6
_GRID = np.arange(-_REACH * _STEPS, _REACH * _STEPS + 1) / _STEPS
_PHI = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in _GRID], np.float32)
_ROWS = 32


def gelu(x: Array) -> Array:
    """x · Φ(x) with Φ from a table (absolute error below 5e-5); a few rows at a time, to stay in the cache."""
    flat = x.reshape(-1, x.shape[-1])
    out = np.empty_like(flat)
    for start in range(0, len(flat), _ROWS):
        part = flat[start : start + _ROWS]
        place = part * np.float32(_STEPS)
        place += np.float32(_REACH * _STEPS + 0.5)
        phi = _PHI.take(place.astype(np.int32), mode="clip")
        np.multiply(phi, part, out=out[start : start + _ROWS])
    return out.reshape(x.shape)


def softmax(x: Array, axis: int = -1) -> Array:
    """Softmax along an axis; ``x`` is used up."""
    x = x - x.max(axis=axis, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=axis, keepdims=True)
    return x


@dataclass(frozen=True, kw_only=True)
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


class Encoder:
    """BERT and the heads. Holds single-precision copies of the tensors; calls are pure, threads may share it."""

    def __init__(self, tensors: Mapping[str, NDArray[np.generic]], *, heads: int) -> None:
        self._t = {name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}
        self._heads = heads
        self._layers = 1 + max(int(n.split(".")[3]) for n in self._t if n.startswith("bert.encoder.layer."))
        for i in range(self._layers):
            self._join(f"bert.encoder.layer.{i}.attention.self")

    def _join(self, prefix: str) -> None:
        """Query, key and value as one matrix: one large product is faster than three."""
        for kind in ("weight", "bias"):
            parts = [self._t.pop(f"{prefix}.{part}.{kind}") for part in ("query", "key", "value")]
            self._t[f"{prefix}.qkv.{kind}"] = np.concatenate(parts)

    def _linear(self, name: str, x: Array) -> Array:
        out: Array = x @ self._t[f"{name}.weight"].T
        if (bias := self._t.get(f"{name}.bias")) is not None:
            out += bias
        return out

    def _norm(self, name: str, x: Array) -> Array:
        x = x - x.mean(-1, keepdims=True)
        x /= np.sqrt(np.square(x).mean(-1, keepdims=True) + np.float32(1e-12))
        x *= self._t[f"{name}.weight"]
        x += self._t[f"{name}.bias"]
        return x

    def _attend(self, prefix: str, x: Array, hidden: NDArray[np.bool_]) -> Array:
        rows, length, size = x.shape
        qkv = self._linear(f"{prefix}.self.qkv", x).reshape(rows, length, 3, self._heads, -1)
        q, k, v = (np.ascontiguousarray(qkv[:, :, i].transpose(0, 2, 1, 3)) for i in range(3))
        q *= np.float32(1 / np.sqrt(q.shape[-1]))
        scores = q @ k.transpose(0, 1, 3, 2)
        scores += np.where(hidden, np.float32(-1e9), np.float32(0))[:, None, None, :]
        mixed = (softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(rows, length, size)
        return self._norm(f"{prefix}.output.LayerNorm", self._linear(f"{prefix}.output.dense", mixed) + x)

    def states(self, ids: NDArray[np.int64]) -> Array:
        """Last hidden states, windows × length × size; id 0 is padding."""
        e = "bert.embeddings"
        x = self._t[f"{e}.word_embeddings.weight"][ids]
        x = x + self._t[f"{e}.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(f"{e}.LayerNorm", x + self._t[f"{e}.token_type_embeddings.weight"][0])
        hidden = ids == 0
        for i in range(self._layers):
            layer = f"bert.encoder.layer.{i}"
            x = self._attend(f"{layer}.attention", x, hidden)
            inner = gelu(self._linear(f"{layer}.intermediate.dense", x))
            x = self._norm(f"{layer}.output.LayerNorm", self._linear(f"{layer}.output.dense", inner) + x)
        return x

    def read(self, windows: Sequence[Window]) -> Read:
        """Logits of a batch of windows."""
        ids = np.zeros((len(windows), max(len(w.ids) for w in windows)), np.int64)
        for i, w in enumerate(windows):
            ids[i, : len(w.ids)] = w.ids
        states, real = self.states(ids), (ids != 0)[..., None].astype(np.float32)
        mean = (states * real).sum(1) / real.sum(1)
        post = gelu(self._linear("pool", np.concatenate([states[:, 0], mean], -1)))
        looks = self._linear("topic_query", states) + (real - 1) * np.float32(1e9)
        context = softmax(looks, axis=1).transpose(0, 2, 1) @ states
        topics = (context * self._t["topic_out.weight"]).sum(-1) + self._t["topic_out.bias"]
        return Read(
            sentiment=self._linear("sentiment", post).reshape(-1, len(DOMAINS), len(SENTIMENTS)),
            domain=self._linear("domain", post),
            stance=self._linear("stance", post),
            ad=self._linear("ad", post)[:, 0],
            topics=topics + self._linear("topic_post", post),
            entity=[self._named(states[i], post[i], w) for i, w in enumerate(windows)],
        )

    def _named(self, states: Array, post: Array, window: Window) -> Array:
        named = np.tile(self._t["absent"], (len(window.spans), 1))
        for row, spans in enumerate(window.spans):
            places = sorted({place for start, end in spans for place in range(start, end)})
            if places:
                named[row] = states[places].mean(0)
        looks = (self._linear("look", named) @ states.T) / np.float32(math.sqrt(states.shape[-1]))
        looks[:, len(window.ids) :] = -1e4
        near = softmax(looks) @ states
        joint = np.concatenate([named, near, np.tile(post, (len(named), 1))], -1)
        return self._linear("entity", gelu(self._linear("mention", joint)))
