"""Revisions: what an alert says of a level that does not fall."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.alert import Alert, Level, Reason
from domain.signal import Signal
from monitor.detectors import Finding
from monitor.levels import Judgement
from monitor.revisions import Situation, born, grown, matching

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RUN = Reason(rule="run", points=0.0, text="挤兑或失联：5 个不同账号", level=Level.RED, topic="absconding")
VOLUME = Reason(rule="volume", points=20.0, text="1 小时负面 33 条")


def situation(negatives: float, level: Level, score: float, *reasons: Reason) -> Situation:
    numbers: dict[str, Any] = {each.name: 0 for each in fields(Finding)}
    signal = Signal(
        id=f"s{negatives}", at=NOW, brand="b", topic="", detector="negative_tail", window_min=60, observed=9,
        expected=1, tail=9, share=0.5, usual_share=0.1, share_z=4, explanation="",
    )  # fmt: skip
    return Situation(
        brand="b",
        topics=("absconding",),
        finding=Finding(**(numbers | {"negatives": negatives})),
        judgement=Judgement(level=level, score=score, reasons=reasons),
        explanation="",
        signals=(signal,),
        posts=(),
        onset=NOW,
        incomplete=(),
    )


def later(alert: Alert | None, hours: int, now: Situation) -> Alert:
    assert alert is not None
    found = grown(alert, now, at=NOW + timedelta(hours=hours), new_high_hours=24)
    assert found is not None
    return found


def test_what_made_the_level_is_said_as_long_as_it_holds() -> None:
    red = born(situation(20, Level.RED, 62, RUN, VOLUME), at=NOW)
    second = later(red, 1, situation(40, Level.YELLOW, 55, VOLUME))
    third = later(second, 2, situation(80, Level.YELLOW, 56, VOLUME))
    assert (third.level, third.score) == (Level.RED, 56)
    assert third.reasons == (replace(RUN, text="此前挤兑或失联：5 个不同账号"), VOLUME)


@pytest.mark.parametrize(("score", "level", "said"), [(61, Level.YELLOW, 72), (75, Level.ORANGE, 75)])
def test_a_level_by_score_alone_keeps_the_score_that_made_it(score: float, level: Level, said: float) -> None:
    orange = born(situation(20, Level.ORANGE, 72, VOLUME), at=NOW)
    after = later(orange, 1, situation(40, level, score, VOLUME))
    assert (after.level, after.score) == (Level.ORANGE, said)


def test_a_graver_crisis_is_its_own_though_some_posts_of_a_lesser_alert_named_it() -> None:
    weights = {"absconding": 20.0, "service_outage": 10.0}
    outage = born(situation(20, Level.YELLOW, 55, VOLUME), at=NOW)
    outage = replace(outage, topics=("service_outage", "absconding"))
    crisis = replace(situation(40, Level.RED, 62, RUN), grave="absconding")
    assert matching([outage], crisis, weights) is None
    raised = replace(outage, reasons=(RUN,))
    assert matching([raised], crisis, weights) is raised
    assert matching([outage], replace(crisis, grave=""), weights) is outage
