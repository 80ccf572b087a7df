"""``yujing crawl``: one crawl of some sources, now."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer

from config.environment import merged, secret_of
from config.settings import Source
from domain.errors import ConfigError, UsageError
from domain.source_run import Outcome, SourceRun

EXAMPLE = "例：yujing crawl weibo-search news-feed"


def command(
    ctx: typer.Context,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE…", help="config/sources.yaml 里的来源编号")],
) -> None:
    """立即抓取一次指定的来源；每个来源输出一行 JSON，有来源看不清时退出码为 1。"""
    app = ctx.obj()
    chosen = choose(sources, app.settings.sources)
    from crawlers.run import crawl

    now = app.clock.now()
    variables, cookies = merged(os.environ), dict[str, str]()
    runs: list[SourceRun] = []
    for source in chosen:
        # One source without its cookie must not keep the others of its process from being crawled.
        try:
            cookies[source.id] = cookie(source, variables)
        except ConfigError as error:
            runs.append(_blocked(source, str(error), now))
            app.ledger.source_runs.record(runs[-1])
    able = [source for source in chosen if source.id in cookies]
    runs += (
        crawl(
            able,
            inbox=app.inbox,
            ledger=app.ledger,
            secret=app.environment.secret.get_secret_value().encode(),
            now=app.clock.now,
            rejects=app.rejects,
            cookies=cookies,
        )
        if able
        else []
    )
    for run in runs:
        print(json.dumps(line(run), ensure_ascii=False))
    if not all(run.outcome.seeing for run in runs):
        raise typer.Exit(1)


def _blocked(source: Source, why: str, now: datetime) -> SourceRun:
    return SourceRun(source=source.id, started_at=now, ended_at=now, outcome=Outcome.BLOCKED, detail=why)


def choose(ids: list[str], known: tuple[Source, ...]) -> list[Source]:
    """Sources by id, each once. Raises ``UsageError`` that names near misses."""
    by_id = {source.id: source for source in known}
    for id_ in ids:
        if id_ not in by_id:
            near = difflib.get_close_matches(id_, by_id, n=3, cutoff=0.5)
            hint = f"；是不是 {'、'.join(near)}？" if near else f"；已配置：{'、'.join(by_id) or '无'}"
            raise UsageError(f"没有名为 {id_!r} 的来源{hint}")
    return [by_id[id_] for id_ in dict.fromkeys(ids)]


def cookie(source: Source, environ: Mapping[str, str]) -> str:
    """The operator's cookie of a source, from its variable or the file that ``<variable>_FILE`` names.

    Raises ``ConfigError`` when it is configured and not there; the value itself is never shown.
    """
    name = source.cookie_env
    if not name:
        return ""
    value = secret_of(environ, name).get_secret_value().strip()
    if not value:
        raise ConfigError(f"来源 {source.id}：环境变量 {name}（或 {name}_FILE）没有设置")
    if not value.isprintable():
        raise ConfigError(f"来源 {source.id}：{name} 含有换行或控制字符")
    return value


def line(run: SourceRun) -> dict[str, object]:
    """One outcome, machine-readable."""
    return {
        "source": run.source,
        "outcome": run.outcome.value,
        "found": run.found,
        "new": run.new,
        "refreshed": run.refreshed,
        "rejected": run.rejected,
        "detail": run.detail,
    }
