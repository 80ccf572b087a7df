"""A new model is put to use whole or not at all, and history that it changes alarms nobody."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.alert import Change
from domain.assessment import Sentiment
from domain.correction import Correction, text_mark
from domain.errors import ModelError

_path = Path(__file__).with_name("switching.py")
_spec = importlib.util.spec_from_file_location("switching", _path)
assert _spec and _spec.loader
switching = importlib.util.module_from_spec(_spec)
sys.modules["switching"] = switching
_spec.loader.exec_module(switching)
scene = switching.scene()
NOW, NEW, OLD = scene.NOW, switching.NEW, switching.OLD


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Any]:
    made = switching.Home(tmp_path, switching.Stern(share=0.7))
    made.posts.put(scene.background(NOW + timedelta(hours=2), days=6, per_hour=20))
    made.watch.rebuild(NOW)
    yield made
    made.close()


def ticks(home: Any, hours: float = 2.0) -> list[Any]:
    """Alerts of the next hours, by a watch that was running before."""
    found = []
    for minute in range(0, int(hours * 60), 5):
        now = NOW + timedelta(minutes=minute)
        with home.switch.settled(now):
            found += home.watch.tick(now).alerts
    return found


def test_history_is_judged_anew_and_alarms_nobody(home: Any) -> None:
    watching = home.new_watch()
    assert watching.tick(NOW).alerts == ()
    rejudged = home.go()
    assert rejudged == home.posts.size() and home.judged_by() == {NEW}
    assert home.models.lines() == ("shipped", NEW) and home.models.in_use().name == NEW
    home.watch = watching
    assert ticks(home) == []


def test_without_new_baselines_it_would_have_alarmed(home: Any) -> None:
    home.recount = lambda now, why: None
    home.go()
    assert ticks(home) != [], "the test above can fail"


def test_stories_influence_and_corrections_stay(home: Any) -> None:
    (one, two) = home.posts.search(switching_query(limit=2)).found
    said = Correction(
        post=one.post.id, text=text_mark(one.post), at=NOW, by="王芳", sentiment=Sentiment.POSITIVE
    )
    stale = replace(said, post=two.post.id, text="another text")
    home.ledger.corrections.put([said, stale])
    home.go()
    after = home.posts.get(one.post.id)
    assert after.assessment.sentiment is Sentiment.POSITIVE and after.assessment.corrected_by == "王芳"
    assert (after.assessment.story, after.assessment.influence) == (
        one.assessment.story,
        one.assessment.influence,
    )
    assert home.posts.get(two.post.id).assessment.corrected_by == ""


def switching_query(**fields: Any) -> Any:
    from store.posts import Query

    return Query(**fields)


def mild(number: int, at: Any) -> Any:
    return scene.judged(f"mild-{number}", at, sentiment=Sentiment.NEUTRAL)


def test_an_open_alert_is_not_told_again_because_it_is_counted_anew(tmp_path: Path) -> None:
    def play(recounts: bool) -> list[Any]:
        folder = tmp_path / str(recounts)
        folder.mkdir()
        home = switching.Home(folder, switching.Stern(share=0.5))
        crisis = [
            each if number % 5 < 3 else mild(number, each.post.published_at)
            for number, each in enumerate(scene.crisis(NOW - timedelta(minutes=55), count=100))
        ]  # fmt: skip
        home.posts.put([*scene.background(NOW - timedelta(hours=1), days=12, per_hour=20), *crisis])
        home.watch.rebuild(NOW - timedelta(hours=2))
        born = [
            each
            for minute in range(-50, 1, 5)
            for each in home.watch.tick(NOW + timedelta(minutes=minute)).alerts
        ]
        assert born and all(home.ledger.alerts.handled(each, at=NOW) for each in born)
        if not recounts:
            home.recount = lambda now, why: home.watch.rebuild(now)
        home.go()
        found = [each for each in home.watch.tick(NOW).alerts if each.change is Change.UPDATE]
        assert not home.ledger.alerts.pending() or found
        home.close()
        return found

    assert play(recounts=True) == []
    assert play(recounts=False) != [], "the assertion above can fail"


def test_a_post_judged_by_the_old_model_meanwhile_is_caught_up_with(home: Any) -> None:
    judge = home.judge.again

    def slow(posts: Any, before: Any) -> Any:
        if home.judge.asked == 0:
            home.posts.put([scene.judged("late", NOW - timedelta(minutes=1), sentiment=Sentiment.NEUTRAL)])
        return judge(posts, before)

    home.judge.again = slow
    home.go()
    assert home.judged_by() == {NEW}


def test_an_edited_or_forgotten_post_is_left_alone(home: Any) -> None:
    found = home.posts.search(switching_query(limit=2)).found
    decide = home.models.decide

    def meanwhile(pending: Any) -> None:
        edited = replace(found[0].post, text="改过的话", fetched_at=NOW + timedelta(hours=3))
        home.posts.put([replace(found[0], post=edited)])
        home.posts.forget(before=NOW + timedelta(days=1), keep=[each.post.id for each in found])
        decide(pending)

    home.models.decide = meanwhile
    home.go()
    assert {each.post.text: each.assessment.model for each in home.posts.search(switching_query()).found} == {
        "改过的话": OLD,
        found[1].post.text: NEW,
    }


@pytest.mark.parametrize("brands_change", [False, True])
def test_what_an_interrupted_switch_judged_counts_under_the_same_brands_alone(
    home: Any, monkeypatch: pytest.MonkeyPatch, brands_change: bool
) -> None:
    class Killed(BaseException):
        pass

    def dead(pending: Any) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(home.models, "decide", dead)
        with pytest.raises(Killed):
            home.go()
    judged = home.judge.asked
    if brands_change:
        home.judge.background = "another-brand"
    home.go()
    assert home.judge.asked == judged * (2 if brands_change else 1) and home.judged_by() == {NEW}
    assert not list(home.models.folder.glob("*.rejudged"))


def test_nobody_looks_while_it_switches(home: Any) -> None:
    inside, seen = threading.Event(), []

    def look() -> None:
        inside.wait(10)
        with home.switch.settled(NOW):
            seen.append((home.models.lines()[-1], home.judged_by()))

    recount = home.recount

    def slow(now: Any, why: str) -> None:
        inside.set()
        time.sleep(0.3)
        recount(now, why)

    home.recount = slow
    looker = threading.Thread(target=look)
    looker.start()
    home.go()
    looker.join(20)
    assert seen == [(NEW, {NEW})]


def test_busy_workers_do_not_keep_a_switch_waiting(home: Any) -> None:
    """Two that look in overlapping turns without a pause: at no time does nobody look."""
    done = threading.Event()

    def busy(late: float) -> None:
        time.sleep(late)
        while not done.is_set():
            with home.switch.settled(NOW):
                time.sleep(0.2)

    workers = [threading.Thread(target=busy, args=(late,)) for late in (0.0, 0.1)]
    for each in workers:
        each.start()
    time.sleep(0.3)
    switching_ = threading.Thread(target=home.go)
    switching_.start()
    switching_.join(20)
    switched = home.models.lines()[-1]
    done.set()
    for each in (*workers, switching_):
        each.join(20)
    assert switched == NEW


def test_going_back_judges_again_by_the_old_one(home: Any) -> None:
    home.go()
    first = home.stamp()
    home.judge.model = OLD
    home.go(("shipped",))
    assert home.judged_by() == {OLD} and home.models.lines() == ("shipped",)
    assert home.stamp() != first, "a running watch must see that the baselines are others"


def test_staged_judgements_that_vanished_leave_the_old_model(home: Any) -> None:
    from app.models import Pending

    home.models.decide(Pending(lines=("shipped", NEW), staged="gone.rejudged", before="shipped", by="王芳"))
    with pytest.raises(ModelError, match="没有切换"):
        ticks(home)
    assert home.models.lines() == ("shipped",) and home.models.pending() is None
    assert ticks(home, 0.2) == []


@pytest.mark.slow
def test_killed_at_any_step_it_is_the_old_model_or_finished_by_the_next(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    made = switching.Home(fresh)
    made.posts.put(scene.background(NOW, days=3))
    made.watch.rebuild(NOW)
    before, size = made.stamp(), made.posts.size()
    made.close()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    undecided = decided = 0
    for fuse in range(1, 40):
        folder = tmp_path / str(fuse)
        shutil.copytree(fresh, folder)
        done = subprocess.run([sys.executable, _path, folder, str(fuse)], env=environment, timeout=60)
        home = switching.Home(folder)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        if home.models.pending() is None and home.models.lines() == ("shipped",):
            undecided += 1
            assert (home.judged_by(), home.stamp()) == ({OLD}, before), (
                "nothing that anybody reads has changed"
            )
            home.go()
            assert home.judge.asked < size or undecided == 1, (
                "what was judged before the kill is not judged again"
            )
        else:
            decided += 1
            assert home.watch.tick(NOW) is not None and ticks(home, 0.2) == []
        check_switched(home, size)
        home.close()
    assert undecided >= 3 and decided >= 5
    check_switched(home, size)
    home.close()


def check_switched(home: Any, size: int) -> None:
    assert home.models.lines() == ("shipped", NEW) and home.models.pending() is None
    assert home.judged_by() == {NEW} and home.posts.size() == size
    assert not list(home.models.folder.glob("*.rejudged"))
    told = [(entry.actor, entry.reason) for entry in home.ledger.audit.last()]
    assert set(told) == {("王芳", f"shipped → {NEW}")} and len(told) <= 2, "a kill loses no entry"
    stored = home.ledger.states.load("baseline")
    home.watch.recount(NOW, why="check")
    assert home.ledger.states.load("baseline") == stored, "the baselines are those of the new judgements"


def test_a_watch_finishes_what_was_decided(home: Any) -> None:
    class Killed(BaseException):
        pass

    def dead(now: Any, why: str) -> None:
        raise Killed

    recount, home.recount = home.recount, dead
    with pytest.raises(Killed):
        home.go()
    assert home.models.lines() == ("shipped",) and home.models.pending() is not None
    home.recount = recount
    assert ticks(home, 0.2) == []
    assert home.models.lines() == ("shipped", NEW) and home.judged_by() == {NEW}
