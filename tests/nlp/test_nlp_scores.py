from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from nlp.corpus import LABELLED, NOT_NEGATIVE, Example, only
from nlp.labels import STANCES
from nlp.scores import Told, intervals, score, slices
from nlp.slices import SLICES

BASE = Example(set=LABELLED[0], key="1", text="", sentiment=only("neutral"), topics=(), stance=0, ad=False)
NEGATIVE = only("negative")


def example(text: str, **changes: object) -> Example:
    return replace(BASE, text=text, row={"text": text}, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "belongs", "other"),
    [
        ("denial", example("a", stance=STANCES.index("deny")), example("a")),
        ("question", example("a", stance=STANCES.index("ask")), example("a")),
        ("negation", example("云桥金融并未爆雷"), example("云桥金融并未爆雷", sentiment=NEGATIVE)),
        ("negation", example("没有任何逾期"), example("没有钱了,平台逾期")),
        ("negation", example("不存在非法集资"), example("公告没有虚假记载、误导性陈述")),
        ("conditional", example("万一跑路了怎么办"), example("跑路了怎么办")),
        (
            "mockery_markers",
            example("恭喜,又打不开了", sentiment=NEGATIVE),
            example("恭喜,五周年了", sentiment=only("positive")),
        ),
        (
            "mockery_markers",
            example("感谢平台教育了我", sentiment=NEGATIVE),
            example("坑", sentiment=NEGATIVE),
        ),
        ("evasive_spelling", example("老板跑🦌,爆lei了"), example("P2P暴雷了,APP打不开")),
        ("evasive_spelling", example("平台的錢兌付不出來了"), example("乾隆年间的平台理财故事")),
        ("evasive_spelling", example("跑\u200b路"), example("👨\u200d👩 一家人")),
        (
            "two_companies",
            example("a", entities=(("甲", NEGATIVE), ("乙", NOT_NEGATIVE))),
            example("a", entities=(("甲", NEGATIVE),)),
        ),
        ("risky_advert", example("逾期代办", ad=True), example("逾期代办")),
        ("long_article", example("长" * 601), example("长" * 600)),
    ],
)
def test_each_slice_holds_what_its_name_says(name: str, belongs: Example, other: Example) -> None:
    assert SLICES[name](belongs) and not SLICES[name](other)


def test_slices_are_by_set_contrast_form_and_kind() -> None:
    made = slices(
        [
            example("并未爆雷", set="authored_posts", group="g1", form="weibo"),
            example("并未爆雷", set="news_sentiment.train"),
            example("平常", set=LABELLED[0]),
        ]
    )
    assert made["authored_posts"] == [0] == made["authored_posts/contrast"] == made["authored_posts/weibo"]
    assert made["labelled"] == [0, 2] and made["labelled/negation"] == [0], (
        "other sets do not have the labels"
    )
    assert made["news_sentiment"] == [1] and made[LABELLED[0].removesuffix(".train")] == [2]


def judged(n: int, right: float) -> tuple[list[Example], list[Told]]:
    rng = np.random.default_rng(1)
    examples, told = [], []
    for i in range(n):
        truth = int(rng.integers(3))
        said = truth if rng.random() < right else (truth + 1) % 3
        masks = (NEGATIVE if truth == 0 else NOT_NEGATIVE,)
        examples.append(
            example(
                str(i),
                sentiment=tuple(k == truth for k in range(3)),
                topics=(truth,),
                entities=(("甲", masks[0]),),
            )
        )
        one = [float(k == said) for k in range(3)]
        told.append(Told(sentiment=one, topics=[said], entities=[one]))
    return examples, told


def test_intervals_hold_the_score_and_narrow_with_more_posts() -> None:
    widths = []
    for n in (100, 1_600):
        examples, told = judged(n, 0.8)
        found, scores = intervals(examples, told), score(examples, told)
        assert set(found) == {"accuracy", "macro_f1", "topics_micro_f1", "accused_f1"}
        for name, (low, high) in found.items():
            assert low < getattr(scores, name) < high
        widths.append(found["accuracy"][1] - found["accuracy"][0])
        assert found == intervals(examples, told), "seeded"
    assert 2.5 < widths[0] / widths[1] < 6, "four times narrower, about"


def test_a_share_of_one_half_has_the_width_of_the_binomial() -> None:
    examples, told = judged(400, 0.5)
    low, high = intervals(examples, told)["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.1)


def test_sets_that_only_say_negative_or_not() -> None:
    examples, told = judged(50, 0.9)
    examples = [replace(e, set="finance_negative.train", sentiment=e.entities[0][1]) for e in examples]
    found, scores = intervals(examples, told), score(examples, told)
    assert set(found) == {"accuracy", "negative_f1", "accused_f1"}
    assert found["negative_f1"][0] <= (scores.negative_f1 or 0) <= found["negative_f1"][1]


def test_intervals_are_cheap() -> None:
    examples, told = judged(2_000, 0.8)
    began = time.process_time()
    intervals(examples, told)
    assert time.process_time() - began < 5
