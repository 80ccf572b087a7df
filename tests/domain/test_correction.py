"""What a person says about a post beats the model, and says no more than he said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.correction import Correction

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BRANDS = {"云桥金融": "yunqiao", "云桥": "yunqiao"}


def entity(name: str, sentiment: Sentiment = Sentiment.NEGATIVE) -> EntityJudgement:
    return EntityJudgement(
        name=name,
        sentiment=sentiment,
        probability=0.8,
        negative=0.8 if sentiment is Sentiment.NEGATIVE else 0.2,
        brand=BRANDS.get(name, ""),
    )


def assessment(*entities: EntityJudgement, topics: tuple[str, ...] = ("fraud",)) -> Assessment:
    return Assessment(
        post_id="p",
        model="m@1",
        sentiment=Sentiment.NEGATIVE,
        probabilities={"negative": 0.6, "neutral": 0.3, "positive": 0.1},
        topics=tuple(TopicJudgement(id=t, stance=Stance.DENY, probability=0.7) for t in topics),
        entities=entities,
        decisive=("骗子",),
    )


def said(**labels: object) -> Correction:
    return Correction(post="p", text="t", at=NOW, by="王芳", **labels)  # type: ignore[arg-type]


def over(correction: Correction, before: Assessment) -> Assessment:
    return correction.over(before, lambda name: BRANDS.get(name, ""))


def test_a_neutral_post_accuses_nobody_and_highlights_nothing() -> None:
    after = over(
        said(sentiment=Sentiment.NEUTRAL, topics=()), assessment(entity("云桥金融"), entity("河口贷"))
    )
    assert after.sentiment is Sentiment.NEUTRAL and after.probabilities["neutral"] == 1.0
    assert {e.sentiment for e in after.entities} == {Sentiment.NEUTRAL}
    assert {e.negative for e in after.entities} == {0.0}
    assert (after.topics, after.decisive, after.corrected_by) == ((), (), "王芳")


def test_accused_by_another_spelling_is_the_same_brand() -> None:
    after = over(
        said(negative_about=("云桥",)), assessment(entity("云桥金融", Sentiment.NEUTRAL), entity("河口贷"))
    )
    assert {e.name: e.sentiment for e in after.entities} == {
        "云桥金融": Sentiment.NEGATIVE,
        "河口贷": Sentiment.NEUTRAL,
    }


def test_an_accused_company_that_the_model_missed_is_added_once() -> None:
    after = over(said(negative_about=("云桥", "云桥金融", "无名公司")), assessment())
    assert [(e.name, e.brand, e.negative) for e in after.entities] == [
        ("云桥", "yunqiao", 1.0),
        ("无名公司", "", 1.0),
    ]


def test_negative_alone_accuses_the_only_company_and_none_of_several() -> None:
    single = over(said(sentiment=Sentiment.NEGATIVE), assessment(entity("云桥金融", Sentiment.NEUTRAL)))
    assert single.entities[0].sentiment is Sentiment.NEGATIVE
    both = assessment(entity("云桥金融", Sentiment.NEUTRAL), entity("河口贷", Sentiment.NEUTRAL))
    assert over(said(sentiment=Sentiment.NEGATIVE), both).entities == both.entities


def test_what_is_not_said_stays_the_models() -> None:
    before = assessment(entity("云桥金融"))
    assert replace(over(said(note="看过"), before), corrected_by="") == before
    after = over(said(stance=Stance.ASK), before)
    assert [t.stance for t in after.topics] == [Stance.ASK] and after.sentiment is before.sentiment


def test_merging_twice_is_merging_once() -> None:
    for labels in (
        {"sentiment": Sentiment.POSITIVE},
        {"topics": ("rumor",), "stance": Stance.DENY, "ad": True},
        {"negative_about": ("河口贷",), "sentiment": Sentiment.NEGATIVE},
    ):
        once = over(said(**labels), assessment(entity("云桥金融"), entity("河口贷")))
        assert over(said(**labels), once) == once


def test_a_later_word_adds_to_an_earlier_one_about_the_same_text() -> None:
    first = said(sentiment=Sentiment.NEUTRAL, ad=True)
    later = replace(said(topics=("fraud",)), at=NOW + timedelta(days=1), by="李雷")
    both = later.after(first)
    assert (both.sentiment, both.ad, both.topics, both.by) == (Sentiment.NEUTRAL, True, ("fraud",), "李雷")
    assert both.says_more_than(first) and not replace(first, by="李雷").says_more_than(first)
    assert replace(later, text="edited").after(first).sentiment is None


def test_a_later_word_ends_an_earlier_one_that_it_contradicts() -> None:
    accused = said(negative_about=("云桥金融",))
    calm = replace(said(sentiment=Sentiment.NEUTRAL), at=NOW + timedelta(days=1))
    assert calm.after(accused).negative_about is None
    glad = replace(calm, sentiment=Sentiment.POSITIVE)
    assert glad.after(replace(accused, sentiment=Sentiment.NEGATIVE)).negative_about is None
    both = glad.after(accused), replace(accused, at=glad.at).after(replace(glad, at=NOW))
    assert {(each.sentiment, each.negative_about) for each in both} == {
        (Sentiment.POSITIVE, ("云桥金融",))
    }, "of a rival, perhaps"
    again = accused.after(calm)
    assert again.negative_about == ("云桥金融",) and again.sentiment is None
