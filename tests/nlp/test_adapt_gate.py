"""The gate: harmless differences pass, falls are named with their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nlp import gate
from nlp.corpus import ANY, Example, only
from nlp.labels import SENTIMENTS
from nlp.scores import Told


def labelled(count: int, rng: np.random.Generator) -> list[Example]:
    return [
        Example(
            set="authored_posts",
            key=str(i),
            text=f"帖{i}",
            sentiment=only(SENTIMENTS[int(rng.integers(3))]),
            topics=tuple(sorted(set(rng.integers(0, 5, 2).tolist()))),
            stance=int(rng.integers(4)),
            ad=bool(rng.random() < 0.2),
            entities=(("甲", only("negative")), ("乙", only("neutral"))),
            form="weibo" if i % 2 else "news",
        )
        for i in range(count)
    ]


def told(examples: list[Example], rng: np.random.Generator, right: float) -> list[Told]:
    """A classifier that is right so often, and else says anything."""
    found = []
    for e in examples:
        good = rng.random() < right
        best = e.sentiment.index(True) if good else int(rng.integers(3))
        found.append(
            Told(
                sentiment=[0.9 if k == best else 0.05 for k in range(3)],
                topics=e.topics if good else (7,),
                stance=e.stance if good else 3,
                ad=e.ad if good else False,
                entities=[[0.9, 0.1, 0.0] if good else [0.1, 0.9, 0.0], [0.1, 0.9, 0.0]],
            )
        )
    return found


def test_the_same_model_never_falls() -> None:
    rng = np.random.default_rng(1)
    examples = labelled(200, rng)
    same = told(examples, rng, 0.7)
    compared = gate.compare(examples, same, same, name="通用帖", apart=True)
    assert compared and not any(each.fell for each in compared)
    assert {each.before for each in compared} == {each.after for each in compared} or all(
        each.before == each.after for each in compared
    )
    assert {each.part for each in compared} >= {
        "通用帖", "通用帖·authored_posts/weibo", "通用帖·authored_posts/news", "通用帖·labelled/denial",
    }  # fmt: skip


def test_a_worse_model_is_named_task_by_task() -> None:
    rng = np.random.default_rng(2)
    examples = labelled(300, rng)
    falls = [
        each
        for each in gate.compare(examples, told(examples, rng, 0.8), told(examples, rng, 0.5), name="通用帖")
        if each.fell
    ]
    assert {each.task for each in falls} >= {"情感准确率", "话题微F1", "立场准确率", "被指公司F1"}
    text = str(falls[0])
    assert "通用帖" in text and f"{falls[0].before:.3f}" in text and f"{falls[0].after:.3f}" in text


def test_a_fall_of_one_slice_alone_is_seen() -> None:
    rng = np.random.default_rng(3)
    examples = labelled(400, rng)
    good = told(examples, rng, 0.8)
    bad = [replace(t, stance=2) if e.form == "news" else t for e, t in zip(examples, good, strict=True)]
    compared = gate.compare(examples, good, bad, name="x", apart=True)
    fell = {each.part for each in compared if each.fell}
    assert fell >= {"x", "x·authored_posts/news"} and "x·authored_posts/weibo" not in fell


def test_a_form_that_two_sets_share_is_judged_in_each() -> None:
    rng = np.random.default_rng(7)
    examples = [replace(e, form="news", group="g") for e in labelled(400, rng)]
    examples[200:] = [replace(e, set="written_posts") for e in examples[200:]]
    good = told(examples, rng, 0.8)
    bad = [
        replace(t, stance=2) if e.set == "authored_posts" else t for e, t in zip(examples, good, strict=True)
    ]
    compared = gate.compare(examples, good, bad, name="x", apart=True)
    assert {
        f"x·{name}/{form}" for name in ("authored_posts", "written_posts") for form in ("news", "contrast")
    } <= {each.part for each in compared}
    fell = {each.part for each in compared if each.fell}
    assert {"x·authored_posts/news", "x·authored_posts/contrast"} <= fell
    assert not fell & {"x·written_posts/news", "x·written_posts/contrast"}


def test_harmless_models_mostly_pass() -> None:
    rng = np.random.default_rng(4)
    examples = labelled(200, rng)
    refused = 0
    for _ in range(100):
        compared = gate.compare(examples, told(examples, rng, 0.7), told(examples, rng, 0.7), name="x")
        refused += any(each.fell and each.task == "情感准确率" for each in compared)
    assert refused <= 7, "about one in forty by chance"


@pytest.mark.parametrize("task", ["话题微F1", "被指公司F1", "情感准确率"])
def test_the_allowance_is_two_bootstrapped_standard_errors(task: str) -> None:
    rng = np.random.default_rng(5)
    examples = labelled(300, rng)
    one, two = told(examples, rng, 0.75), told(examples, rng, 0.75)
    (compared,) = [each for each in gate.compare(examples, one, two, name="x") if each.task == task]
    _, sums = gate._TASKS[task]
    old, new = sums(examples, one), sums(examples, two)
    drawn = []
    for _ in range(2000):
        rows = rng.integers(0, 300, 300)
        drawn.append(new[0][rows].sum() / new[1][rows].sum() - old[0][rows].sum() / old[1][rows].sum())
    assert compared.allowed == pytest.approx(gate.WHOLE_Z * np.std(drawn), rel=0.15)


def test_what_is_not_labelled_is_not_measured() -> None:
    rng = np.random.default_rng(6)
    examples = [
        replace(e, sentiment=ANY, topics=None, ad=None, entities=(("甲", ANY),)) for e in labelled(50, rng)
    ]
    compared = gate.compare(
        examples, told(examples_full := labelled(50, rng), rng, 0.9), told(examples_full, rng, 0.9), name="x"
    )
    assert {each.task for each in compared} == {"立场准确率"}
    few = labelled(gate.FEWEST - 1, rng)
    assert gate.compare(few, told(few, rng, 0.9), told(few, rng, 0.1), name="x") == []
