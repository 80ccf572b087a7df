"""Encoder and n-grams added up and calibrated: from logits to probabilities and decisions.

Every number here is fitted on the tuning part (``nlp.tune``): per task a weight for the encoder's logits, one for
the n-grams' and a bias (stacked logistic regression, Wolpert 1992; with one scalar a source it is also the
temperature of Guo et al. 2017), and for each topic the probability from which on it is decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.encoder import softmax
from nlp.labels import DOMAINS
from nlp.wide import COLUMNS

Array = NDArray[np.float32]

POST_TASKS = ("topics", "stance", "ad")
"""What is judged of a post besides its sentiment."""
UNNAMED, FOUND, GIVEN = 0, 1, 2
"""What is known of the companies that a text is about."""


def reach(characters: NDArray[np.integer]) -> Array:
    """How long texts are, from −1 (25 characters or fewer) over 0 (100) to 1 (400 or more)."""
    scaled: Array = np.log(np.maximum(characters, 1) / 100) / np.log(4)
    return np.clip(scaled, -1, 1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Mix:
    """(encoder + encoder_long · r) · logits + (grams + grams_long · r) · n-gram logits + bias.

    r is the text's ``reach``: a long text holds more n-grams that speak for themselves, in a short one the wording
    decides, so neither source is to be believed alike everywhere.
    """

    encoder: float = 1.0
    grams: float = 0.0
    encoder_long: float = 0.0
    grams_long: float = 0.0
    bias: tuple[float, ...] = ()

    def __call__(self, encoder: Array, grams: Array, length: Array | float = 0.0) -> Array:
        """Calibrated logits. ``length``: the ``reach`` of the text, or of each as a column."""
        r = np.asarray(length, np.float32)
        return (
            (np.float32(self.encoder) + np.float32(self.encoder_long) * r) * encoder
            + (np.float32(self.grams) + np.float32(self.grams_long) * r) * grams
            + np.array(self.bias, np.float32)
        )


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """The fitted numbers of all tasks."""

    sentiment: Mix
    topics: Mix
    stance: Mix
    ad: Mix
    alone: Mix
    """The company of a post that names one: its own logits beside the post's calibrated ones."""
    among: Mix
    """A company among several, the same."""
    thresholds: tuple[float, ...]
    """Of each topic."""
    others: tuple[Mix, ...]
    """Sentiment of the other kinds of text."""
    kind: Mix
    """Which kind of text it is."""
    ad_threshold: float = 0.5
    found: float = 0.0
    """Added to the logit of a post about platforms when the text itself was found to name a company."""

    @classmethod
    def of(cls, values: dict[str, Any]) -> Fusion:
        """From JSON values. Raises ``KeyError`` or ``TypeError`` when they are not of this shape."""
        single = ("sentiment", "topics", "stance", "ad", "alone", "among", "kind")
        return cls(
            **{name: Mix(**values[name]) for name in single},
            others=tuple(Mix(**each) for each in values["others"]),
            thresholds=tuple(map(float, values["thresholds"])),
            ad_threshold=float(values["ad_threshold"]),
            found=float(values["found"]),
        )

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    def by_kind(self, encoder: Array, wide: Array, length: Array) -> Array:
        """Probabilities, posts × kinds of text × sentiments: what each post is if it is of that kind."""
        own = [softmax(self.sentiment(encoder[:, 0], wide[:, COLUMNS["sentiment"]], length[:, None]))]
        for k, (name, mix) in enumerate(zip(DOMAINS[1:], self.others, strict=True), 1):
            own.append(softmax(mix(encoder[:, k], wide[:, COLUMNS[name]])))
        return np.stack(own, 1)

    def kinds(self, domain: Array, wide: Array, named: NDArray[np.int64]) -> Array:
        """Logits, posts × kinds of text. ``named`` is ``UNNAMED``, ``FOUND`` (a company was found in the text) or
        ``GIVEN`` (it is known to be about a company: a post about platforms, whatever it looks like)."""
        logits = np.array(self.kind(domain, wide[:, COLUMNS["domain"]]))
        logits[named == FOUND, 0] += self.found
        logits[named == GIVEN, 0] = np.inf
        return logits

    def sentiments(
        self, encoder: Array, domain: Array, wide: Array, named: NDArray[np.int64], length: Array
    ) -> Array:
        """Probabilities, posts × sentiments: each as what it most probably is.

        ``wide`` holds all columns of the n-grams, ``length`` the ``reach`` of each text.
        """
        best = self.kinds(domain, wide, named).argmax(1)
        chosen: Array = self.by_kind(encoder, wide, length)[np.arange(len(best)), best]
        return chosen

    def of_posts(self, encoder: Mapping[str, Array], wide: Array, length: Array) -> dict[str, Array]:
        """Calibrated logits of topics, stance and advert, each posts × its outputs; ``encoder`` holds the network's."""
        return {
            task: getattr(self, task)(encoder[task], wide[:, COLUMNS[task]], length[:, None])
            for task in POST_TASKS
        }

    def entities(self, encoder: Array, post: Array, several: bool) -> Array:
        """Probabilities, names × sentiments, of one post's companies; ``post`` holds its sentiment."""
        mix = self.among if several else self.alone
        return softmax(mix(encoder, np.log(np.maximum(post, np.float32(1e-6)))))


def sigmoid(x: Array) -> Array:
    """Logistic function, safe for any logit."""
    result: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return result
