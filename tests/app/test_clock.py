"""The clock: real by default, faster in the demo, never ahead of the present, shared through the environment."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import VARIABLE, Clock, wall
from domain.errors import ConfigError

T0 = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROUNDING = timedelta(seconds=0.5)
"""A microsecond of the wall is up to 0.2 s at the highest rate tried here."""
times = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def test_real_clock_shows_the_machine_time() -> None:
    before = wall()
    shown = Clock().now()
    assert before <= shown <= wall()
    assert Clock().at(T0) == T0
    assert Clock().wall_seconds(60) == 60


def test_fast_clock_multiplies_real_seconds() -> None:
    clock = Clock(T0 - timedelta(hours=5), T0, 100)
    assert clock.at(T0 + timedelta(seconds=36)) == T0 - timedelta(hours=4)
    assert clock.wall_seconds(300) == 3


@given(start=times, behind=st.floats(1, 2e6), seconds=st.floats(10, 600), after=st.floats(0, 1e6))
def test_meets_the_present_and_never_passes_it(
    start: datetime, behind: float, seconds: float, after: float
) -> None:
    real = start + timedelta(seconds=behind)
    clock = Clock.reaching_present(start, wall_start=real, seconds=seconds)
    end = real + timedelta(seconds=seconds)
    assert clock.at(real) == start
    assert abs(clock.at(end) - end) < ROUNDING
    later = end + timedelta(seconds=after)
    assert abs(clock.at(later) - later) < ROUNDING
    assert clock.at(later) <= later


@given(start=times, real=times, rate=st.floats(0, 1e6))
def test_line_reads_back(start: datetime, real: datetime, rate: float) -> None:
    clock = Clock(start, real, rate)
    assert Clock.parse(str(clock)) == clock


def test_standing_clock() -> None:
    clock = Clock(T0 - timedelta(days=1), T0, 0)
    assert clock.at(T0 + timedelta(hours=3)) == T0 - timedelta(days=1)
    assert clock.wall_seconds(1) == math.inf


def test_shows_utc_whatever_it_was_given() -> None:
    local = T0.astimezone(timezone(timedelta(hours=8)))
    assert Clock(local, local, 0).at(T0).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    ["now", "2026-11-22T12:00:00/2026-11-22T12:00:00/1", f"{T0.isoformat()}/{T0.isoformat()}/nan", "a/b/c/d"],
)
def test_unreadable_line_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE):
        Clock.parse(text)


def test_environment() -> None:
    clock = Clock(T0, T0, 60)
    assert Clock.from_environment({VARIABLE: str(clock)}) == clock
    assert Clock.from_environment({}) == Clock()


def test_no_time_to_reach_the_present() -> None:
    with pytest.raises(ValueError, match="time"):
        Clock.reaching_present(T0, wall_start=T0, seconds=0)
