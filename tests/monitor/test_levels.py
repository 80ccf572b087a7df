"""Levels: each part of the score, each hard trigger, what makes them not fire."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import LevelThresholds
from domain.alert import Level
from domain.assessment import Stance
from domain.post import Engagement, Tier
from monitor.detectors import Finding
from monitor.evidence import gather, ranked_topics
from monitor.levels import Judgement, judge
from monitor.series import NEGATIVE

_spec = importlib.util.spec_from_file_location(
    "monitor_scene_levels", Path(__file__).with_name("conftest.py")
)
assert _spec is not None
assert _spec.loader is not None
scene = importlib.util.module_from_spec(_spec)
sys.modules["monitor_scene_levels"] = scene
_spec.loader.exec_module(scene)

NOW, judged = scene.NOW, scene.judged
WEIGHTS = {
    "withdrawal_difficulty": 20.0,
    "absconding": 20.0,
    "regulatory_action": 16.0,
    "data_breach": 16.0,
    "service_outage": 10.0,
    "customer_complaint": 6.0,
    "rumor": 6.0,
}
QUIET = Finding(
    series=0,
    detector="negative_tail",
    end=1,
    window_min=60,
    measure=NEGATIVE,
    observed=0,
    expected=1,
    tail=0,
    share=0.1,
    usual_share=0.1,
    share_z=0,
    negatives=10,
    usual=1,
    before=10,
    posts=30,
    stories=10,
)


def level(
    posts=(), topics: tuple[str, ...] = (), fired: bool = True, usual: Collection[str] = (), **changes: float
) -> Judgement:
    return judge(
        replace(QUIET, **changes),
        gather(posts),
        topics,
        weights=WEIGHTS,
        names={},
        thresholds=LevelThresholds(),
        fired=fired,
        usual=usual,
    )


def points(found: Judgement, rule: str) -> float:
    return sum(reason.points for reason in found.reasons if reason.rule == rule)


def crowd(count: int, **changes: object):
    return [judged(n, NOW, **changes) for n in range(count)]


class TestParts:
    @pytest.mark.parametrize(("tail", "expected"), [(0, 0), (3, 6.2), (6, 12.5), (12, 25), (300, 25)])
    def test_volume_without_posts_is_the_tail(self, tail: float, expected: float) -> None:
        assert points(level(tail=tail), "volume") == pytest.approx(expected, abs=0.1)

    @pytest.mark.parametrize(("acts", "expected"), [(0, 0), (99, 4), (9_999, 8), (99_999, 10), (10**8, 10)])
    def test_volume_of_engagement(self, acts: int, expected: float) -> None:
        posts = [judged(1, NOW, engagement=Engagement(likes=acts))]
        assert points(level(posts), "volume") == pytest.approx(expected, abs=0.05)

    @pytest.mark.parametrize(("share", "expected"), [(0.05, 0), (0.1, 0), (0.35, 10), (0.6, 20), (1.0, 20)])
    def test_share_over_the_usual(self, share: float, expected: float) -> None:
        assert points(level(share=share), "share") == pytest.approx(expected, abs=0.05)

    @pytest.mark.parametrize(("authors", "expected"), [(1, 4), (3, 12), (5, 20), (40, 20)])
    def test_topic_by_voices(self, authors: int, expected: float) -> None:
        posts = crowd(authors, topics=("withdrawal_difficulty",))
        assert points(level(posts, ("withdrawal_difficulty",)), "topic") == pytest.approx(expected)

    def test_one_verified_medium_is_enough_for_the_topic(self) -> None:
        posts = [judged(1, NOW, topics=("service_outage",), tier=Tier.REGIONAL_MEDIA, verified=True)]
        assert points(level(posts, ("service_outage",)), "topic") == 10

    @pytest.mark.parametrize("stance", [Stance.DENY, Stance.ASK, Stance.OTHER])
    def test_only_assertions_speak_for_a_topic(self, stance: Stance) -> None:
        posts = crowd(20, topics=("withdrawal_difficulty",), stance=stance)
        assert points(level(posts, ("withdrawal_difficulty",)), "topic") == 0

    @pytest.mark.parametrize(
        ("tier", "verified", "expected"),
        [
            (Tier.USER, False, 0),
            (Tier.BIG_V, False, 5),
            (Tier.REGIONAL_MEDIA, True, 10),
            (Tier.CENTRAL_MEDIA, True, 15),
            (Tier.CENTRAL_MEDIA, False, 0),
        ],
    )
    def test_source_tier(self, tier: Tier, verified: bool, expected: float) -> None:
        assert points(level([judged(1, NOW, tier=tier, verified=verified)]), "source_tier") == expected

    @pytest.mark.parametrize(("platforms", "expected"), [(1, 0), (2, 5), (3, 10), (6, 10)])
    def test_spread(self, platforms: int, expected: float) -> None:
        posts = [judged(n, NOW, platform=f"p{n}") for n in range(platforms)]
        assert points(level(posts), "spread") == expected

    @pytest.mark.parametrize(
        ("before", "now", "expected"), [(10, 10, 0), (10, 5, 0), (1, 7, 6.7), (0, 7, 10), (0, 90, 10)]
    )
    def test_growth(self, before: float, now: float, expected: float) -> None:
        assert points(level(before=before, negatives=now), "growth") == pytest.approx(expected, abs=0.05)

    def test_everything_at_its_most_is_100(self) -> None:
        posts = [
            judged(
                n,
                NOW,
                platform=f"p{n}",
                topics=("withdrawal_difficulty",),
                tier=Tier.CENTRAL_MEDIA,
                verified=True,
                engagement=Engagement(likes=10**6),
            )
            for n in range(5)
        ]
        found = level(posts, ("withdrawal_difficulty",), tail=30, share=0.9, before=0, negatives=50)
        assert found.score == 100
        assert found.level is Level.RED


class TestThresholds:
    @pytest.mark.parametrize(
        ("share", "tail", "expected"),
        [(0.1, 0, Level.NONE), (0.6, 4.7, Level.NONE), (0.6, 4.9, Level.BLUE)],
    )
    def test_score_alone(self, share: float, tail: float, expected: Level) -> None:
        assert level(share=share, tail=tail, fired=False).level is expected

    def test_the_gate_alone_is_blue(self) -> None:
        assert level(fired=True).level is Level.BLUE
        assert level(fired=False).level is Level.NONE


class TestHardTriggers:
    def rules(self, found: Judgement) -> set[str]:
        return {reason.rule for reason in found.reasons if reason.level > Level.BLUE}

    @pytest.mark.parametrize(("authors", "fires"), [(4, False), (5, True)])
    def test_withdrawal_cluster_needs_five_voices(self, authors: int, fires: bool) -> None:
        posts = crowd(authors, topics=("withdrawal_difficulty",))
        found = level(posts, ("withdrawal_difficulty",))
        assert ("withdrawal_cluster" in self.rules(found)) is fires
        assert (found.level >= Level.ORANGE) is fires

    @pytest.mark.parametrize(
        ("topic", "text"),
        [
            ("withdrawal_difficulty", "提现三天没到账"),
            ("absconding", "老板跑路了"),
            ("customer_complaint", "客服不理人"),
        ],
    )
    def test_voices_of_a_topic_of_which_no_more_is_said_than_usual_meet_no_trigger(
        self, topic: str, text: str
    ) -> None:
        posts = crowd(12, topics=(topic,), text=text)
        assert self.rules(level(posts))
        assert not self.rules(level(posts, usual=(topic,)))
        medium = judged("m", NOW, topics=(topic,), text=text, tier=Tier.CENTRAL_MEDIA, verified=True)
        assert self.rules(level([*posts, medium], usual=(topic,))) >= self.rules(level(posts))

    def test_one_author_with_many_posts_is_one_voice(self) -> None:
        assert not self.rules(level(crowd(30, topics=("withdrawal_difficulty",), author="same")))

    def test_three_platforms_are_yellow(self) -> None:
        posts = [judged(n, NOW, platform=("weibo", "guba", "heimao")[n % 3]) for n in range(6)]
        assert self.rules(level(posts)) == {"platforms"}
        assert level(posts).level is Level.YELLOW

    def test_ten_complaints_an_hour_are_yellow(self) -> None:
        posts = crowd(10, topics=("customer_complaint",))
        assert self.rules(level(posts)) == {"complaints"}
        old = [judged(n, NOW - timedelta(minutes=20 * n), topics=("customer_complaint",)) for n in range(10)]
        assert not self.rules(level(old))

    @pytest.mark.parametrize(
        ("tier", "verified", "expected"),
        [
            (Tier.REGIONAL_MEDIA, True, Level.YELLOW),
            (Tier.CENTRAL_MEDIA, True, Level.ORANGE),
            (Tier.CENTRAL_MEDIA, False, Level.BLUE),
            (Tier.BIG_V, True, Level.BLUE),
        ],
    )
    def test_media(self, tier: Tier, verified: bool, expected: Level) -> None:
        assert level([judged(1, NOW, tier=tier, verified=verified)]).level is expected

    @pytest.mark.parametrize(
        ("reposts", "views", "expected"),
        [
            (9_999, 99_999, Level.BLUE),
            (10_000, 0, Level.ORANGE),
            (0, 100_000, Level.ORANGE),
            (100_000, 0, Level.RED),
            (0, 1_000_000, Level.RED),
        ],
    )
    def test_reach(self, reposts: int, views: int, expected: Level) -> None:
        assert level([judged(1, NOW, engagement=Engagement(reposts=reposts, views=views))]).level is expected

    @pytest.mark.parametrize(
        ("topic", "text", "rule"),
        [
            ("absconding", "老板跑路了", "run"),
            ("regulatory_action", "警方已立案侦查", "case_filed"),
            ("withdrawal_difficulty", "大家在楼下围堵", "gathering"),
        ],
    )
    def test_red_words_of_five_asserting_voices(self, topic: str, text: str, rule: str) -> None:
        said = level(crowd(5, topics=(topic,), text=text))
        assert rule in self.rules(said)
        assert said.level is Level.RED
        assert rule not in self.rules(level(crowd(4, topics=(topic,), text=text)))
        assert rule not in self.rules(level(crowd(9, topics=(topic,), text=text, stance=Stance.DENY)))
        assert rule not in self.rules(level(crowd(9, topics=(topic,), text="别的话")))

    def test_a_leak_must_be_confirmed(self) -> None:
        assert "leak" not in self.rules(level(crowd(30, topics=("data_breach",), text="我的信息泄露了")))
        official = judged(
            1, NOW, topics=("data_breach",), text="信息泄露属实", tier=Tier.REGIONAL_MEDIA, verified=True
        )
        assert "leak" in self.rules(level([official]))

    def test_suspected_water_army_lowers_the_score_not_the_trigger(self) -> None:
        plain = level(
            crowd(8, topics=("withdrawal_difficulty",)), ("withdrawal_difficulty",), tail=12, share=0.6
        )
        bought = level(
            crowd(8, topics=("withdrawal_difficulty",), coordination=0.9),
            ("withdrawal_difficulty",),
            tail=12,
            share=0.6,
        )
        assert bought.score == pytest.approx(plain.score / 2, abs=0.1)
        assert bought.level is Level.ORANGE
        assert any("疑似水军" in reason.text for reason in bought.reasons)

    def test_adverts_say_nothing(self) -> None:
        advert = [
            replace(each, assessment=replace(each.assessment, ad=True))
            for each in crowd(9, topics=("withdrawal_difficulty",))
        ]
        assert level(advert).level is Level.BLUE


class TestLeadTopic:
    def test_the_graver_topic_leads_with_comparable_support(self) -> None:
        posts = [
            *crowd(12, topics=("customer_complaint",)),
            *(judged(f"w{n}", NOW, topics=("service_outage",)) for n in range(5)),
        ]
        lead = ranked_topics(gather(posts), WEIGHTS)[0]
        assert lead == "service_outage"

    def test_complaints_lead_when_there_is_little_else(self) -> None:
        posts = [*crowd(40, topics=("customer_complaint",)), judged("w", NOW, topics=("service_outage",))]
        assert ranked_topics(gather(posts), WEIGHTS)[0] == "customer_complaint"

    def test_one_loud_author_is_a_tenth(self) -> None:
        loud = [
            judged(f"loud{n}", NOW, topics=("service_outage",), author="one", influence=20) for n in range(50)
        ]
        many = [judged(f"w{n}", NOW, topics=("withdrawal_difficulty",), influence=8) for n in range(30)]
        assert ranked_topics(gather([*loud, *many]), WEIGHTS)[0] == "withdrawal_difficulty"

    def test_no_topics_no_lead(self) -> None:
        assert ranked_topics(gather(crowd(5)), WEIGHTS) == ()


@given(
    st.floats(0, 300),
    st.floats(0, 1),
    st.floats(0.001, 1),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.integers(0, 12),
)
def test_score_stays_in_0_to_100_and_more_is_never_less(
    tail: float, share: float, usual: float, now: int, before: int, crowd_size: int
) -> None:
    posts = crowd(crowd_size, topics=("service_outage",))
    low = level(
        posts, ("service_outage",), tail=tail, share=share, usual_share=usual, negatives=now, before=before
    )
    high = level(
        posts,
        ("service_outage",),
        tail=tail + 1,
        share=share,
        usual_share=usual,
        negatives=now + 1,
        before=before,
    )
    assert 0 <= low.score <= high.score <= 100
    assert low.level <= high.level
