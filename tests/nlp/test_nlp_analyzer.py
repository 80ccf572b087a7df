from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from config.settings import Brand
from domain.assessment import EntityJudgement, Sentiment
from domain.post import Author, Engagement, Post, Tier, post_id
from nlp.analyzer import Analyzer, background, influence
from nlp.corpus import Example
from nlp.runtime import Runtime
from nlp.segment import Segmenter
from nlp.stories import Stories
from store.stories.sqlite import SqliteStories

NOW = datetime(2026, 6, 1, 2, tzinfo=UTC)
BRANDS = [
    Brand(id="yunqiao", name="云桥金融", aliases=("云桥",)),
    Brand(id="dingdu", name="鼎渡财富", kind="competitor"),
]


def post(text: str, **more: Any) -> Post:
    native = more.pop("native_id", text)
    plain = {"platform": "weibo", "source": "weibo", "published_at": NOW, "fetched_at": NOW}
    return Post(id=post_id("weibo", native), native_id=native, text=text, **(plain | more))


@pytest.fixture
def analyzer(runtime: Runtime, segmenter: Segmenter) -> Analyzer:
    return Analyzer(
        runtime=runtime,
        segmenter=segmenter,
        brands=BRANDS,
        stories=Stories(SqliteStories(None)),
        about={"yq-board": "yunqiao"},
        risk_words=("提现", "跑路"),
    )


CRISIS = "云桥金融提现三天了还没到账,客服失联,云桥是不是跑路了,血汗钱还我!"


def test_a_brand_is_judged_once_under_its_first_name(analyzer: Analyzer) -> None:
    (made,) = analyzer.assess([post(CRISIS)])
    assert [(e.brand, e.name) for e in made.entities if e.brand] == [("yunqiao", "云桥金融")]
    assert made.entities[0].sentiment is Sentiment.NEGATIVE and made.entities[0].negative > 0.5
    assert made.sentiment is Sentiment.NEGATIVE
    assert "withdrawal_difficulty" in {topic.id for topic in made.topics}
    assert made.model == analyzer.model and "@" in made.model


def test_what_judgements_depend_on_besides_the_model(analyzer: Analyzer) -> None:
    def told(brand: Brand = BRANDS[0], board: str = "yq-board", word: str = "提现") -> str:
        return background([brand, BRANDS[1]], {board: "yunqiao"}, [word, "跑路"])

    assert told() == analyzer.background
    assert told(BRANDS[0].model_copy(update={"alert": False})) == told(), "whom to alert is no judgement"
    changed = {told(BRANDS[0].model_copy(update={"products": ("云桥宝",)})), told(board="b"), told(word="w")}
    assert len(changed | {told()}) == 4


def test_a_post_on_a_brands_own_board_is_about_that_brand(analyzer: Analyzer) -> None:
    text = "提现都一个礼拜了钱还不到账,客服电话没人接,谁来管管"
    board, elsewhere = analyzer.assess(
        [post(text, source="yq-board"), post(text, source="weibo", native_id="2")]
    )
    (about,) = [entity for entity in board.entities if entity.brand]
    assert about.brand == "yunqiao" and about.negative == pytest.approx(board.probabilities["negative"])
    assert not [entity for entity in elsewhere.entities if entity.brand]


def test_naming_another_brand_on_the_board_stays_with_that_one(analyzer: Analyzer) -> None:
    (made,) = analyzer.assess([post("鼎渡财富提现困难,亏惨了", source="yq-board")])
    assert [entity.brand for entity in made.entities if entity.brand] == ["dingdu"]


