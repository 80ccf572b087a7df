"""The scheduler: intervals, failures, persistence, processes that hang."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import ConfigError
from monitor.scheduler import KIND, Job, Scheduler, Stopped, run_process
from store.ledger import Ledger

PYTHON = [sys.executable, "-c"]


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_runs_at_once_and_again_compressed_by_the_rate() -> None:
    runs: list[float] = []
    scheduler = Scheduler(
        [Job(name="tick", run=lambda: runs.append(time.monotonic()), every_s=300)], rate=3000
    )
    scheduler.start()
    wait_for(lambda: len(runs) >= 4)
    scheduler.stop()
    count = len(runs)
    time.sleep(0.25)
    assert len(runs) == count


def test_a_failing_job_is_told_and_the_rest_goes_on() -> None:
    failures: list[tuple[str, str]] = []
    good = threading.Event()

    def bad() -> None:
        raise ValueError("broken")

    scheduler = Scheduler(
        [Job(name="bad", run=bad, every_s=0.05), Job(name="good", run=good.set, every_s=1)],
        on_error=lambda name, error: failures.append((name, str(error))),
    )
    scheduler.start()
    wait_for(lambda: len(failures) >= 2 and good.is_set())
    scheduler.stop()
    assert set(failures) == {("bad", "broken")}


def test_a_slow_job_never_runs_twice_at_a_time() -> None:
    running, most, runs = 0, 0, 0
    lock = threading.Lock()

    def slow() -> None:
        nonlocal running, most, runs
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.2)
        with lock:
            running -= 1
            runs += 1

    scheduler = Scheduler([Job(name="slow", run=slow, every_s=0.05)])
    scheduler.start()
    wait_for(lambda: runs >= 3)
    scheduler.stop()
    assert most == 1
    assert running == 0


def test_what_ran_lately_waits_its_turn_after_a_restart(ledger: Ledger) -> None:
    fresh, stale = [], []
    now = datetime.now(UTC)
    ledger.states.save(
        KIND,
        {
            "fresh": {"at": now.isoformat()},
            "stale": {"at": (now - timedelta(hours=2)).isoformat()},
            "x": {"at": "?"},
        },
    )
    jobs = [
        Job(name="fresh", run=lambda: fresh.append(1), every_s=3600),
        Job(name="stale", run=lambda: stale.append(1), every_s=3600),
    ]
    scheduler = Scheduler(jobs, states=ledger.states)
    scheduler.start()
    wait_for(lambda: stale and ledger.states.load(KIND)["stale"]["at"] > now.isoformat())
    scheduler.stop()
    assert fresh == []


def test_a_cron_missed_while_down_runs_once_at_the_start(ledger: Ledger) -> None:
    runs: list[int] = []
    ledger.states.save(KIND, {"clean": {"at": (datetime.now(UTC) - timedelta(days=3)).isoformat()}})
    job = Job(name="clean", run=lambda: runs.append(1), cron="17 4 * * *")
    scheduler = Scheduler(
        [job, Job(name="new", run=lambda: runs.append(2), cron="17 4 1 1 *")], states=ledger.states
    )
    scheduler.start()
    wait_for(lambda: runs == [1])
    scheduler.stop()
    assert runs == [1]


@pytest.mark.parametrize("cron", ["nonsense", "99 * * * *"])
def test_a_bad_cron_is_a_clear_error(cron: str) -> None:
    with pytest.raises(ConfigError, match="clean"):
        Scheduler([Job(name="clean", run=lambda: None, cron=cron)])


@pytest.mark.parametrize("given", [{}, {"every_s": 1, "cron": "* * * * *"}, {"every_s": 0}])
def test_a_job_has_one_rhythm(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="job x"):
        Job(name="x", run=lambda: None, **given)  # type: ignore[arg-type]


def test_exit_codes_come_back() -> None:
    assert run_process([*PYTHON, "raise SystemExit(3)"], timeout_s=30, env=os.environ) == 3
    assert run_process([*PYTHON, ""], timeout_s=30, env=os.environ) == 0


def test_a_hanging_process_is_ended_with_its_children(tmp_path) -> None:
    marker = tmp_path / "alive"
    child = f"import time, pathlib\nwhile True: pathlib.Path({str(marker)!r}).touch(); time.sleep(0.05)"
    parent = (
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    )
    began = time.monotonic()
    assert run_process([*PYTHON, parent], timeout_s=3, env=os.environ) == 124
    assert time.monotonic() - began < 20
    marker.unlink(missing_ok=True)
    time.sleep(0.5)
    assert not marker.exists()


def test_stop_ends_the_process_a_job_waits_for(ledger: Ledger, tmp_path) -> None:
    """That is no failure of the job, and it has not run: it is due again at the next start."""
    failures: list[str] = []
    ended: list[BaseException] = []
    started = tmp_path / "started"
    child = f"import time, pathlib\npathlib.Path({str(started)!r}).touch()\ntime.sleep(60)"

    def crawl() -> None:
        try:
            run_process([*PYTHON, child], timeout_s=60, env=os.environ)
        except BaseException as error:
            ended.append(error)
            raise

    scheduler = Scheduler(
        [Job(name="crawl", run=crawl, every_s=60)],
        on_error=lambda job, _: failures.append(job),
        states=ledger.states,
    )
    scheduler.start()
    while not started.exists():
        time.sleep(0.05)
    began = time.monotonic()
    scheduler.stop()
    assert time.monotonic() - began < 20
    assert [type(error) for error in ended] == [Stopped]
    assert failures == [] and ledger.states.load(KIND) == {}
