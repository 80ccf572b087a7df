"""Scores of judgements against labels: accuracy, F1 by class, topics, accused companies, calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.corpus import LABELLED, Example
from nlp.labels import SENTIMENTS, TOPICS


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What some classifier says about one example; None where it says nothing."""

    sentiment: Sequence[float]
    """A distribution, or any scores whose largest decides."""
    topics: Sequence[int] | None = None
    topic_probabilities: Sequence[float] | None = None
    stance: int | None = None
    ad: bool | None = None
    entities: Sequence[Sequence[float]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Scores on one slice; None where the labels or the classifier do not say."""

    posts: int
    accuracy: float | None = None
    macro_f1: float | None = None
    sentiment_f1: dict[str, float] | None = None
    negative_f1: float | None = None
    """Negative against the rest: for sets that label only that."""
    ece: float | None = None
    """Expected calibration error of the sentiment, ten equal bins (Guo et al. 2017)."""
    topics_micro_f1: float | None = None
    topics_macro_f1: float | None = None
    topic_f1: dict[str, float] | None = None
    topics_ece: float | None = None
    """The same error over all pairs of post and topic."""
    stance_accuracy: float | None = None
    ad_f1: float | None = None
    accused_f1: float | None = None
    """Companies that the post is negative about, over all named ones."""
    accused_precision: float | None = None
    accused_recall: float | None = None

    def values(self) -> dict[str, Any]:
        """As JSON values, rounded, without what is not known."""
        return {k: _rounded(v) for k, v in asdict(self).items() if v is not None}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def f1(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    """F1 of yes; 0 when there is neither a true nor a said yes."""
    both = truth.sum() + said.sum()
    return float(2 * (truth & said).sum() / both) if both else 0.0


def calibration_error(probability: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence, weighted by their size."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(probability[place == b].mean() - right[place == b].mean()) * (place == b).mean()
        for b in range(bins)
        if (place == b).any()
    ]
    return float(sum(gaps))


def score(examples: Sequence[Example], told: Sequence[Told]) -> Scores:
    """Scores of one slice."""
    parts: dict[str, Any] = {}
    for part in (_sentiment, _topics, _rest, _accused):
        parts |= part(examples, told)
    return Scores(posts=len(examples), **parts)


def _sentiment(examples: Sequence[Example], told: Sequence[Told]) -> dict[str, Any]:
    masks = np.array([e.sentiment for e in examples])
    p = np.array([t.sentiment for t in told], float)
    best = p.argmax(1)
    if not (masks.sum(1) == 1).all():
        sure = masks[:, 0] & (masks.sum(1) == 1)
        return {"negative_f1": f1(sure, best == 0), "accuracy": float((sure == (best == 0)).mean())}
    truth = masks.argmax(1)
    each = {name: f1(truth == k, best == k) for k, name in enumerate(SENTIMENTS)}
    result = {
        "accuracy": float((truth == best).mean()),
        "macro_f1": float(np.mean(list(each.values()))),
        "sentiment_f1": each,
    }
    if np.allclose(p.sum(1), 1, atol=1e-3):
        result["ece"] = calibration_error(p.max(1), truth == best)
    return result


def _topics(examples: Sequence[Example], told: Sequence[Told]) -> dict[str, Any]:
    if examples[0].set not in LABELLED or told[0].topics is None:
        return {}
    truth, said = np.zeros((2, len(examples), len(TOPICS)), bool)
    for i, (example, answer) in enumerate(zip(examples, told, strict=True)):
        truth[i, list(example.topics or ())] = True
        said[i, list(answer.topics or ())] = True
    each = {name: f1(truth[:, k], said[:, k]) for k, name in enumerate(TOPICS) if truth[:, k].any()}
    result: dict[str, Any] = {
        "topics_micro_f1": f1(truth, said),
        "topics_macro_f1": float(np.mean(list(each.values()))) if each else None,
        "topic_f1": each,
    }
    if told[0].topic_probabilities is not None:
        p = np.array([answer.topic_probabilities for answer in told], float)
        result["topics_ece"] = calibration_error(p.ravel(), truth.ravel())
    return result


def _rest(examples: Sequence[Example], told: Sequence[Told]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if examples[0].stance is not None and told[0].stance is not None:
        result["stance_accuracy"] = float(
            np.mean([e.stance == t.stance for e, t in zip(examples, told, strict=True)])
        )
        truth = np.array([bool(e.ad) for e in examples])
        result["ad_f1"] = f1(truth, np.array([bool(t.ad) for t in told])) if truth.any() else None
    return result


def _accused(examples: Sequence[Example], told: Sequence[Told]) -> dict[str, Any]:
    if told[0].entities is None:
        return {}
    pairs = [
        (mask == (True, False, False), int(np.argmax(p)) == 0)
        for example, answer in zip(examples, told, strict=True)
        for (_, mask), p in zip(example.entities, answer.entities or (), strict=True)
    ]
    if not pairs:
        return {}
    truth, said = np.array(pairs, bool).T
    hits = float((truth & said).sum())
    return {
        "accused_f1": f1(truth, said),
        "accused_precision": hits / max(1.0, float(said.sum())),
        "accused_recall": hits / max(1.0, float(truth.sum())),
    }


def slices(examples: Sequence[Example]) -> dict[str, list[int]]:
    """Indices by set, contrast groups apart, and by form of the authored posts."""
    result: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        result.setdefault(example.set.removesuffix(".train"), []).append(i)
        if example.group:
            result.setdefault("authored_posts/contrast", []).append(i)
        if example.form:
            result.setdefault(f"authored_posts/{example.form}", []).append(i)
    return result


def table(examples: Sequence[Example], told: Sequence[Told]) -> dict[str, Scores]:
    """Scores of every slice."""
    return {
        name: score([examples[i] for i in rows], [told[i] for i in rows])
        for name, rows in sorted(slices(examples).items())
    }


Classifier = Callable[[Sequence[Example]], list[Told]]
"""Anything that can be scored."""
