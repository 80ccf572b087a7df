"""Run the crawls of several sources in one Scrapy process, each to a recorded outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from config.settings import Source
from crawlers.draft import tidy
from crawlers.health import worst
from crawlers.pipelines import Intake
from crawlers.privacy import mask
from crawlers.rejects import Rejects
from domain.errors import StoreError
from domain.source_run import Outcome, SourceRun
from store.inbox import Inbox
from store.ledger import Ledger

USER_AGENT = "Mozilla/5.0 (compatible; Yujing/0.1; reputation monitor)"
MAX_PAGE = 10 * 1024 * 1024
"""Bytes of a response, unpacked, above which it is dropped."""


def crawl(
    sources: Sequence[Source],
    *,
    inbox: Inbox,
    ledger: Ledger,
    secret: bytes,
    now: Callable[[], datetime],
    rejects: Path,
    cookies: Mapping[str, str] | None = None,
    backoff_s: float = 1.0,
    user_agent: str = USER_AGENT,
) -> list[SourceRun]:
    """Crawl the sources, once; blocks until all have ended, and may be called once in a process.

    ``rejects`` is the folder for what could not become a post, ``cookies`` a cookie header by source id,
    ``backoff_s`` the first wait before another try. Every source's ``SourceRun`` is recorded in the ledger,
    that of a crashed crawl too, and returned in the order of ``sources``. Raises ``StoreError`` when the
    inbox or the ledger refused; what was put before stays.
    """
    from scrapy.crawler import AsyncCrawlerProcess, Crawler

    for noisy in ("scrapy", "twisted", "asyncio", "protego", "trafilatura", "htmldate", "courlan"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL + 1)
    _mute_twisted()
    process = AsyncCrawlerProcess(_common(sources, backoff_s, user_agent))
    watches = []
    for source in sources:
        intake = Intake(
            source=source.id,
            platform=source.platform,
            tier=source.tier,
            inbox=inbox,
            seen=ledger.source_runs,
            rejects=Rejects(rejects),
            secret=secret,
            now=now,
        )
        cookie = (cookies or {}).get(source.id, "")
        crawler = Crawler(
            _spider(source.kind), {**_common(sources, backoff_s, user_agent), **_own(source, cookie)}
        )
        watch = Watch(source=source, intake=intake, ledger=ledger, now=now)
        watch.follow(crawler)
        watch.task = process.crawl(crawler, source=source, intake=intake, now=now, cookie=cookie)
        watches.append(watch)
    process.start()
    runs = [watch.ended() for watch in watches]
    for watch in watches:
        if watch.intake.failure:
            raise StoreError(f"来源 {watch.source.id}：{watch.intake.failure}", permanent=False)
    return runs


def _mute_twisted() -> None:
    """Twisted prints failures of its own to stderr as long as nobody observes it; outcomes say what matters."""
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


class Watch:
    """Follows one crawl and records how it ended."""

    def __init__(
        self, *, source: Source, intake: Intake, ledger: Ledger, now: Callable[[], datetime]
    ) -> None:
        self.source, self.intake, self._ledger, self._now = source, intake, ledger, now
        self._started = now()
        self._crashes: list[str] = []
        self._run: SourceRun | None = None
        self.task: asyncio.Task[None] | None = None
        """The running crawl."""

    def follow(self, crawler: Any) -> None:
        """Listen to a crawler's signals."""
        from scrapy import signals

        self._crawler = crawler
        crawler.signals.connect(self._crashed, signal=signals.spider_error)
        crawler.signals.connect(self._crashed, signal=signals.item_error)
        crawler.signals.connect(self._closed, signal=signals.spider_closed)

    def ended(self) -> SourceRun:
        """The recorded run; a crawl that never opened is recorded now, as unreachable."""
        failed = (
            self.task.exception() if self.task and self.task.done() and not self.task.cancelled() else None
        )
        if failed:
            self._crashes.append(f"程序出错：{type(failed).__name__}: {failed}")
        if self._run is None:
            self._record(Outcome.UNREACHABLE, self._crashes[0] if self._crashes else "抓取未能启动")
        assert self._run is not None
        return self._run

    def _crashed(self, failure: Any) -> None:
        error = failure.value
        if isinstance(error, StoreError) and self.intake.failure is None:
            self.intake.failure = error
        self._crashes.append(f"程序出错：{type(error).__name__}: {error}")

    def _closed(self, spider: Any, reason: str) -> None:
        if reason == "finished" and not self._crashes and not self.intake.failure:
            self._finish(spider)
        outcome, detail = worst(spider.came_to())
        if self.intake.failure:
            outcome, detail = Outcome.UNREACHABLE, f"存储失败：{self.intake.failure}"
        elif self._crashes:
            outcome, detail = Outcome.SCHEMA_CHANGED, self._crashes[0]
        elif reason == "closespider_timeout":
            outcome, detail = (
                Outcome.UNREACHABLE,
                f"超过 {self.source.limit_s:g} 秒仍未爬完，已收 {len(spider.found)} 条",
            )
        elif reason == "shutdown":
            outcome, detail = Outcome.UNREACHABLE, "抓取被中断"
        self._record(outcome, detail, found=len(spider.found))

    def _finish(self, spider: Any) -> None:
        """Only now: what was asked for last may have come after the end of its list."""
        try:
            self.intake.finish(spider.through())
        except StoreError as error:
            self.intake.failure = error

    def _record(self, outcome: Outcome, detail: str, *, found: int = 0) -> None:
        counts = self.intake.counts
        stats = self._crawler.stats
        self._run = SourceRun(
            source=self.source.id,
            started_at=self._started,
            ended_at=self._now(),
            outcome=outcome,
            detail=mask(tidy(detail).replace("\n", " "))[:300],
            requests=stats.get_value("downloader/request_count", 0) if stats else 0,
            found=found,
            new=counts.new,
            refreshed=counts.refreshed,
            rejected=counts.rejected,
        )
        try:
            self._ledger.source_runs.record(self._run)
        except StoreError as error:
            self.intake.failure = self.intake.failure or error


