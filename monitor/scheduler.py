"""Runs jobs by the clock: APScheduler 3.11 with what a service needs around it, and nothing more."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from domain.errors import ConfigError
from store.ledger import States

SHANGHAI = ZoneInfo("Asia/Shanghai")
KIND = "schedule"
_LOG = logging.getLogger(__name__)
_THREADS = 10
_APART = timedelta(minutes=1)
"""By how much the clock of a host that led before may be ahead of ours."""
_MERCY_S = 5.0
"""Seconds between asking a process group to end and killing it."""
_running: set[subprocess.Popen[bytes]] = set()
_stopped: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something that runs again and again; either ``every_s`` or ``cron`` is given."""

    name: str
    run: Callable[[], None]
    every_s: float | None = None
    """Scenario seconds between two starts."""
    cron: str = ""
    """Five fields, Asia/Shanghai. Always in wall time, also when the clock runs faster."""

    def __post_init__(self) -> None:
        if (self.every_s is None) == (not self.cron):
            raise ValueError(f"job {self.name}: either every_s or cron")
        if self.every_s is not None and self.every_s <= 0:
            raise ValueError(f"job {self.name}: every_s must be positive")


class Stopped(Exception):
    """A process was ended because the service ends: no failure, and its job has not run."""


def _log_error(job: str, error: BaseException) -> None:
    text = " ".join(str(error).split()) or type(error).__name__
    _LOG.error("任务 %s 失败：%s", job, text)


class Scheduler:
    """Runs jobs in threads, each never twice at a time; a job that fails is told and runs again when due.

    ``rate``: scenario seconds a wall second, by which intervals are compressed. With ``states`` the times of
    the last runs survive a restart: what became due meanwhile runs once at the start, the rest waits its turn.
    ``may_run`` is asked before each run (``monitor.leader``): what may not run is not noted as having run.
    Raises ``ConfigError`` for a cron that cannot be read.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        rate: float = 1.0,
        on_error: Callable[[str, BaseException], None] = _log_error,
        states: States | None = None,
        may_run: Callable[[], bool] = lambda: True,
    ) -> None:
        if rate <= 0:
            raise ValueError("rate must be positive")
        self._jobs = tuple(jobs)
        self._rate = rate
        self._on_error = on_error
        self._states = states
        self._may_run = may_run
        self._triggers = {job.name: self._trigger(job) for job in jobs}
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(_THREADS)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=SHANGHAI,
        )

    def start(self) -> None:
        """Start; what is due runs at once, in the order of the jobs."""
        now = datetime.now(UTC)
        last = self._states.load(KIND) if self._states else {}
        for position, job in enumerate(self._jobs):
            self._scheduler.add_job(
                self._run,
                self._triggers[job.name],
                args=[job],
                id=job.name,
                name=job.name,
                next_run_time=self._first(job, last.get(job.name), now + timedelta(milliseconds=position)),
            )
        self._scheduler.start()

    def stop(self) -> None:
        """Start nothing more, end the processes that jobs wait for, wait for the jobs themselves."""
        if self._scheduler.running:
            self._scheduler.pause()
            stop_processes()
            self._scheduler.shutdown(wait=True)

    def _trigger(self, job: Job) -> Any:
        if job.every_s is not None:
            return IntervalTrigger(seconds=job.every_s / self._rate, timezone=SHANGHAI)
        try:
            return CronTrigger.from_crontab(job.cron, timezone=SHANGHAI)
        except ValueError as error:
            raise ConfigError(f"任务 {job.name}：看不懂的 cron {job.cron!r}：{error}") from error

    def _first(self, job: Job, document: Mapping[str, object] | None, now: datetime) -> datetime:
        try:
            last = datetime.fromisoformat(str((document or {})["at"]))
        except (KeyError, ValueError):
            last = None
        if last is not None and now < last <= now + _APART:
            last = now
        if job.every_s is not None:
            due = last + timedelta(seconds=job.every_s / self._rate) if last else now
            # A clock that was set back must not put a job to sleep.
            return due if last and last <= now and due > now else now
        trigger = self._triggers[job.name]
        if last is not None and last <= now:
            missed: datetime | None = trigger.get_next_fire_time(last, last + timedelta(seconds=1))
            if missed is not None and missed <= now:
                return now
        coming: datetime = trigger.get_next_fire_time(None, now)
        return coming

    def _run(self, job: Job) -> None:
        if not self._may_run():
            return
        try:
            job.run()
        except Stopped:
            return
        except Exception as error:
            self._on_error(job.name, error)
        self._note(job)

    def _note(self, job: Job) -> None:
        if self._states is None:
            return
        try:
            self._states.save(KIND, {job.name: {"at": datetime.now(UTC).isoformat()}})
        except Exception as error:
            self._on_error(job.name, error)


def run_process(
    command: Sequence[str], *, timeout_s: float, env: Mapping[str, str], quiet: bool = False
) -> int:
    """Run a command in a process group of its own and return its exit code; ``quiet`` drops its stdout.

    After ``timeout_s`` the whole group is asked to end and, five seconds later, killed: 124 then, as of
    ``timeout(1)``. Raises ``OSError`` when the command cannot be started, ``Stopped`` after ``stop_processes``.
    """
    process = subprocess.Popen(
        list(command),
        env=dict(env),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
    )
    with _lock:
        _running.add(process)
    try:
        code = process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        code = 124
    finally:
        with _lock:
            _running.discard(process)
            stopped = process in _stopped
            _stopped.discard(process)
    if code and stopped:
        raise Stopped
    return code


def stop_processes() -> None:
    """Ask everything that ``run_process`` waits for to end."""
    with _lock:
        waiting = list(_running)
        _stopped.update(waiting)
    for process in waiting:
        _tell(process, signal.SIGTERM)
    for process in waiting:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_MERCY_S)
            continue
        _tell(process, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    _tell(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_MERCY_S)
    # Also when the leader has gone: its children may not have.
    _tell(process, signal.SIGKILL)
    process.wait()


def _tell(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
