"""Crawl processes of a run: the service's own job, counted, never more often than allowed."""

from __future__ import annotations

import threading

from app.service import CrawlFailed, crawl_jobs
from app.wire import App


class Crawls:
    """All sources of a run have one rhythm, so one job crawls them all in one process."""

    def __init__(self, app: App, most: int) -> None:
        (self.job,) = crawl_jobs(app, quiet=True)
        self._app, self._most = app, most
        self.count = 0
        """Processes started so far."""
        self._lock = threading.Lock()

    def run(self, *, spare: int = 0) -> bool:
        """Crawl once, to the end; False when no more than ``spare`` processes are left and nothing was done.

        A crawl that ends badly is no exception here: ``complaints`` says what became of each source.
        """
        with self._lock:
            if self.count + spare >= self._most:
                return False
            self.count += 1
            try:
                self.job.run()
            except CrawlFailed:
                return True
            return True

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