def _spider(kind: str) -> Any:
    from crawlers.spiders.feed import FeedSpider
    from crawlers.spiders.guba import GubaSpider
    from crawlers.spiders.heimao import HeimaoSpider
    from crawlers.spiders.weibo import WeiboSpider

    return {"feed": FeedSpider, "weibo": WeiboSpider, "guba": GubaSpider, "heimao": HeimaoSpider}[kind]


def _common(sources: Sequence[Source], backoff_s: float, user_agent: str) -> dict[str, Any]:
    """Scrapy settings of the process and of every crawl in it."""
    return {
        "TWISTED_DNS_RESOLVER": "crawlers.resolver.GuardedResolver",
        "YUJING_TRUSTED_HOSTS": [urlsplit(source.base_url).hostname for source in sources],
        "YUJING_BACKOFF_S": backoff_s,
        "LOG_ENABLED": False,
        "LOG_INSTALL_ROOT_HANDLER": False,
        "STATS_DUMP": False,
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "MEMUSAGE_ENABLED": False,
        "LOGSTATS_INTERVAL": 0,
        "USER_AGENT": user_agent,
        "ROBOTSTXT_USER_AGENT": "Yujing",
        "DNS_TIMEOUT": 10,
        # First asked, first fetched: Scrapy's default would read a feed from its oldest end.
        "SCHEDULER_MEMORY_QUEUE": "scrapy.squeues.FifoMemoryQueue",
        "DEFAULT_REQUEST_HEADERS": {
            "Accept": "text/html,application/xml;q=0.9,*/*;q=0.8",
            "Accept-Language": "zh-CN,zh;q=0.9",
        },
    }


def _own(source: Source, cookie: str) -> dict[str, Any]:
    """Scrapy settings of one source's crawl."""
    from crawlers.spiders.source import SURGE

    return {
        "ROBOTSTXT_OBEY": source.obey_robots,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": source.delay_s,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": float(source.concurrency),
        "DOWNLOAD_DELAY": source.delay_s,
        "DOWNLOAD_DELAY_JITTER": 0,
        "CONCURRENT_REQUESTS": source.concurrency,
        "CONCURRENT_REQUESTS_PER_DOMAIN": source.concurrency,
        "DOWNLOAD_TIMEOUT": source.timeout_s,
        "DOWNLOAD_MAXSIZE": MAX_PAGE,
        "DOWNLOAD_WARNSIZE": 0,
        "CLOSESPIDER_TIMEOUT": source.limit_s,
        "DEPTH_LIMIT": source.pages * SURGE + 2,
        "REDIRECT_MAX_TIMES": 5,
        "METAREFRESH_ENABLED": False,
        "HTTPERROR_ALLOW_ALL": True,
        "REFERER_ENABLED": False,
        # A cookie of the operator's is sent as it is; Scrapy's cookie jar would replace it.
        "COOKIES_ENABLED": not cookie,
        "ITEM_PIPELINES": {"crawlers.pipelines.InboxPipeline": 100},
        "DOWNLOADER_MIDDLEWARES": {
            "crawlers.middlewares.SameSiteMiddleware": 10,
            "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
            "crawlers.middlewares.PatientRetryMiddleware": 550,
        },
    }
