"""Quality floors of the shipped model, on authored posts that it was neither trained nor tuned on.

A floor is a little below what was measured when the weights were made: a change that falls through it made the
model worse, whatever else it made better. The posts are pinned by digest, so that the floors mean something.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nlp.corpus import Example
from nlp.evaluate import by_grams, by_model
from nlp.runtime import Runtime
from nlp.scores import Scores, score

EVALUATION = Path(__file__).parent / "authored_eval.jsonl"
DIGEST = "5950816046f1df5a6351b16aa7c44497a9097a24b6a06091821f499d52d70a33"
FLOORS = {
    "accuracy": 0.67,
    "macro_f1": 0.60,
    "topics_micro_f1": 0.56,
    "topics_macro_f1": 0.53,
    "stance_accuracy": 0.71,
    "accused_f1": 0.70,
}


@pytest.fixture(scope="module")
def measured(runtime: Runtime, authored: list[Example]) -> Scores:
    return score(authored, by_model(runtime, authored))


def test_the_posts_are_the_ones_the_floors_were_set_on() -> None:
    assert hashlib.sha256(EVALUATION.read_bytes()).hexdigest() == DIGEST


@pytest.mark.parametrize("name", FLOORS)
def test_floor(measured: Scores, name: str) -> None:
    assert getattr(measured, name) >= FLOORS[name]


def test_confidence_is_honest(measured: Scores) -> None:
    assert measured.ece is not None and measured.ece < 0.09


def test_the_encoder_earns_its_place(runtime: Runtime, authored: list[Example], measured: Scores) -> None:
    grams = score(authored, by_grams(runtime, authored))
    assert measured.macro_f1 is not None and grams.macro_f1 is not None
    assert measured.macro_f1 >= grams.macro_f1
    assert (measured.topics_micro_f1 or 0) >= (grams.topics_micro_f1 or 0)
