"""A source that falls silent: a sleeping one is not blind, a dead one is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from domain.local_time import SHANGHAI
from domain.source_run import Outcome, SourceRun
from monitor.sources import flatline

MONDAY = datetime(2026, 11, 9, tzinfo=SHANGHAI)
WEDNESDAY, SATURDAY = MONDAY + timedelta(days=9), MONDAY + timedelta(days=12)


def by_day(at: datetime) -> int:
    """Three new posts a crawl by day, none from one to seven."""
    return 0 if 1 <= at.hour < 7 else 3


def on_workdays(at: datetime) -> int:
    return by_day(at) if at.weekday() < 5 else 0


def crawled(
    until: datetime,
    new: Callable[[datetime], int],
    *,
    since: datetime = MONDAY,
    dead_from: datetime | None = None,
    every_min: int = 10,
) -> list[SourceRun]:
    """Crawls at one rhythm, newest first; from ``dead_from`` on they bring nothing."""
    found = []
    at = since
    while at < until:
        brought = 0 if dead_from is not None and at >= dead_from else new(at)
        found.append(
            SourceRun(source="s", started_at=at, ended_at=at, outcome=Outcome.RESULTS, found=80, new=brought)
        )
        at += timedelta(minutes=every_min)
    return found[::-1]


@pytest.mark.parametrize("every_min", [5, 10, 60])
def test_a_source_that_sleeps_at_night_is_not_blind(every_min: int) -> None:
    for hour in range(1, 8):
        runs = crawled(WEDNESDAY + timedelta(hours=hour), by_day, every_min=every_min)
        assert flatline(runs) is None


def test_nor_is_one_that_rests_at_the_weekend() -> None:
    for hour in range(0, 48, 3):
        assert flatline(crawled(SATURDAY + timedelta(hours=hour), on_workdays)) is None


@pytest.mark.parametrize(("dead_hour", "hours"), [(2, 7.5), (9, 3), (20, 3)])
def test_one_that_dies_is_found_by_what_the_same_hours_brought_before(dead_hour: int, hours: float) -> None:
    """Three hours after it died by day; at half past nine when it died in its sleep."""
    dead = WEDNESDAY + timedelta(hours=dead_hour)
    found = flatline(crawled(dead + timedelta(hours=hours, minutes=10), by_day, dead_from=dead))
    assert found is not None
    since, due = found
    assert since < dead
    assert 30 <= due <= 57


def test_the_number_said_is_what_the_same_hours_brought_before() -> None:
    dead = WEDNESDAY + timedelta(hours=23)
    found = flatline(crawled(dead + timedelta(hours=9), by_day, dead_from=dead))
    assert found is not None
    assert found[1] == 3 * 6 * (2 + 1)  # 23 to 1 and 7 to 8, not the six hours between


def test_where_no_earlier_day_tells_nothing_is_due() -> None:
    start = WEDNESDAY + timedelta(hours=8)
    runs = crawled(start + timedelta(hours=10), by_day, since=start, dead_from=start + timedelta(hours=5))
    assert flatline(runs) is None


def test_one_large_first_crawl_is_not_the_usual() -> None:
    start = MONDAY + timedelta(hours=10)
    dead = start + timedelta(hours=22)
    runs = crawled(
        start + timedelta(hours=28),
        lambda at: 80 if at == start else at.hour % 2,
        since=start,
        dead_from=dead,
        every_min=60,
    )
    assert runs[0].started_at.hour > start.hour
    assert flatline(runs) is None


@pytest.mark.parametrize(("start", "dead"), [(WEDNESDAY, SATURDAY), (MONDAY, MONDAY + timedelta(days=1))])
def test_a_young_source_that_dies_is_found_too(start: datetime, dead: datetime) -> None:
    """On its first weekend by what its workdays brought."""
    dead += timedelta(hours=9)
    for every_min, new in ((10, 20), (60, 60)):
        runs = crawled(
            dead + timedelta(hours=7),
            lambda _, new=new: new,
            since=start,
            dead_from=dead,
            every_min=every_min,
        )
        assert flatline(runs) is not None
