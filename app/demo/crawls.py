"""Crawl processes of a run: the service's own job, counted, never more often than allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.service import CrawlFailed, crawl_jobs
from app.stopping import Stop
from app.wire import App
from monitor.scheduler import Stopped, stop_processes

_GLANCE_S = 0.2
"""Real seconds between two looks at whether a crawl has ended."""


class Crawls:
    """All sources of a run have one rhythm, so one job crawls them all in one process."""

    def __init__(self, app: App, most: int, stop: Stop) -> None:
        (self.job,) = crawl_jobs(app, quiet=True)
        self._app, self._most, self._stop = app, most, stop
        self.count = 0
        """Processes started so far."""
        self._lock = threading.Lock()
        self._running: threading.Thread | None = None

    def begin(self, *, spare: int = 0) -> threading.Thread | None:
        """Start a crawl; None when one runs already, or no more than ``spare`` processes are left.

        A crawl that ends badly is no exception here: ``complaints`` says what became of each source.
        """
        with self._lock:
            if self.count + spare >= self._most or (self._running and self._running.is_alive()):
                return None
            self.count += 1
            self._running = threading.Thread(target=self._crawl)
            self._running.start()
            return self._running

    def run(self, *, spare: int = 0) -> None:
        """Crawl once, to the end or until asked to stop, unless ``begin`` would not."""
        crawl = self.begin(spare=spare)
        while crawl and crawl.is_alive():
            crawl.join(_GLANCE_S)
            if self._stop.asked:
                self._end(crawl)

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Ends the crawl that runs when what is done meanwhile is interrupted."""
        try:
            yield
        except BaseException:
            if self._running:
                self._end(self._running)
            raise

    def _end(self, crawl: threading.Thread) -> None:
        # Asked again and again: its process may not have been started yet.
        while crawl.is_alive():
            stop_processes()
            crawl.join(_GLANCE_S)

    def _crawl(self) -> None:
        with suppress(CrawlFailed, Stopped):
            self.job.run()

    def complaints(self) -> list[str]:
        """One line for each source that could not see in its last crawl, or has not been crawled."""
        runs = self._app.ledger.source_runs.last()
        lines = []
        for source in self._app.settings.sources:
            run = runs.get(source.id)
            if run is None:
                lines.append(f"数据源 {source.id}：抓取没有留下结果")
            elif not run.outcome.seeing:
                lines.append(f"数据源 {source.id}：{run.outcome.word}（{run.detail}）")
        return lines