def test_a_judgement_stands_until_its_brands_or_its_model_change(
    runtime: Runtime, segmenter: Segmenter, analyzer: Analyzer
) -> None:
    hidden, named, board = post("桥宝宝提现三天没到账"), post(CRISIS), post("提现没到账", source="dd-board")
    alias = BRANDS[0].model_copy(update={"aliases": ("云桥", "桥宝宝")})
    later = Analyzer(
        runtime=runtime,
        segmenter=segmenter,
        brands=[alias, BRANDS[1]],
        stories=Stories(SqliteStories(None)),
        about={"yq-board": "yunqiao", "dd-board": "dingdu"},
    )
    before = analyzer.assess([hidden, named, board])
    pairs = list(zip([hidden, named, board], before, strict=True))
    assert [analyzer.stands(*pair) for pair in pairs] == [True, True, True]
    assert [later.stands(*pair) for pair in pairs] == [False, True, False]
    after = later.again([hidden, board], [before[0], before[2]])
    assert [[e.brand for e in each.entities if e.brand] for each in after] == [["yunqiao"], ["dingdu"]]
    assert later.stands(hidden, after[0]) and not analyzer.stands(hidden, after[0])
    said = EntityJudgement(
        name="他们家", brand="dingdu", sentiment=Sentiment.NEGATIVE, probability=1.0, negative=1.0
    )
    corrected = replace(after[0], entities=(*after[0].entities, said), corrected_by="王芳")
    assert later.stands(hidden, corrected), "a person may name a brand by no name of it"
    assert not later.stands(hidden, replace(corrected, model="another@1"))


def test_words_shown_are_literal_and_few(analyzer: Analyzer, authored: list[Example]) -> None:
    posts = [post(e.row["text"], native_id=e.key) for e in authored[:60]]
    for made, given in zip(analyzer.assess(posts), posts, strict=True):
        assert len(made.keywords) <= 10 and len(set(made.keywords)) == len(made.keywords)
        assert len(made.decisive) <= 5
        assert all(word in given.text and 2 <= len(word) <= 12 for word in made.decisive)
        assert not {"云桥", "云桥金融", "知道", "现在", "没有"} & set(made.decisive), (
            "names and everyday words mark nothing"
        )
    (crisis,) = analyzer.assess([post(CRISIS)])
    assert {"提现", "跑路", "失联", "血汗钱"} & set(crisis.decisive)


def test_copies_share_a_story_and_order_is_kept(analyzer: Analyzer) -> None:
    one, two, other = analyzer.assess(
        [
            post(CRISIS, native_id="1"),
            post(f"转发微博 {CRISIS}", native_id="2"),
            post("鼎渡财富今天开业三周年"),
        ]
    )
    assert one.story == two.story == one.post_id != other.story
    assert [a.post_id for a in (one, two)] == [post_id("weibo", "1"), post_id("weibo", "2")]
    again = analyzer.assess([post(f"转发微博 {CRISIS}", native_id="2")])[0]
    assert (again.story, again.sentiment, again.keywords, again.decisive) == (
        two.story,
        two.sentiment,
        two.keywords,
        two.decisive,
    ), "judging a post again changes nothing"


def test_arranged_accounts_are_suspected(analyzer: Analyzer) -> None:
    def wave(text: str, turn: int) -> list[Post]:
        return [
            post(
                text, native_id=f"{turn}-{k}", author=Author(key=f"u{k}"), published_at=NOW.replace(hour=turn)
            )
            for k in range(4)
        ]

    analyzer.assess(wave(CRISIS, 1))
    second = analyzer.assess(wave("河口贷虚假宣传,大家赶紧一起去投诉他们,别让更多人上当受骗了", 5))
    assert all(made.coordination > 0.5 for made in second)


def test_influence_is_the_documented_formula() -> None:
    plain = post("a", engagement=Engagement(reposts=5, comments=3, likes=1, views=10**9))
    assert influence(plain) == pytest.approx(1 + math.log(10))
    big = post("a", engagement=Engagement(reposts=10**6), author=Author(tier=Tier.CENTRAL_MEDIA))
    assert influence(big) == 20


def test_no_posts_no_assessments(analyzer: Analyzer) -> None:
    assert analyzer.assess([]) == []


def test_hostile_text_is_assessed(analyzer: Analyzer) -> None:
    hostile = [
        post("\ud800" * 5, native_id="1"),
        post("", native_id="2"),
        post("提现" * 200_000, native_id="3"),
    ]
    assert len(analyzer.assess(hostile)) == 3
