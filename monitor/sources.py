"""Which sources are blind: a source that brings nothing must never look calm."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from config.settings import Source
from domain.local_time import SHANGHAI
from domain.source_run import SourceRun
from store.ledger import SourceRuns

_SILENT_RUNS = 6
_SILENT_FOR = timedelta(hours=3)
_DUE_POSTS = 30
_HISTORY = 300
_USUAL_MIN = 14 * 24 * 60
"""Minutes of history that say what is usual: two weekends."""


def blind_sources(
    sources: Sequence[Source], runs: SourceRuns, now: datetime
) -> dict[str, tuple[datetime, str]]:
    """Blind source id → since when it sees nothing, and why in Chinese.

    Blind: no seeing crawl for ``blind_after_min``; or a flatline against its own usual. A source that was never
    crawled is not judged. What a clock that was ahead has dated after ``now`` tells nothing.
    """
    last, seeing = runs.last(), runs.last_seeing()
    found = {}
    for source in sources:
        run = last.get(source.id)
        if not source.enabled or run is None:
            continue
        since = seeing.get(source.id)
        if run.started_at > now or (since is not None and since > now):
            past = _history(runs, source.id, _HISTORY, now)
            since = next((each.ended_at for each in past if each.outcome.seeing), None)
            if not past:
                continue
            run = past[0]
        if since is None:
            since = _history(runs, source.id, _HISTORY, now)[-1].started_at
        silent = now - since
        if silent > timedelta(minutes=source.blind_after_min):
            minutes = int(silent.total_seconds() // 60)
            state = "抓取没有再运行" if run.outcome.seeing else run.outcome.word
            detail = f"（{_printable(run.detail)}）" if run.detail and not run.outcome.seeing else ""
            found[source.id] = (since, f"{source.name} 已 {minutes} 分钟没有看到数据：{state}{detail}")
            continue
        if any(run.new for run in _history(runs, source.id, _SILENT_RUNS, now)):
            continue  # most sources at most ticks: the long history need not be read
        flat = flatline(_history(runs, source.id, _USUAL_MIN // source.every_min, now))
        if flat is not None:
            since, due = flat
            hours = (now - since).total_seconds() / 3600
            found[source.id] = (
                since,
                f"{source.name} {hours:.0f} 小时没有一条新帖，平时这段时间约 {due:.0f} 条：多半是抓取失灵",
            )
    return found


def _history(runs: SourceRuns, source: str, limit: int, now: datetime) -> list[SourceRun]:
    """Newest first, without those dated after ``now``."""
    return [run for run in runs.history(source, limit=limit) if run.started_at <= now]


def flatline(history: Sequence[SourceRun]) -> tuple[datetime, float] | None:
    """Since when a source is silent against its own usual, and how many posts were due; None when it is not.

    ``history``: newest first. Silent: at least six crawls over three hours without a new post, in which the
    median crawls of the same hours of earlier days would have brought 30: of workdays or of weekends, where there
    were any. A source may sleep at night; on its first day nothing is due.
    """
    silent = list(takewhile(lambda run: not run.new, history))
    earlier = history[len(silent) :]
    if len(silent) < _SILENT_RUNS or not earlier or history[0].ended_at - earlier[0].ended_at < _SILENT_FOR:
        return None
    since = earlier[0].ended_at
    usual = defaultdict(list)
    for run in earlier[:-1]:  # the first one brings everything that was there
        if run.started_at.astimezone(SHANGHAI).date() < since.astimezone(SHANGHAI).date():
            usual[_hour(run)].append(run.new)
    brought = {hour: statistics.median_low(new) for hour, new in usual.items()}
    due = 0
    for run in silent:
        weekend, hour = _hour(run)
        due += brought.get((weekend, hour), brought.get((not weekend, hour), 0))
    return (since, due) if due >= _DUE_POSTS else None


def _hour(run: SourceRun) -> tuple[bool, int]:
    """Whether a crawl was at a weekend, and its hour of the day."""
    local = run.started_at.astimezone(SHANGHAI)
    return local.weekday() >= 5, local.hour


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:120]
