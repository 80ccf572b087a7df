"""Crawl processes of a run: the service's own job, counted, never more often than allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from app.service import CrawlFailed, crawl_jobs
from app.wire import App
from monitor.scheduler import Stopped, stop_processes


class Crawls:
    """All sources of a run have one rhythm, so one job crawls them all in one process."""

    def __init__(self, app: App, most: int) -> None:
        (self.job,) = crawl_jobs(app, quiet=True)
        self._app, self._most = app, most
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
        """Crawl once, to the end, unless ``begin`` would not."""
        crawl = self.begin(spare=spare)
        if crawl:
            with self.ending():
                crawl.join()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Ends the crawl that runs when what is done meanwhile is interrupted."""
        try:
            yield
        except BaseException:
            stop_processes()
            if self._running:
                self._running.join()
            raise

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
