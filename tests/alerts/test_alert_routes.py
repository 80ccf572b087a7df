"""Who gets an alert, and when the night is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.routes import miss, quiet_until
from config.settings import QuietHours, Route
from domain.alert import Level
from tests.alerts import sample

PLANS = {sample.TOPIC: "withdrawal_difficulty", "customer_complaint": "customer_complaint"}


def route(**changes: object) -> Route:
    return Route(**({"name": "r", "level": "yellow", "to": ("a@example.com",)} | changes))


@pytest.mark.parametrize(
    ("wants", "alert", "why"),
    [
        ({}, {}, ""),
        ({"level": "orange"}, {"level": Level.YELLOW, "peak": Level.YELLOW}, "level"),
        ({"level": "orange"}, {"level": Level.BLUE, "peak": Level.ORANGE}, ""),
        ({"brands": ("yunqiao",)}, {}, ""),
        ({"brands": ("ansui",)}, {}, "brand"),
        ({"topics": ("customer_complaint",)}, {}, ""),
        ({"topics": ("rumor",)}, {}, "topic"),
        ({"plans": ("customer_complaint",)}, {}, ""),
        ({"plans": ("data_breach",)}, {}, "plan"),
        ({"plans": ("data_breach",)}, {"topics": ()}, "plan"),
        ({"operator": True}, {}, "operator"),
    ],
)
def test_a_route_says_why_it_does_not_want_an_alert(wants: dict, alert: dict, why: str) -> None:
    assert miss(route(**wants), sample.alert(**alert), plan_of=lambda topic: PLANS.get(topic, "")) == why


def test_operator_alerts_go_to_operator_routes_only() -> None:
    plan_of = {}.get
    assert miss(route(), sample.blind(), plan_of=plan_of) == "operator"
    assert miss(route(operator=True, level="blue"), sample.blind(), plan_of=plan_of) == ""
    assert miss(route(operator=True, level="red"), sample.blind(), plan_of=plan_of) == ""


def local(hour: int, minute: int = 0, day: int = 22) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


@pytest.mark.parametrize(
    ("start", "end", "at", "until"),
    [
        ("23:00", "07:00", local(22, 59), None),
        ("23:00", "07:00", local(23, 0), local(7, day=23)),
        ("23:00", "07:00", local(3, 30), local(7)),
        ("23:00", "07:00", local(6, 59), local(7)),
        ("23:00", "07:00", local(7, 0), None),
        ("12:00", "14:00", local(13, 0), local(14)),
        ("12:00", "14:00", local(11, 59), None),
        ("00:00", "00:00", local(3, 0), None),
        ("22:00", "00:00", local(23, 30), local(0, day=23)),
    ],
)
def test_quiet_hours_across_midnight(start: str, end: str, at: datetime, until: datetime | None) -> None:
    assert quiet_until(QuietHours(start=start, end=end), at) == until


@given(
    start=st.integers(0, 1439),
    end=st.integers(0, 1439),
    minute=st.integers(0, 3 * 1440),
    seconds=st.integers(0, 59),
)
def test_the_end_of_the_night_is_later_today_or_tomorrow_and_not_quiet(
    start: int, end: int, minute: int, seconds: int
) -> None:
    def words(value: int) -> str:
        return f"{value // 60:02d}:{value % 60:02d}"

    quiet = QuietHours(start=words(start), end=words(end))
    at = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(minutes=minute, seconds=seconds)
    until = quiet_until(quiet, at)
    if until is not None:
        assert at < until <= at + timedelta(days=1)
        assert quiet_until(quiet, until) is None
