from __future__ import annotations

import time

import pytest

from config.settings import Brand
from nlp.brands import BrandMatcher, as_called, as_written

CLOUD = Brand(
    id="yunqiao",
    name="云桥金融",
    aliases=("云桥", "YQ"),
    products=("云桥宝",),
    not_followed_by=("镇",),
    not_in=("大云桥头",),
)
OTHER = Brand(id="hekou", name="河口贷", aliases=("桥头",))
FIND = BrandMatcher([CLOUD, OTHER]).find


def names(text: str) -> list[tuple[str, str]]:
    return [(m.brand_id, m.name) for m in FIND(text)]


def test_the_longest_name_wins_and_products_name_the_brand() -> None:
    assert names("云桥金融的云桥宝,云桥的") == [
        ("yunqiao", "云桥金融"),
        ("yunqiao", "云桥宝"),
        ("yunqiao", "云桥"),
    ]


def test_words_after_and_around_spare_the_brand() -> None:
    assert names("云桥镇今天下雨") == []
    assert names("我在大云桥头等你") == [("hekou", "桥头")]


def test_what_rules_a_name_out_stands_unbroken_beside_it() -> None:
    for text in ("云桥 镇上的人", "#云桥#镇上", "云桥/镇上", "云桥😡镇上", "大 云桥头条", "大😭云桥头条"):
        assert names(text) == [("yunqiao", "云桥")], text
    for text in ("<em>云桥</em>镇今天下雨", "云桥\u200b镇", "云\u200b桥镇"):
        assert names(text) == [], text
    assert names("大云桥 金融") == [("yunqiao", "云桥 金融")]


def test_a_word_with_a_mark_rules_a_name_out_with_and_without_it() -> None:
    find = BrandMatcher(
        [CLOUD.model_copy(update={"not_in": ("万科·云桥", "云桥-白云山", "云桥 公馆", "小云桥")})]
    ).find
    for text in (
        "万科·云桥二期烂尾",
        "金地·万科云桥",
        "万科 云桥",
        "云桥-白云山徒步",
        "云桥公馆停水",
        "云桥 公馆停水",
    ):
        assert find(text) == [], text
    for text in ("小 云桥", "万科和云桥"):
        assert [mention.name for mention in find(text)] == ["云桥"], text


def test_a_name_that_goes_on_well_beyond_a_longer_word_is_named() -> None:
    find = BrandMatcher([CLOUD.model_copy(update={"not_in": ("白云桥",)})]).find
    for text in ("不明不白云桥金融就扣费", "纯小白 云桥金融提现三天"):
        assert [mention.name for mention in find(text)] == ["云桥金融"], text
    assert find("白云桥宝马店,白云桥") == []


def test_latin_names_are_whole_words() -> None:
    assert names("yq提现") == [("yunqiao", "yq")]
    assert names("YQL语句") == []


def test_evasive_spelling_is_found_and_shown_as_written() -> None:
    for text in (
        "雲橋金融", "云\u200b桥金融", "云·桥金融", "云 桥 金融", "ＹＱ", "云•桥•金融", "云💩桥金融", "云⚡️桥金融",
        "云\u3000桥\u3000金\u3000融", "云\xa0桥金融", "云×桥金融", "云—桥金融", "云\u200b·桥金融", "云桥</em>金融",
        "云·桥",
    ):  # fmt: skip
        (mention,) = FIND(f"听说{text}不行了")
        assert mention.brand_id == "yunqiao"
        assert f"听说{text}不行了"[mention.start : mention.end] == mention.name == text


PLACES = [
    Brand(id="jingdong", name="京东"),
    Brand(id="jushi", name="聚石"),
    Brand(id="cloud", name="云桥"),
    Brand(id="east", name="东方财富"),
]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("北京 东莞 深圳三地通报,北京/东城区", []),
        ("全家团聚 石家庄下雪,腾讯云/桥接模式", []),
        ("云·桥跑路,京-东也是", ["云·桥", "京-东"]),
        ("北京 东方财富,北京 东 京东", ["东方财富", "京东"]),
    ],
)
def test_two_words_side_by_side_do_not_hide_a_name_of_two_characters(text: str, names: list[str]) -> None:
    assert [found.name for found in BrandMatcher(PLACES).find(text)] == names
    assert as_written("北京 东莞的京·东", ("京东",)) == ("京·东",)


