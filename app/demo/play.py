"""The event: the service's own jobs on APScheduler, in compressed time."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from datetime import datetime

from app.clock import wall
from app.demo.cast import Cast
from app.demo.crawls import Crawls
from app.demo.narrator import Narrator
from app.sandbox.mailbox import Mailbox
from app.service import mirror_jobs, notify_job, tick_job
from app.stopping import Stop
from app.wire import App
from domain.alert import Alert, Change, Level
from domain.local_time import SHANGHAI
from monitor.scheduler import Job, Scheduler

BREATH_S = 0.5
"""Real seconds between two looks at what happened, and between two rounds of the worker."""
NEAR_S = 1.0
"""The clock has reached the present when it is so many seconds behind."""
_CHANGES = {Change.NEW: "预警", Change.UPDATE: "更新", Change.ESCALATED: "升级", Change.RECOVERED: "恢复"}


class Play:
    """Runs the service until scenario time is the present, then looks once more."""

    def __init__(
        self, app: App, cast: Cast, crawls: Crawls, mailbox: Mailbox, narrator: Narrator, stop: Stop
    ) -> None:
        self._app, self._cast, self._crawls = app, cast, crawls
        self._mailbox, self._narrator, self._stop = mailbox, narrator, stop
        self._told: set[str] = set()
        self._posts = app.posts.size()
        self._working = threading.Lock()

    def run(self) -> None:
        """Play to the present.

        Raises ``YujingError`` when the last look fails, ``Interrupted`` when asked to stop.
        """
        narrator, clock = self._narrator, self._app.clock
        narrator.stage(f"上演：时间加快到 {clock.rate:.0f} 倍，抓取、研判、检测、投递照常运转")
        # Jobs that are late in compressed time are put off; that is what they are told to do, and no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        began, start = time.monotonic(), clock.now()
        scheduler = Scheduler(self._jobs(), rate=clock.rate, on_error=self._failed)
        scheduler.start()
        try:
            while (wall() - clock.now()).total_seconds() > NEAR_S:
                self._stop.wait(BREATH_S)
                self._stop.check()
                self._tell()
                now = clock.now()
                done, total = (now - start).total_seconds(), (wall() - start).total_seconds()
                narrator.advance("情景时间", done, total, f"{now.astimezone(SHANGHAI):%m-%d %H:%M}")
        finally:
            narrator.done()
            scheduler.stop()
        self._last_look()
        for words in self._crawls.complaints():
            narrator.warn(words)
        narrator.say(f"演完：{time.monotonic() - began:.0f} 秒，抓取进程 {self._crawls.count} 个")

    def _jobs(self) -> list[Job]:
        app, breath = self._app, BREATH_S * self._app.clock.rate
        return [
            replace(self._crawls.job, run=self._crawl),
            tick_job(app),
            replace(notify_job(app), every_s=breath),
            Job(name="work", run=self._work, every_s=breath),
            Job(name="deliver", run=self._deliver, every_s=breath),
        ]

    def _crawl(self) -> None:
        self._crawls.run(spare=1)  # one is kept for the last look

    def _deliver(self) -> None:
        self._app.deliverer.deliver(now=self._app.clock.now)

    def _work(self) -> None:
        with self._working:
            self._app.worker.drain(now=self._app.clock.now, stop=lambda: self._stop.asked)

    def _last_look(self) -> None:
        """What was published in the last minutes, and what was waiting to be said about it."""
        app = self._app
        self._crawls.run()
        self._work()
        self._stop.check()
        now = app.clock.now()
        app.watch.tick(now)
        app.handle_alerts(now, wait=False)
        self._deliver()
        for job in mirror_jobs(app):
            job.run()
        self._tell()

    def _failed(self, job: str, error: BaseException) -> None:
        """Say it, once; the job runs again, and what matters is what has happened in the end."""
        words = f"{job}：{error}" if str(error) else f"{job}：{type(error).__name__}"
        if words not in self._told:
            self._told.add(words)
            self._narrator.warn(words)

    # ------------------------------------------------------------------ what happened

    def _tell(self) -> None:
        app, now = self._app, self._app.clock.now()
        size = app.posts.size()
        if size > self._posts:
            self._narrator.event(now, f"新帖 {size - self._posts} 条，库里共 {size} 条")
            self._posts = size
        for alert in reversed(app.ledger.alerts.find(limit=50)):
            self._once(f"{alert.id}/{alert.level}", alert.at, self._of_alert(alert), alert.level)
        for incident in reversed(app.ledger.incidents.find(limit=50)):
            plan = app.settings.plans.get(incident.plan)
            words = f"事件 {incident.id}" + (f"，建议预案「{plan.name}」" if plan else "")
            self._once(f"{incident.id}/{incident.plan}", incident.opened_at, words)
        for path in self._mailbox.mails:
            self._once(str(path), now, f"邮件到了：{path.name}")

    def _of_alert(self, alert: Alert) -> str:
        if not alert.brand:
            return f"运维{_CHANGES[alert.change]} · {alert.explanation}"
        names = {brand.id: brand.name for brand in self._app.settings.brands}
        who = names.get(alert.brand, alert.brand)
        return f"{alert.level.colour}色{_CHANGES[alert.change]} · {who} · {alert.explanation}"

    def _once(self, key: str, at: datetime, words: str, level: Level = Level.NONE) -> None:
        if key not in self._told:
            self._told.add(key)
            self._narrator.event(at, words, level)
