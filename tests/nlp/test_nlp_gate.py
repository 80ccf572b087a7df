"""Quality floors of the shipped model, on posts of the package that it was neither trained nor tuned on.

A floor is a little below what was measured when the weights were made: a change that falls through it made the
model worse, whatever else it made better. The posts are pinned by digest, so that the floors mean something.
"""

from __future__ import annotations

import hashlib

import pytest

from nlp.adapt import replayed
from nlp.corpus import Example
from nlp.evaluate import by_grams, by_model
from nlp.runtime import Runtime
from nlp.scores import Scores, table

DIGEST = "03554369dc24b3eb9f117d551fce691be99d2e9e500a04c41e5d49e4ee75b662"
FLOORS: dict[str, dict[str, float]] = {
    "authored_posts": {
        "accuracy": 0.79,
        "macro_f1": 0.77,
        "topics_micro_f1": 0.67,
        "topics_macro_f1": 0.64,
        "stance_accuracy": 0.80,
        "accused_f1": 0.79,
    },
    "written_posts": {
        "accuracy": 0.81,
        "macro_f1": 0.79,
        "topics_micro_f1": 0.63,
        "topics_macro_f1": 0.62,
        "stance_accuracy": 0.79,
        "accused_f1": 0.66,
    },
    "authored_posts/contrast": {"accuracy": 0.79, "topics_micro_f1": 0.72, "accused_f1": 0.71},
    "written_posts/contrast": {"accuracy": 0.80, "topics_micro_f1": 0.61, "accused_f1": 0.60},
    "labelled/denial": {"accuracy": 0.80, "topics_micro_f1": 0.68, "stance_accuracy": 0.74},
    "labelled/question": {"accuracy": 0.91, "topics_micro_f1": 0.61, "stance_accuracy": 0.92},
    "labelled/two_companies": {"accuracy": 0.85, "topics_micro_f1": 0.62, "accused_f1": 0.56},
}
LIMITS = {"authored_posts": (0.05, 0.01), "written_posts": (0.04, 0.01)}
"""Calibration errors that are still borne: of the sentiment, of the topics."""


@pytest.fixture(scope="module")
def held_out() -> list[Example]:
    return sorted(replayed().test, key=lambda example: (example.set, example.key))


@pytest.fixture(scope="module")
def measured(runtime: Runtime, held_out: list[Example]) -> dict[str, Scores]:
    return table(held_out, by_model(runtime, held_out))


def test_the_posts_are_the_ones_the_floors_were_set_on(held_out: list[Example]) -> None:
    rows = "\n".join(f"{example.set} {example.key} {example.row}" for example in held_out)
    assert hashlib.sha256(rows.encode()).hexdigest() == DIGEST


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, each in FLOORS.items() for name in each])
def test_floor(measured: dict[str, Scores], part: str, name: str) -> None:
    assert getattr(measured[part], name) >= FLOORS[part][name]


@pytest.mark.parametrize("part", LIMITS)
def test_confidence_is_honest(measured: dict[str, Scores], part: str) -> None:
    sentiment, topics = measured[part].ece, measured[part].topics_ece
    assert sentiment is not None and sentiment < LIMITS[part][0]
    assert topics is not None and topics < LIMITS[part][1]


@pytest.mark.parametrize("part", ["authored_posts", "written_posts"])
# Of the accused only the precision: n-grams accuse every company that a negative post names, and so miss none.
@pytest.mark.parametrize(
    "name", ["accuracy", "macro_f1", "topics_micro_f1", "stance_accuracy", "accused_precision"]
)
def test_the_encoder_earns_its_place(
    runtime: Runtime, held_out: list[Example], measured: dict[str, Scores], part: str, name: str
) -> None:
    mine = [example for example in held_out if example.set == part]
    grams = table(mine, by_grams(runtime, mine))[part]
    assert getattr(measured[part], name) >= getattr(grams, name)