def test_names_that_a_text_hides_are_given_as_it_has_them() -> None:
    text = "云·桥 金融跑了，安穗理财还在，河口贷呢"
    assert as_written(text, ("云桥金融", "安穗理财", "河口贷", "别家", "")) == (
        "云·桥 金融",
        "安穗理财",
        "河口贷",
        "别家",
        "",
    )


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("深圳云桥金融信息服务有限公司", "云桥金融"),
        ("云桥平台APP", "云桥"),
        ("云桥科技APP", "云桥科技APP"),
        ("上海云桥(北京)信息服务有限公司", "云桥"),
        ("支付宝(中国)网络技术有限公司", "支付宝"),
        ("lufax公司", "lufax"),
        ("阳光消费金融", "阳光消费金融"),
        ("北京安穗理财", "北京安穗理财"),
        ("上海金融信息服务有限公司", "上海金融信息服务有限公司"),
        ("山寨云桥金融", "山寨云桥金融"),
        ("", ""),
    ],
)
def test_a_full_name_is_given_as_the_text_calls_the_company(name: str, called: str) -> None:
    text = "阳光下云桥金融和安穗理财、支付宝、Lufax都在做金融信息服务"
    assert as_called(text, (name, "安穗理财")) == (called, "安穗理财")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("中国人寿保险公司", "平安人寿保险公司拒赔"),
        ("中国银行股份有限公司", "光大银行股份有限公司被罚"),
        ("上海证券有限责任公司", "平安证券有限责任公司违规"),
        ("江苏金融租赁", "国银金融租赁爆雷了"),
        ("上海农商银行", "常熟农商银行乱扣费"),
        ("老百姓金融", "老百姓的血汗钱"),
        ("老百姓公司", "老百姓的血汗钱"),
        ("消费者金融", "消费者被骗惨了"),
        ("58金融", "扣了58元"),
        ("58公司", "扣了58元"),
        ("京东科技", "京东快递很快"),
    ],
)
def test_what_any_company_is_called_is_no_name_of_one(name: str, text: str) -> None:
    assert as_called(text, (name,)) == (name,)


def test_a_name_without_its_legal_form_is_a_name() -> None:
    for name, called in (
        ("上海农商银行股份有限公司", "上海农商银行"),
        ("中国银行股份有限公司", "中国银行"),
        ("平安证券有限责任公司", "平安证券"),
        ("北京金领贷", "金领贷"),
        ("上海拍拍贷金融信息服务有限公司", "拍拍贷"),
    ):
        assert as_called(f"{called}乱扣费", (name,)) == (called,)


def test_a_name_is_a_brands_when_nothing_in_it_makes_it_anothers() -> None:
    brand_of = BrandMatcher([CLOUD, OTHER]).brand_of
    for name in (
        "云桥金融",
        "云·桥金融APP",
        "雲橋",
        "北京云桥金融信息服务有限公司",
        "云桥宝（云桥金融）",
        " yq ",
    ):
        assert brand_of(name) == "yunqiao", name
    for name in (
        "假云桥金融",
        "山寨云桥宝",
        "云桥金融假客服",
        "大云桥头",
        "云桥镇",
        "云桥和河口贷",
        "无名",
        "",
    ):
        assert brand_of(name) == "", name


def test_no_brands_find_nothing() -> None:
    assert BrandMatcher([]).find("云桥金融") == []


def test_a_long_text_takes_linear_time() -> None:
    began = time.process_time()
    assert len(FIND("云 桥" * 100_000)) == 100_000
    assert time.process_time() - began < 10
