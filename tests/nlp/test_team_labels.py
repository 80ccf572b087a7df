"""What a person writes into a row, in any of the ways people do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nlp.corpus import ANY, NOT_NEGATIVE, only
from nlp.labels import STANCES, TOPICS
from nlp.team_labels import BadLabel, Label, example, read, topic_words

WORDS = topic_words(
    {
        "withdrawal_difficulty": "提现困难/兑付逾期",
        "fraud": "诈骗/骗局",
        "rumor": "谣言/骗局",
        "usury": "高利贷",
    }
)


def row(**values: Any) -> Label:
    return read(values, WORDS)


def reasons(values: dict[str, Any]) -> list[str]:
    with pytest.raises(BadLabel) as caught:
        read(values, WORDS)
    return caught.value.reasons


def test_the_sheet_and_the_contract_mean_the_same() -> None:
    sheet = read(
        {
            "编号": "7", "正文": "云桥提现难", "公司": "云桥、河口贷", "模型：情感": "中性",
            "情感（负面/中性/正面）": " 负面 ", "话题（用、隔开，没有写 无）": "兑付逾期，诈骗",
            "立场（断言/否认/询问/其他）": "断言", "广告（是/否）": "FALSE", "负面指向（…）": "云桥", "备注": "",
        },
        WORDS,
    )  # fmt: skip
    contract = row(
        id="7", text="云桥提现难", entities=["云桥", "河口贷"], sentiment="negative",
        topics=["withdrawal_difficulty", "fraud"], stance="assert", ad=False, negative_about=["云桥"],
    )  # fmt: skip
    assert sheet == contract


def test_nothing_and_none_are_not_the_same() -> None:
    empty = row(text="x", sentiment="", topics=None, negative_about="  ")
    assert empty.empty and empty.topics is None and empty.negative_about is None
    none = row(text="x", topics="无", negative_about=[])
    assert none.topics == () and none.negative_about == () and not none.empty


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = reasons(
        {"sentiment": "坏", "topics": ["提现困南", "骗局"], "ad": "可能", "stance": 3, "text": ["x"]}
    )
    assert len(found) == 6
    assert any("是不是想写 提现困难" in reason for reason in found)
    assert any("没有话题“骗局”" in reason for reason in found), "two topics share this part of a name"


def test_a_mistyped_key_is_a_mistake_and_a_foreign_column_is_not() -> None:
    assert "是不是想写 sentiment" in reasons({"text": "x", "sentimant": "negative"})[0]
    assert row(text="x", likes=3, 序号=1, sentiment="neutral").sentiment == "neutral"


@pytest.mark.parametrize(
    "heading, meant",
    [("负面指向公司", "负面指向"), ("情绪", "情感"), ("情感倾向（三类）", "情感"), ("话 题", "话题")],
)
def test_a_mistyped_heading_is_a_mistake(heading: str, meant: str) -> None:
    assert f"是不是想写 {meant}" in reasons({"正文": "x", heading: "负面"})[0]


def test_the_sheets_own_columns_are_no_mistakes() -> None:
    for heading in ("序号", "发布时间", "平台", "网址", "为什么选它", "模型：情感", "模型：负面指向"):
        assert read({"正文": "x", "情感": "负面", heading: "x"}, WORDS).sentiment == "negative"


def test_two_columns_of_one_meaning_are_refused() -> None:
    (reason,) = reasons({"正文": "x", "情感（张三）": "负面", "情感（李四）": ""})
    assert "张三" in reason and "李四" in reason
    assert "两列都是情感" in reasons({"text": "x", "sentiment": "neutral", "情感": "中性"})[0]


def test_neutral_posts_accuse_nobody() -> None:
    assert "中性" in reasons({"sentiment": "neutral", "negative_about": ["云桥"]})[0]


def test_hostile_cells_are_shown_in_one_short_line() -> None:
    (reason,) = reasons({"sentiment": "\x1b[31m" + "很\n坏" * 50})
    assert "\x1b" not in reason and "\n" not in reason and len(reason) < 80
    assert "最多" in reasons({"negative_about": "、".join(map(str, range(99)))})[0]


def test_a_list_of_many_companies_is_no_mistake_of_whoever_reads_it() -> None:
    names = [f"{n}号贷" for n in range(40)]
    listed = read({"正文": "网贷榜单", "公司": "、".join(names), "情感": ""}, WORDS)
    assert listed.entities == tuple(names) and listed.empty
    accused = replace(listed, negative_about=("39号贷",))
    made = example(accused, lambda _: [])
    assert made and made.entities[0] == ("39号贷", only("negative")), "training reads the first of them alone"


def test_what_was_not_said_is_masked_in_training() -> None:
    made = example(row(text="云桥和河口贷", topics=["fraud"]), lambda _: ["云桥", "河口贷"])
    assert made is not None
    assert made.sentiment == ANY and made.stance is None and made.ad is None
    assert made.topics == (TOPICS.index("fraud"),)
    assert [mask for _, mask in made.entities] == [ANY, ANY]


def test_companies_are_left_open_as_far_as_the_label_leaves_them() -> None:
    def masks(**labels: Any) -> list[tuple[bool, ...]]:
        made = example(row(text="云桥和河口贷", entities=["云桥", "河口贷"], **labels), lambda _: [])
        assert made is not None
        return [mask for _, mask in made.entities]

    assert masks(sentiment="negative", negative_about=["云桥"]) == [only("negative"), NOT_NEGATIVE]
    assert masks(sentiment="neutral") == [only("neutral")] * 2
    assert masks(sentiment="negative") == [ANY, ANY]
    assert masks(negative_about="无", stance="ask") == [NOT_NEGATIVE] * 2
    single = example(row(text="云桥跑了", sentiment="negative", stance="assert"), lambda _: ["云桥"])
    assert single and single.entities == (("云桥", only("negative")),)
    assert single.stance == STANCES.index("assert")


def test_an_accused_company_needs_no_column_of_its_own() -> None:
    made = example(row(text="无名平台跑了", negative_about=["无名平台"]), lambda _: [])
    assert made and made.entities == (("无名平台", only("negative")),)


def test_an_accused_company_is_accused_in_every_spelling() -> None:
    text = "云桥金服提现三天不到账，河口贷也拖。云桥就是骗子平台"
    label = row(text=text, entities=["云桥金服", "河口贷"], sentiment="negative", negative_about=["云桥"])
    brands = {"云桥金服": "yunqiao", "云桥": "yunqiao", "云桥金融": "yunqiao"}

    def masks(label: Label, brand_of: dict[str, str]) -> dict[str, tuple[bool, ...]]:
        made = example(label, lambda _: [], lambda name: brand_of.get(name, ""))
        assert made is not None
        return dict(made.entities)

    other = {"河口贷": NOT_NEGATIVE}
    assert masks(label, brands) == {"云桥金服": only("negative"), "云桥": only("negative")} | other
    unwatched = {"云桥金服": ANY, "云桥": only("negative")}
    assert masks(label, {}) == unwatched | other, "who knows whether the longer name is another company"
    absent = replace(label, negative_about=("云桥金融",))
    assert masks(absent, brands) == {"云桥金服": only("negative")} | other, "no name that is not in the text"
    both = replace(label, entities=("云桥金服", "云桥"), negative_about=None)
    assert set(masks(both, brands).values()) == {only("negative")}, "two spellings are a single company"


def test_rows_that_teach_nothing_are_no_examples() -> None:
    assert example(row(text="", sentiment="negative"), lambda _: []) is None
    assert example(row(text="有话"), lambda _: []) is None
