"""What goes into the classifier and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlp.labels import SENTIMENTS, STANCES

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A text to judge, as written, and the names to judge it about."""

    text: str
    title: str = ""
    entities: tuple[str, ...] = ()
    found: bool = False
    """The entities were found in the text by us; whoever asks did not name them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the model makes of one item; probabilities are calibrated, in the order of ``nlp.labels``."""

    sentiment: tuple[float, ...]
    topics: tuple[float, ...]
    stance: tuple[float, ...]
    ad: float
    entities: tuple[tuple[float, ...], ...]
    """One distribution over sentiments for each given name."""
    decided: tuple[int, ...]
    """Indices of the topics decided on, most probable first."""
    is_ad: bool
    read: str
    """The text as the model read it."""

    @property
    def best(self) -> str:
        """The most probable sentiment."""
        return SENTIMENTS[self.sentiment.index(max(self.sentiment))]

    @property
    def best_stance(self) -> str:
        """The most probable stance."""
        return STANCES[self.stance.index(max(self.stance))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Logits:
    """Raw outputs for one text; what ``nlp.tune`` calibrates on."""

    sentiment: Array
    domain: Array
    topics: Array
    stance: Array
    ad: Array
    entity: Array
    wide: Array
