"""Scores of judgements against labels: accuracy, F1 by class, topics, accused companies, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp.corpus import LABELLED, Example
from nlp.labels import SENTIMENTS, TOPICS
from nlp.slices import SLICES

RESAMPLES, BLOCK, SEED = 1_000, 50, 20_240_601


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
    intervals: dict[str, tuple[float, float]] | None = None
    """95 % bootstrap intervals of the main scores, by their names."""

    def values(self) -> dict[str, Any]:
        """As JSON values, rounded, without what is not known."""
        return {k: _rounded(v) for k, v in asdict(self).items() if v is not None}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_rounded(v) for v in value]
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
    # A set of reviews has no neutral ones: a class without a case has no F1.
    each = {name: f1(truth == k, best == k) for k, name in enumerate(SENTIMENTS) if (truth == k).any()}
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
    """Indices by set, by contrast group and form where a set has them; of the labelled sets also all together, and by
    ``nlp.slices``."""
    result: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        name = example.set.removesuffix(".train")
        names = [name]
        if example.group:
            names.append(f"{name}/contrast")
        if example.form:
            names.append(f"{name}/{example.form}")
        if example.set in LABELLED:
            names += [
                "labelled",
                *(f"labelled/{each}" for each, belongs in SLICES.items() if belongs(example)),
            ]
        for each in names:
            result.setdefault(each, []).append(i)
    return result


def intervals(examples: Sequence[Example], told: Sequence[Told]) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of the main scores (1,000 resamples of whole posts, seeded), by the names of ``Scores``.

    Scores that the labels or the classifier do not give are left out. Posts of one contrast group are drawn apart
    from each other, so that the interval of such a set is a little too narrow.
    """
    counted = _counts(examples, told)
    rng = np.random.default_rng(SEED)
    share = np.full(len(examples), 1 / len(examples))
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in counted}
    for _ in range(RESAMPLES // BLOCK):
        weights = rng.multinomial(len(examples), share, size=BLOCK).astype(np.float64)
        for name, counts in counted.items():
            drawn[name].append(_from_counts(name, weights @ counts))
    return {
        name: (float(low), float(high))
        for name, values in drawn.items()
        for low, high in [np.percentile(np.concatenate(values), [2.5, 97.5])]
    }


def _counts(examples: Sequence[Example], told: Sequence[Told]) -> dict[str, NDArray[np.float64]]:
    """For each score a row a post, whose sums make the score: right and all, or (hits, true, said) a class."""
    masks = np.array([e.sentiment for e in examples])
    best = np.array([int(np.argmax(t.sentiment)) for t in told])
    counted: dict[str, list[list[float]]] = {}
    if (masks.sum(1) == 1).all():
        truth = masks.argmax(1)
        counted["accuracy"] = [[float(t == b), 1.0] for t, b in zip(truth, best, strict=True)]
        classes = sorted(set(truth.tolist()))
        counted["macro_f1"] = [
            [float(x) for k in classes for x in (t == k == b, t == k, b == k)]
            for t, b in zip(truth, best, strict=True)
        ]
    else:
        sure = masks[:, 0] & (masks.sum(1) == 1)
        counted["accuracy"] = [[float(t == (b == 0)), 1.0] for t, b in zip(sure, best, strict=True)]
        counted["negative_f1"] = [
            [float(t and b == 0), float(t), float(b == 0)] for t, b in zip(sure, best, strict=True)
        ]
    if examples[0].set in LABELLED and told[0].topics is not None:
        pairs = [(set(e.topics or ()), set(t.topics or ())) for e, t in zip(examples, told, strict=True)]
        counted["topics_micro_f1"] = [[len(t & s), len(t), len(s)] for t, s in pairs]
    if told[0].entities is not None and any(e.entities for e in examples):
        counted["accused_f1"] = [_accused_counts(e, t) for e, t in zip(examples, told, strict=True)]
    return {name: np.array(rows, float) for name, rows in counted.items()}


def _accused_counts(example: Example, answer: Told) -> list[float]:
    truth = [mask == (True, False, False) for _, mask in example.entities]
    said = [int(np.argmax(p)) == 0 for p in answer.entities or ()]
    return [sum(t and s for t, s in zip(truth, said, strict=True)), sum(truth), sum(said)]


def _from_counts(name: str, sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The score of each resample (a row of sums)."""
    if name == "accuracy":
        return sums[:, 0] / sums[:, 1]
    parts = sums.reshape(len(sums), -1, 3)
    both = parts[..., 1] + parts[..., 2]
    each = np.divide(2 * parts[..., 0], both, out=np.zeros_like(both), where=both > 0)
    return np.asarray(each.mean(axis=1))


def table(examples: Sequence[Example], told: Sequence[Told], *, bootstrap: bool = False) -> dict[str, Scores]:
    """Scores of every slice, with their ``intervals`` when asked."""
    made = {}
    for name, rows in sorted(slices(examples).items()):
        some, answers = [examples[i] for i in rows], [told[i] for i in rows]
        made[name] = score(some, answers)
        if bootstrap:
            made[name] = replace(made[name], intervals=intervals(some, answers))
    return made
