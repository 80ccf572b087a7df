"""Which sources are blind: a source that brings nothing must never look calm."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta

from config.settings import Source
from domain.source_run import SourceRun
from store.ledger import SourceRuns

_SILENT_RUNS = 6
_USUAL_RUNS = 3
_SILENT_FOR = timedelta(hours=3)
_DUE_POSTS = 30
_HISTORY = 300


def blind_sources(
    sources: Sequence[Source], runs: SourceRuns, now: datetime
) -> dict[str, tuple[datetime, str]]:
    """Blind source id → since when it sees nothing, and why in Chinese.

    Blind: no seeing crawl for ``blind_after_min``; or a flatline against its own usual. A source that was never
    crawled is not judged.
    """
    last, seeing = runs.last(), runs.last_seeing()
    found = {}
    for source in sources:
        run = last.get(source.id)
        if not source.enabled or run is None:
            continue
        since = seeing.get(source.id)
        if since is None:
            since = runs.history(source.id, limit=_HISTORY)[-1].started_at
        silent = now - since
        if silent > timedelta(minutes=source.blind_after_min):
            minutes = int(silent.total_seconds() // 60)
            state = "抓取没有再运行" if run.outcome.seeing else run.outcome.word
            detail = f"（{_printable(run.detail)}）" if run.detail and not run.outcome.seeing else ""
            found[source.id] = (since, f"{source.name} 已 {minutes} 分钟没有看到数据：{state}{detail}")
            continue
        flat = flatline(runs.history(source.id, limit=_HISTORY))
        if flat is not None:
            since, due = flat
            hours = (now - since).total_seconds() / 3600
            found[source.id] = (
                since,
                f"{source.name} {hours:.0f} 小时没有一条新帖，平时这段时间约 {due:.0f} 条：多半是抓取失灵",
            )
    return found


def flatline(history: Sequence[SourceRun]) -> tuple[datetime, float] | None:
    """Since when a source is silent against its own usual, and how many posts were due; None when it is not.

    ``history``: newest first. Silent: at least six crawls over three hours without a new post, in which the
    median of its earlier crawls, at least three, would have brought 30: one large first crawl is not the usual.
    """
    silent = 0
    for run in history:
        if run.new:
            break
        silent += 1
    earlier = [run.new for run in history[silent:]]
    if silent < _SILENT_RUNS or len(earlier) < _USUAL_RUNS:
        return None
    since = history[silent].ended_at
    due = statistics.median(earlier) * silent
    if due < _DUE_POSTS or history[0].ended_at - since < _SILENT_FOR:
        return None
    return since, due


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:120]
