"""One paragraph of a long article is heard, wherever it stands."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from nlp.judgement import Item, Judgement
from nlp.labels import TOPICS
from nlp.passages import LONGEST, heard, passages
from nlp.runtime import Runtime

OTHER = (
    "全国秋粮收购进展顺利，各地粮库严格执行质价标准，种粮农民售粮有序。气象部门预计下周北方将有一次降温过程。"
)
ACCUSED = (
    "云桥金融大量投资者反映提现困难，账户余额无法取出，客服失联。警方已对云桥金融立案侦查，投资者在公司门口讨要本金。"
    "多名投资人说云桥金融拖了三个月不还钱，合同里写的到期兑付根本没有兑现，负责人也已经跑路，血汗钱拿不回来。"
    "有人把云桥金融告到了法院，要求退还全部本金。"
)


def judgement(negative: float, topics: dict[int, float], names: int = 1) -> Judgement:
    return Judgement(
        sentiment=(0.0, 1.0, 0.0),
        topics=tuple(topics.get(k, 0.01) for k in range(len(TOPICS))),
        stance=(1.0, 0.0, 0.0, 0.0),
        ad=0.0,
        entities=((negative, round(1 - negative, 5), 0.0),) * names,
        decided=(),
        is_ad=False,
        read="",
    )


@pytest.mark.parametrize("text", ["", "短", OTHER * 40, "无标点" * 900, "。" * 700, "a；" * 400 + "长" * 777])
def test_passages_are_the_text_and_short_enough(text: str) -> None:
    found = passages(text)
    assert "".join(found) == text and all(0 < len(each) <= LONGEST for each in found)


def test_only_what_is_sure_is_heard() -> None:
    limits = (0.5,) * len(TOPICS)
    whole = judgement(0.1, {}, names=2)
    sure, doubtful = judgement(0.9, {3: 0.8, 4: 0.6}), judgement(0.7, {5: 0.9})
    made = heard(whole, ("甲", "乙"), [(("乙",), sure), (("甲",), doubtful)], limits)
    assert [p[0] for p in made.entities] == [0.1, 0.9] and made.decided == (3,)
    assert made.topics[3] == 0.8 and made.topics[4] == made.topics[5] == 0.01


def test_a_topic_is_told_as_the_passage_tells_it() -> None:
    limits = (0.5,) * len(TOPICS)
    other, ask = (0.1, 0.0, 0.0, 0.9), (0.1, 0.0, 0.9, 0.0)
    sure = judgement(0.9, {3: 0.8})  # its stance is assert
    for stance, told in ((other, "assert"), (ask, "ask")):
        whole = replace(judgement(0.1, {}), stance=stance)
        assert heard(whole, ("甲",), [(("甲",), sure)], limits).best_stance == told
    calm = replace(judgement(0.1, {}), stance=other)
    assert heard(calm, ("甲",), [(("甲",), judgement(0.9, {}))], limits).best_stance == "other"


@pytest.mark.parametrize("before", [0, 20, 50])
def test_a_paragraph_is_heard_wherever_it_stands(runtime: Runtime, before: int) -> None:
    text = OTHER * before + ACCUSED + OTHER * (50 - before)
    names = ("云桥金融", "不在文中")
    (judged,) = runtime.judge([Item(text=text, entities=names)])
    assert judged.entities[0][0] > 0.8 > judged.entities[1][0]
    (without,) = runtime.judge([Item(text=OTHER * 50 + "云桥金融。", entities=names)])
    assert without.entities[0][0] < 0.5 and without.decided == ()


def test_a_huge_text_that_names_many_is_judged_in_time(runtime: Runtime) -> None:
    names = tuple(f"名{i}贷" for i in range(300))
    began = time.monotonic()
    runtime.judge([Item(text="提现失败".join(names) * 20, entities=names)])
    assert time.monotonic() - began < 20
