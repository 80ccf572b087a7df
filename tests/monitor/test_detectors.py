"""Detectors: the tail against scipy, the gate, thin history, slow burn, onset."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from config.settings import Baselines, Detection
from monitor.baseline import Baseline
from monitor.detectors import crowded, gate, look, negative_tail, onset, slow_burn, tail
from monitor.series import NEGATIVE, PER_HOUR, POSTS, STORIES, Layout, Window
from monitor.wording import explain

LAYOUT = Layout(brands=("a",), topics=())
FIRST = 5_889_312 - 5_889_312 % 288
RULES = Detection()


def learned(days: int, *, posts: float = 0.5, share: float = 0.12) -> Baseline:
    """A brand of so many posts a bucket."""
    rng = np.random.default_rng(1)
    baseline = Baseline(LAYOUT, Baselines())
    baseline.start(np.array([True]))
    for hour in range(days * 24):
        counts = np.zeros((3, 1, PER_HOUR))
        counts[POSTS] = rng.poisson(posts, PER_HOUR)
        counts[1:] = rng.binomial(counts[POSTS].astype(int), share)
        baseline.absorb(FIRST + hour * PER_HOUR, counts)
    return baseline


def window(
    baseline: Baseline, negatives: list[int], posts: list[int] | None = None, stories: int | None = None
) -> Window:
    """Twelve hours after the baseline, the last of them as given (twelve buckets)."""
    counts = np.zeros((3, 1, 144))
    counts[POSTS, 0, -12:] = posts if posts is not None else negatives
    counts[NEGATIVE, 0, -12:] = negatives
    counts[2, 0, -12:] = negatives
    if stories is not None:
        counts[2, 0, -12:] = 0
        counts[2, 0, -1] = stories
    return Window(first=baseline.absorbed_until, counts=counts)


@given(st.integers(1, 200), st.floats(0.01, 80), st.floats(1, 10), st.floats(0, 2))
def test_tail_is_the_negative_binomial_of_scipy(k: int, mean: float, phi: float, doubt: float) -> None:
    excess = max((phi - 1) / mean + doubt, 1e-9)
    expected = -nbinom.logsf(k - 1, 1 / excess, 1 / (1 + mean * excess)) / np.log(10)
    found = tail(np.array([float(k)]), np.array([mean]), np.array([phi]), np.array([doubt]))[0]
    if expected < 250:
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)


@given(st.integers(0, 300), st.floats(0.001, 100), st.floats(1, 10), st.floats(0, 2))
def test_more_negatives_never_lower_the_tail(k: int, mean: float, phi: float, doubt: float) -> None:
    args = (np.array([mean] * 2), np.array([phi] * 2), np.array([doubt] * 2))
    low, high = tail(np.array([float(k), k + 1.0]), *args)
    assert low <= high
    assert 0 <= low <= 300


@pytest.fixture(scope="module")
def usual() -> Baseline:
    """Two weeks at 6 posts an hour."""
    return learned(14)


class TestNegativeTail:
    def test_a_burst_of_negatives_fires(self, usual: Baseline) -> None:
        seen = window(usual, [0] * 8 + [2, 3, 3, 4])
        found = negative_tail(look(usual, seen, seen.end), usual, RULES)
        assert [each.detector for each in found] == ["negative_tail"]
        assert found[0].negatives == 12
        assert found[0].tail > 3

    def test_a_campaign_with_the_usual_share_does_not(self, usual: Baseline) -> None:
        seen = window(usual, [0, 1] * 6, posts=[4, 5] * 6)
        there = look(usual, seen, seen.end)
        assert there.tail[0] > 1
        assert negative_tail(there, usual, RULES) == []

    def test_fewer_than_five_never_do(self, usual: Baseline) -> None:
        seen = window(usual, [0] * 11 + [4])
        assert not gate(look(usual, seen, seen.end), RULES).any()

    def test_silence_is_silent(self, usual: Baseline) -> None:
        seen = window(usual, [0] * 12)
        assert negative_tail(look(usual, seen, seen.end), usual, RULES) == []

    @pytest.mark.parametrize(
        ("negatives", "stories", "fires"), [(2, 2, False), (7, 7, False), (8, 8, True), (20, 1, False)]
    )
    def test_a_brand_never_heard_of(self, negatives: int, stories: int, fires: bool) -> None:
        baseline = Baseline(LAYOUT, Baselines())
        baseline.absorbed_until = FIRST
        seen = window(baseline, [0] * 11 + [negatives], stories=stories)
        assert bool(negative_tail(look(baseline, seen, seen.end), baseline, RULES)) is fires

    def test_a_brand_long_silent_needs_only_five(self) -> None:
        silent = learned(14, posts=0.0)
        seen = window(silent, [0] * 7 + [1] * 5)
        assert negative_tail(look(silent, seen, seen.end), silent, RULES)


def test_stories_are_not_called_posts() -> None:
    """Where templates are pasted every day many posts are usual, many different stories are not."""
    baseline = Baseline(LAYOUT, Baselines())
    baseline.start(np.array([True]))
    for hour in range(14 * 24):
        counts = np.zeros((3, 1, PER_HOUR))
        counts[POSTS] = 1
        counts[NEGATIVE, 0, hour * 7 % PER_HOUR] = counts[POSTS, 0, hour * 7 % PER_HOUR] = 12 * (
            hour % 3 == 0
        )
        counts[STORIES] = np.minimum(counts[NEGATIVE], 1)
        baseline.absorb(FIRST + hour * PER_HOUR, counts)
    seen = window(baseline, [0] * 4 + [4] * 8, stories=16)
    found = negative_tail(look(baseline, seen, seen.end), baseline, RULES)[0]
    text = explain(found, topic="", history_hours=300, thin_below=72)
    assert (found.measure, found.observed, found.negatives) == (STORIES, 16, 32)
    assert "负面 16 次（5 分钟内的同一说法算一次），这个时段平时" in text
    assert "16 条" not in text


def test_slow_burn_finds_what_no_single_hour_shows(usual: Baseline) -> None:
    counts = np.zeros((3, 1, 144))
    counts[POSTS, 0], counts[POSTS, 0, ::3] = 0, 1
    for hour in range(12):
        counts[1:, 0, hour * 12 + 1 : hour * 12 + 12 : 4] = 1
        counts[POSTS, 0, hour * 12 + 1 : hour * 12 + 12 : 4] = 1
    there = Window(first=usual.absorbed_until, counts=counts)
    found = [
        (hour, each.detector)
        for hour in range(3, 13)
        for each in slow_burn(
            look(usual, there, there.first + hour * PER_HOUR),
            usual,
            Window(first=there.first, counts=counts[:, :, : hour * PER_HOUR]),
            Detection(),
        )
    ]
    assert {name for _, name in found} == {"slow_burn"}
    assert 3 < found[0][0] <= 8


@pytest.mark.parametrize("hours", [0.5, 1, 48])
def test_any_time_for_a_new_high_may_be_set(usual: Baseline, hours: float) -> None:
    end = usual.absorbed_until
    there = Window(first=end - 120, counts=np.zeros((3, usual.layout.size, 120)))
    assert slow_burn(look(usual, there, end), usual, there, Detection(new_high_hours=hours)) == []


@pytest.mark.parametrize(
    ("posts", "hours", "negatives", "expected"),
    [
        (0.0, 5, 1, True),
        (0.0, 5, 0, False),
        (0.5, 5, 1, False),
        (0.5, 5, 3, True),
        (0.5, 1, 4, True),
        (5.0, 5, 8, False),
        (5.0, 5, 14, True),
    ],
)
def test_more_than_usual_is_asked_of_the_hour_and_of_all_since_the_onset(
    posts: float, hours: int, negatives: int, expected: bool
) -> None:
    """12 % of ``posts`` a bucket are usual; since the onset every hour held so many negatives."""
    baseline = learned(21, posts=posts)
    counts = np.zeros((3, 1, 144))
    for hour in range(hours):
        counts[NEGATIVE, 0, 138 - 12 * hour] = negatives
    seen = Window(first=baseline.absorbed_until, counts=counts)
    found = crowded(baseline, seen, seen.end - hours * PER_HOUR, seen.end)
    assert found.tolist() == [expected]


def test_onset_is_where_the_run_began(usual: Baseline) -> None:
    seen = window(usual, [0, 0, 0, 0, 1, 2, 2, 3, 3, 3, 4, 4])
    began = onset(usual, seen, 0, seen.end)
    assert began == seen.end - 8
