"""A desk over a real ledger on disk, and alerts as the monitor makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.alert import Alert, AlertState, Change, Level
from domain.plan import Plan, PlanTask
from response.incidents import Desk
from store.ledger import Ledger, open_ledger

T0 = datetime(2026, 11, 22, 13, 4, tzinfo=UTC)
"""21:04 in Shanghai."""


def task(id_: str, due_min: int, from_level: Level = Level.BLUE) -> PlanTask:
    return PlanTask(id=id_, title=f"做{id_}", role="值班指挥", due_min=due_min, from_level=from_level)


PLAN = Plan(
    id="usury",
    name="高利贷处置预案",
    level=Level.ORANGE,
    version="3",
    goal="讲清楚",
    tasks=(
        task("acknowledge", 5),
        task("verify", 15, Level.YELLOW),
        task("refund", 60, Level.ORANGE),
        task("stop", 30, Level.RED),
    ),
    statement="{company}",
    close_when=("清零",),
)
OTHER = replace(PLAN, id="fraud", name="诈骗处置预案")


def plan_for(topic: str, level: Level) -> Plan | None:
    """As ``Settings.plan_for``: two topics have plans, from yellow."""
    plan = {"usury": PLAN, "fraud": OTHER}.get(topic)
    return plan if plan and level >= plan.propose_from else None


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("new_ledger_database")())
    return f"sqlite:///{tmp_path}/ledger.sqlite3"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = open_ledger(url)
    yield opened
    opened.close()


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger=ledger, plans={"usury": PLAN, "fraud": OTHER}, plan_for=plan_for)


@pytest.fixture
def alert(ledger: Ledger) -> Callable[..., Alert]:
    """A stored alert revision; the same ``id`` again is its next revision."""
    last: dict[str, Alert] = {}

    def make(
        id_: str = "a1",
        *,
        level: Level = Level.YELLOW,
        topics: tuple[str, ...] = ("usury",),
        brand: str = "yunqiao",
        change: Change | None = None,
        minutes: int = 0,
    ) -> Alert:
        before = last.get(id_)
        at = T0 + timedelta(minutes=minutes)
        made = Alert(
            id=id_,
            fingerprint=f"{brand}/{id_}",
            revision=before.revision + 1 if before else 1,
            change=change or (Change.UPDATE if before else Change.NEW),
            brand=brand,
            topics=topics,
            level=level,
            score=55,
            reasons=(),
            state=AlertState.RESOLVED if change is Change.RECOVERED else AlertState.FIRING,
            onset=T0 - timedelta(minutes=20),
            at=at,
            first_at=before.first_at if before else at,
            explanation="过去 1 小时负面 37 条，这个时段平时约 6 条。",
        )
        assert ledger.alerts.put(made)
        last[id_] = made
        return made

    return make
