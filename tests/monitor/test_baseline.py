"""Baselines: what they learn, that they learn it once, and what an incident does not teach them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import Baselines
from monitor.baseline import Baseline
from monitor.series import LOCAL_SHIFT, NEGATIVE, PER_HOUR, POSTS, Layout

MONDAY = 1_767_542_400 // 300  # 2026-01-05 00:00 at +08:00
LAYOUT = Layout(brands=("a", "b"), topics=("t",))
RATES = np.where(np.arange(24) >= 12, 3.0, 0.5)


def feed(baseline: Baseline, days: int, *, seed: int = 0, first: int = MONDAY, factor: float = 1.0) -> None:
    """Brand a: half a post a bucket in the mornings, three in the afternoons, 20 % negative; b: nothing."""
    rng = np.random.default_rng(seed)
    for hour in range(days * 24):
        counts = np.zeros((3, LAYOUT.size, PER_HOUR))
        counts[POSTS, 0] = rng.poisson(RATES[hour % 24] * factor, PER_HOUR)
        counts[NEGATIVE, 0] = rng.binomial(counts[POSTS, 0].astype(int), 0.2)
        counts[2] = counts[NEGATIVE]
        baseline.absorb(first + hour * PER_HOUR, counts)


def test_monday_is_the_hour_of_week_zero() -> None:
    assert ((MONDAY + LOCAL_SHIFT) // PER_HOUR + 72) % 168 == 0


def test_learns_level_profile_and_share() -> None:
    baseline = Baseline(LAYOUT, Baselines())
    feed(baseline, 28)
    start = MONDAY + 28 * 288
    mean = baseline.expect(start, start + 288).mean[POSTS, 0].reshape(24, PER_HOUR).mean(axis=1)
    assert mean[3] == pytest.approx(0.5, rel=0.25)
    assert mean[18] == pytest.approx(3.0, rel=0.15)
    assert baseline.expect(start, start + 1).share[0] == pytest.approx(0.2, abs=0.03)
    assert baseline.history_hours(0) in (28 * 24, 28 * 24 - 1)  # the first hour may have had no post


def test_an_hour_is_absorbed_once_and_in_order() -> None:
    baseline = Baseline(LAYOUT, Baselines())
    feed(baseline, 1)
    counts = np.ones((3, LAYOUT.size, PER_HOUR))
    for wrong in (MONDAY, MONDAY + 23 * PER_HOUR, MONDAY + 25 * PER_HOUR, baseline.absorbed_until + 1):
        with pytest.raises(ValueError):
            baseline.absorb(wrong, counts)


def test_an_incident_hardly_moves_its_own_baseline() -> None:
    calm, hit = Baseline(LAYOUT, Baselines()), Baseline(LAYOUT, Baselines())
    feed(calm, 14)
    feed(hit, 14)
    flood = np.zeros((3, LAYOUT.size, PER_HOUR))
    flood[POSTS, 0], flood[NEGATIVE, 0], flood[2, 0] = 60, 50, 50
    usual = np.zeros((3, LAYOUT.size, PER_HOUR))
    usual[POSTS, 0] = 1
    for hour in range(6):
        calm.absorb(MONDAY + 14 * 288 + hour * PER_HOUR, usual)
        hit.absorb(MONDAY + 14 * 288 + hour * PER_HOUR, flood)
    start = hit.absorbed_until + 288
    before = calm.expect(start, start + 288).mean[NEGATIVE, 0].sum()
    after = hit.expect(start, start + 288).mean[NEGATIVE, 0].sum()
    assert after < 1.5 * before


@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_days_without_a_post_are_no_calm(factor: float) -> None:
    gap = Baseline(LAYOUT, Baselines())
    feed(gap, 14, factor=factor)
    start = MONDAY + 14 * 288
    before = gap.expect(start, start + 288).mean[POSTS, 0].sum()
    hours = gap.history_hours(0)
    for hour in range(5 * 24):
        gap.absorb(start + hour * PER_HOUR, np.zeros((3, LAYOUT.size, PER_HOUR)))
        if hour == 1:  # a restart in between forgets nothing
            gap = Baseline.of(LAYOUT, Baselines(), json.loads(json.dumps(gap.documents()))) or gap
    assert gap.history_hours(0) - hours < 20 / (6 * factor)
    after = gap.expect(start, start + 288).mean[POSTS, 0].sum()
    assert after == pytest.approx(before, rel=0.1)


def test_a_brand_of_which_nobody_speaks_is_learned_to_be_silent() -> None:
    baseline = Baseline(LAYOUT, Baselines())
    baseline.start(np.ones(2, dtype=np.bool_))
    for hour in range(28 * 24):
        baseline.absorb(MONDAY + hour * PER_HOUR, np.zeros((3, LAYOUT.size, PER_HOUR)))
    assert baseline.history_hours(0) == 28 * 24


def test_state_goes_through_json_unchanged() -> None:
    baseline = Baseline(LAYOUT, Baselines())
    feed(baseline, 9)
    documents = json.loads(json.dumps(baseline.documents()))
    again = Baseline.of(LAYOUT, Baselines(), documents)
    assert again is not None
    start = baseline.absorbed_until
    one, two = baseline.expect(start, start + 300), again.expect(start, start + 300)
    for name in ("mean", "phi", "doubt", "share"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert again.documents() == baseline.documents()


def test_a_state_of_an_earlier_version_loads() -> None:
    documents = Baseline(LAYOUT, Baselines()).documents()
    for document in documents.values():
        del document["missed"]
    assert Baseline.of(LAYOUT, Baselines(), documents) is not None


@pytest.mark.parametrize("spoil", ["drop", "topics", "garbage", "until"])
def test_foreign_state_is_refused(spoil: str) -> None:
    documents = Baseline(LAYOUT, Baselines()).documents()
    if spoil == "drop":
        del documents["b"]
    elif spoil == "topics":
        documents["a"]["topics"] = ["other"]
    elif spoil == "garbage":
        documents["a"]["total"] = "x"
    else:
        documents["a"]["until"] = 12
    assert Baseline.of(LAYOUT, Baselines(), documents) is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 500), min_size=24, max_size=24))
def test_expectations_stay_positive_and_finite(values: list[int]) -> None:
    baseline = Baseline(LAYOUT, Baselines())
    for hour, value in enumerate(values):
        counts = np.zeros((3, LAYOUT.size, PER_HOUR))
        counts[:, :, hour % PER_HOUR] = value
        baseline.absorb(MONDAY + hour * PER_HOUR, counts)
    found = baseline.expect(baseline.absorbed_until, baseline.absorbed_until + 2016)
    for each in (found.mean, found.phi, found.doubt, found.share):
        assert np.isfinite(each).all()
        assert (each > 0).all()
    assert (found.phi >= 1).all()
