"""What the scheduler runs: crawls, ticks and retention; in the demo, the worker and the deliverer beside them."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from app.clock import VARIABLE
from app.wire import App
from config.settings import Source
from crawlers.rejects import Rejects
from domain.incident import OPEN, Incident
from monitor.scheduler import Job, run_process
from store.ledger import MOST_OPEN
from store.posts import Posts

NOTIFY_S = 15.0
"""Seconds between two looks for alerts that nobody has handled."""
MIRROR_S = 60.0
"""Seconds between two copies of what happened to where Kibana sees it."""


def service_jobs(app: App) -> list[Job]:
    """The jobs of ``yujing watch``."""
    return [*crawl_jobs(app), tick_job(app), notify_job(app), *mirror_jobs(app), retention_job(app)]


def crawl_jobs(app: App, *, quiet: bool = False) -> list[Job]:
    """One job for each rhythm: sources that are due together share one process (docs/decisions/005).

    ``quiet`` drops the outcomes that a crawl prints; they are in the ledger too.
    """
    groups: dict[int, list[Source]] = defaultdict(list)
    for source in app.settings.sources:
        if source.enabled:
            groups[source.every_min].append(source)
    return [
        Job(name=f"crawl-{minutes}min", run=_crawling(app, sources, quiet), every_s=minutes * 60)
        for minutes, sources in sorted(groups.items())
    ]


class CrawlFailed(Exception):
    """The crawl process ended badly; its sources' recorded outcomes say why."""


def _crawling(app: App, sources: Sequence[Source], quiet: bool):  # type: ignore[no-untyped-def]
    # -P: a folder called app in the working directory is not this package.
    command = [sys.executable, "-P", "-m", "app", "crawl", *(source.id for source in sources)]
    # Each source has its own limit inside of the process; the margin covers starting and stopping.
    timeout = max(source.limit_s for source in sources) + 60

    def run() -> None:
        code = run_process(
            command, timeout_s=timeout, env={**os.environ, VARIABLE: str(app.clock)}, quiet=quiet
        )
        if code:
            raise CrawlFailed(f"抓取进程退出代码 {code}；运行 yujing status 看每个数据源的结果")

    return run


def tick_job(app: App) -> Job:
    """Counts → signals → alerts → incidents → outbox."""

    def run() -> None:
        now = app.clock.now()
        with app.switch.settled(now):
            app.watch.tick(now)
            app.handle_alerts(now)

    return Job(name="tick", run=run, every_s=app.settings.rules.detection.tick_min * 60)


def notify_job(app: App) -> Job:
    """Mails that were held for others of their brand go out when their wait is over, not at the next tick."""

    def run() -> None:
        now = app.clock.now()
        with app.switch.settled(now):
            app.handle_alerts(now)

    return Job(name="notify", run=run, every_s=NOTIFY_S)


def mirror_jobs(app: App) -> list[Job]:
    """What happened, for Kibana; none where posts are embedded."""
    mirror = app.mirror
    if mirror is None:
        return []
    return [Job(name="mirror", run=lambda: mirror.run(app.clock.now()), every_s=MIRROR_S)]


def retention_job(app: App) -> Job:
    """Delete what is too old, except the evidence of incidents that are still open."""

    def run() -> None:
        forget_old(app, app.posts)
        forget_copies(app)

    return Job(name="retention", run=run, cron=app.settings.service.retention)


def forget_old(app: App, posts: Posts) -> int:
    """Delete what is too old from a store; returns how many.

    Evidence are the posts of all revisions of an alert: each names those of the hours that it looked at.
    """
    held = [alert for incident in _open(app) for alert in incident.alerts]
    evidence = {post for id_ in held for alert in app.ledger.journal.revisions(id_) for post in alert.posts}
    return posts.forget(before=_oldest(app), keep=sorted(evidence))


def forget_copies(app: App) -> None:
    """Delete what is too old of the text that lies beside the posts: in mails that have ended, and in rejects."""
    app.ledger.outbox.forget(before=_oldest(app), keep={incident.id for incident in _open(app)})
    Rejects(app.rejects).forget(before=_oldest(app))


def _open(app: App) -> list[Incident]:
    return app.ledger.incidents.find(statuses=OPEN, limit=MOST_OPEN)


def _oldest(app: App) -> datetime:
    return app.clock.now() - timedelta(days=app.settings.service.retention_days)
