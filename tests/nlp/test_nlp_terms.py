from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nlp.clean import normalise
from nlp.judgement import Judgement
from nlp.segment import Segmenter
from nlp.terms import Terms
from nlp.wide import Wide


@pytest.fixture(scope="module")
def terms(segmenter: Segmenter) -> Terms:
    return Terms(segmenter)


@pytest.mark.parametrize(
    "text",
    [
        '<p><strong>提现困难</strong>&nbsp;<font color="#ff0000">客服失联</font><br/>',
        '{IMG:1}提现困难<img src="https://a.cn/b.png" alt="">客服失联&#12288;<!-- 广告 -->',
        '<div style="font-size:14px">提现困难</div>客服失联<a href="https://a.cn" target="_blank"> </a>',
        "提现困难 all of them are and our 客服失联",
    ],
)
def test_markup_and_words_that_say_nothing_are_no_keywords(terms: Terms, text: str) -> None:
    assert set(terms.keywords(normalise(text))) == {"提现困难", "客服", "失联"}


@pytest.mark.parametrize(
    "text",
    [
        "气死了//@爱吃鱼的陈晓红:转发//@北漂小周1990:提现困难,客服失联",
        "回复@林志强_深圳:提现困难 @北漂小周 客服失联,气死",
        "[怒][笑cry][doge][允悲]提现困难[二哈],客服失联,气死",
    ],
)
def test_people_who_are_passed_on_and_pictures_are_no_keywords(terms: Terms, text: str) -> None:
    found = terms.keywords(normalise(text))
    assert {"提现困难", "失联", "客服", "气死"} >= set(found) >= {"提现困难", "失联"}


def test_a_company_that_is_spoken_to_and_what_follows_at_once_stay(terms: Terms) -> None:
    assert set(terms.keywords("@云桥金融 提现困难", ["云桥金融"])) == {"云桥金融", "提现困难"}
    assert "提现困难" in terms.keywords("@监管部门请各位领导严查这家公司提现困难的事情")


def test_regulators_are_words_and_what_was_guessed_once_is_none(terms: Terms) -> None:
    text = "已向银保监会投诉，银保监局和国家金融监督管理总局受理，网信办没回，经理刘芳芳"
    found = terms.keywords(text)
    assert {"银保监会", "银保监局", "国家金融监督管理总局", "网信办"} <= set(found)
    assert not {"保监会", "保监局", "刘芳芳"} & set(found)
    assert "刘芳芳" in terms.keywords("经理刘芳芳说提现困难，找刘芳芳")


def test_words_between_less_and_more_stay(terms: Terms) -> None:
    assert "收益" in terms.keywords("年化<收益>通胀")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("陸金所提现困难", "陸金所"),
        ("陆金所提现困难", "陸金所"),
        ("E租宝提现困难", "e租宝"),
        ("宜\u200b人\u200b贷提现困难", "宜\u200b人\u200b贷"),
        ("ＰａｙＰａｌ提现困难", "paypal"),
    ],
)
def test_a_name_in_another_script_or_case_is_shown_whole_as_given(terms: Terms, text: str, name: str) -> None:
    assert set(terms.keywords(normalise(text), [name])) == {name, "提现困难"}


def test_a_name_within_another_does_not_cut_it(terms: Terms) -> None:
    assert set(terms.keywords("云桥金融提现困难", ["云桥", "云桥金融"])) == {"云桥金融", "提现困难"}


def _negative(text: str) -> Judgement:
    return Judgement(
        sentiment=(0.9, 0.05, 0.05), topics=(), stance=(), ad=0.0, entities=(), decided=(), is_ad=False,
        read=normalise(text),
    )  # fmt: skip


class Loud(Wide):
    """Every character speaks as loudly."""

    def __init__(self) -> None:
        pass

    def carriers(self, text: str, outputs: Sequence[int]) -> np.ndarray:
        return np.ones(len(text), np.float32)


def test_markup_and_pieces_of_names_decide_nothing(terms: Terms) -> None:
    text = "<font>陸金所</font>提现困难&nbsp;"
    judged = _negative(text)
    assert terms.decisive(text, judged, Loud(), ["陸金所"]) == ("提现困难",)


def test_quantities_are_neither_keywords_nor_decisive(terms: Terms) -> None:
    text = "排队十分钟，三百名老百姓提现困难，第六次，亏了四十多万，零钱冻结"
    assert {"提现困难", "老百姓", "零钱"} <= set(terms.keywords(text))
    judged = _negative(text)
    assert not {"十分钟", "三百名", "第六次", "四十多万"} & {
        *terms.keywords(text),
        *terms.decisive(text, judged, Loud()),
    }


def test_a_word_that_was_only_guessed_decides_nothing(terms: Terms, segmenter: Segmenter) -> None:
    text = "李兆民卷款跑路"
    assert "李兆民" in segmenter.tokens(text)
    assert terms.decisive(text, _negative(text), Loud()) == ("卷款跑路",)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("捲款跑路，提現困難，涉嫌詐騙", {"捲款跑路", "提現困難", "詐騙"}),
        ("爆lei了，提.现难，失\u200b联，老板跑🦌", {"爆lei", "提.现", "失\u200b联", "跑🦌"}),
        ("TX不了，卷款跑lu，非法集zi", {"TX不了", "跑lu", "非法集zi"}),
    ],
)
def test_words_that_a_post_hides_are_given_as_it_writes_them(
    terms: Terms, text: str, marked: set[str]
) -> None:
    decisive = terms.decisive(text, _negative(text), Loud())
    assert marked <= set(decisive) and all(word in text for word in decisive)


class Softer(Wide):
    """The first four characters speak, the others as loudly as they are told to."""

    def __init__(self, rest: float) -> None:
        self._rest = rest

    def carriers(self, text: str, outputs: Sequence[int]) -> np.ndarray:
        return np.where(np.arange(len(text)) < 4, 1.0, self._rest).astype(np.float32)


def test_what_speaks_faintly_beside_the_loudest_word_is_not_shown(terms: Terms) -> None:
    text = "提现困难被推到风口浪尖"
    judged = _negative(text)
    assert terms.decisive(text, judged, Softer(0.1)) == ("提现困难",)
    assert "风口浪尖" in terms.decisive(text, judged, Softer(0.5))
