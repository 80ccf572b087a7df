"""``yujing status``: is every source seeing, is anything stuck, what was alerted last."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli import PATIENCE_S
from app.printing import address, plain
from domain.alert import Level
from domain.errors import ConfigError, ModelError, StoreError
from domain.incident import OPEN
from domain.local_time import iso, spoken
from store.ledger import MOST_OPEN

if TYPE_CHECKING:
    from app.wire import App

EXAMPLE = "例：yujing status --json"
STORES = {"inbox": "收件箱", "posts": "帖子库", "ledger": "台账"}
Answer = TypeVar("Answer")


def command(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="一个 JSON 对象")] = False,
) -> None:
    """数据源、队列、最近预警与投递的状态，以及各存储在哪里；有存储打不开时退出 1，其余照常显示。"""
    app = ctx.obj(patience_s=PATIENCE_S)
    state = collect(app)
    if as_json:
        print(json.dumps(state, ensure_ascii=False))
    else:
        _show(state, {known.id: known.name for known in (*app.settings.brands, *app.settings.sources)})
    if any(engine["error"] for engine in state["engines"].values()):
        raise typer.Exit(1)


class _Stores:
    """Asks the stores; one that refused is not asked again, and what it would have told is None."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.refused: dict[str, str] = {}

    def ask(self, store: str, question: Callable[[App], Answer]) -> Answer | None:
        """The answer, or None when the store (now or before) could not be asked."""
        if store in self.refused:
            return None
        try:
            return question(self._app)
        except (StoreError, ConfigError) as error:
            self.refused[store] = str(error)
            return None

    def engine(self, store: str, url: str) -> dict[str, str]:
        """Which engine a store is, where, and what it says when it cannot be used."""
        return {
            "kind": plain(url.partition(":")[0]),
            "at": address(url),
            "error": self.refused.get(store, ""),
        }


def collect(app: App) -> dict[str, Any]:
    """Everything that the command shows, as JSON values; None is what a store could not tell."""
    now, stores, given = app.clock.now(), _Stores(app), app.environment
    assert app.settings  # a configuration that cannot be read is no store's fault
    state = {
        "at": iso(now),
        "sources": _sources(app, stores, now),
        "inbox": stores.ask("inbox", lambda app: _inbox(app, now)),
        "leader": stores.ask("ledger", _leader),
        "mirror": stores.ask("ledger", _mirror),
        "posts": stores.ask("posts", lambda app: app.posts.size()),
        "model": _model(app, stores),
        "alerts": stores.ask("ledger", _alerts),
        "outbox": stores.ask("ledger", _outbox),
        "delivery": stores.ask("ledger", _delivery),
        "incidents_open": stores.ask(
            "ledger", lambda app: [i.id for i in app.ledger.incidents.find(statuses=OPEN, limit=MOST_OPEN)]
        ),
    }
    return state | {
        "engines": {
            "inbox": stores.engine("inbox", given.inbox_url),
            "posts": stores.engine("posts", given.posts_url),
            "ledger": stores.engine("ledger", given.ledger_url),
        }
    }


def _inbox(app: App, now: datetime) -> dict[str, Any]:
    depth = app.inbox.depth(now=now)
    return {
        "waiting": depth.waiting,
        "leased": depth.leased,
        "dead": depth.dead,
        "oldest": iso(depth.oldest) if depth.oldest else None,
    }


def _leader(app: App) -> dict[str, Any] | None:
    """Which process runs the jobs, and since when; None when none does."""
    from store.ledger import SCHEDULER

    lease = app.ledger.leases.get(SCHEDULER)
    return {"holder": lease.holder, "since": iso(lease.since)} if lease else None


def _mirror(app: App) -> dict[str, Any] | None:
    """How the copy of events for Kibana does; None when there has been none."""
    from app.mirror import STATE, STATUS

    said = app.ledger.states.load(STATE).get(STATUS)
    if said is None:
        return None
    return {
        "last_success": _time(said.get("last_success")),
        "error": str(said.get("error", "")),
        "error_since": _time(said.get("error_since")),
    }


def _alerts(app: App) -> list[dict[str, Any]]:
    return [
        {
            "id": alert.id,
            "at": iso(alert.at),
            "level": alert.level.id,
            "brand": alert.brand,
            "topics": list(alert.topics),
            "state": alert.state.value,
            "source": alert.source,
            "explanation": alert.explanation,
        }
        for alert in app.ledger.alerts.find(limit=5)
    ]


def _outbox(app: App) -> dict[str, int]:
    counts = app.ledger.outbox.counts()
    return {state: counts.get(state, 0) for state in ("waiting", "failed")}


def _model(app: App, stores: _Stores) -> dict[str, Any]:
    """Which model is in use, and where it came from; says so when it is not what it should be."""
    from app.models import SHIPPED
    from nlp.bundle import named

    try:
        lines = app.models.lines()
        origin = "YUJING_MODEL" if app.models.given else SHIPPED if lines[-1] == SHIPPED else "trained"
        return {
            "name": named(app.models.in_use()),
            "origin": origin,
            "before": list(lines[:-1]),
            "switching": app.models.pending() is not None,
            "corrections": stores.ask("ledger", lambda app: len(app.ledger.corrections.all())),
        }
    except ModelError as error:
        return {"error": str(error)}


def _delivery(app: App) -> dict[str, Any]:
    """How each channel does: when it took a message last, and what it says since when if it takes none."""
    from alerts.outbox import STATE

    return {
        channel: {
            "last_sent": _time(said.get("last_sent")),
            "error": str(said.get("error", "")),
            "error_since": _time(said.get("error_since")),
        }
        for channel, said in app.ledger.states.load(STATE).items()
    }


def _time(value: object) -> str | None:
    """A time of a state document."""
    return iso(datetime.fromisoformat(str(value))) if value else None


def _sources(app: App, stores: _Stores, now: datetime) -> list[dict[str, Any]]:
    runs = stores.ask(
        "ledger", lambda app: (app.ledger.source_runs.last(), app.ledger.source_runs.last_seeing())
    )
    stored = stores.ask("posts", lambda app: app.posts.sources())
    last, seeing = runs or ({}, {})
    rows = []
    for source in app.settings.sources:
        run, seen = last.get(source.id), seeing.get(source.id)
        blind = source.enabled and (seen is None or now - seen > timedelta(minutes=source.blind_after_min))
        never = "未启用" if not source.enabled else "不知道" if runs is None else "未抓取"
        rows.append(
            {
                "id": source.id,
                "name": source.name,
                "enabled": source.enabled,
                "outcome": run.outcome.value if run else None,
                "word": run.word if run else never,
                "at": iso(run.ended_at) if run else None,
                "detail": run.detail if run else "",
                "found": run.found if run else 0,
                "new": run.new if run else 0,
                "refreshed": run.refreshed if run else 0,
                "rejected": run.rejected if run else 0,
                "last_seeing": iso(seen) if seen else None,
                "blind": blind,
                "posts": None if stored is None else stored.get(source.id, 0),
            }
        )
    return rows


def _show(state: dict[str, Any], names: Mapping[str, str]) -> None:
    console = Console()
    table = Table(title="数据源", title_justify="left", header_style="bold")
    for name in ("数据源", "结果", "最近抓取", "见到", "新增", "更新", "拒收", "已入库", "说明"):
        table.add_column(name, overflow="fold")
    for row in state["sources"]:
        word = f"{row['word']} ⚠ 失明" if row["blind"] else row["word"]
        when = spoken(datetime.fromisoformat(row["at"])) if row["at"] else "—"
        counts = [
            "—" if row[key] is None else str(row[key])
            for key in ("found", "new", "refreshed", "rejected", "posts")
        ]
        table.add_row(Text(plain(row["name"])), word, when, *counts, Text(plain(row["detail"])))
    console.print(table)
    for store, engine in state["engines"].items():
        error = f" ⚠ 打不开：{plain(engine['error'])}" if engine["error"] else ""
        console.print(f"{STORES[store]}在 {engine['at']}{error}", markup=False, soft_wrap=True)
    inbox = state["inbox"]
    if inbox is not None:
        oldest = f"，最早 {spoken(datetime.fromisoformat(inbox['oldest']))}" if inbox["oldest"] else ""
        console.print(
            f"收件箱：待处理 {inbox['waiting']}，处理中 {inbox['leased']}，死信 {inbox['dead']}{oldest}",
            markup=False,
        )
    if state["posts"] is not None:
        console.print(f"已入库：{state['posts']} 条", markup=False)
    console.print(f"模型：{_model_words(state['model'])}", markup=False)
    if not state["engines"]["ledger"]["error"]:
        _show_ledger(console, state, names)


def _show_ledger(console: Console, state: dict[str, Any], names: Mapping[str, str]) -> None:
    leader = state["leader"]
    since = f"，{spoken(datetime.fromisoformat(leader['since']))}起" if leader else ""
    console.print(f"调度：{plain(leader['holder']) if leader else '没有进程在主持'}{since}", markup=False)
    mirror = state["mirror"]
    if mirror is not None:
        reached = spoken(datetime.fromisoformat(mirror["last_success"])) if mirror["last_success"] else "从未"
        error = f" ⚠ 此后不通：{plain(mirror['error'])}" if mirror["error"] else ""
        console.print(f"Kibana 副本：最近成功 {reached}{error}", markup=False, soft_wrap=True)
    console.print(
        f"发件箱：待发 {state['outbox']['waiting']}，失败 {state['outbox']['failed']}", markup=False
    )
    for channel, said in state["delivery"].items():
        if said["error"]:
            since = spoken(datetime.fromisoformat(said["error_since"]))
            console.print(f"送达 {channel} ⚠ {since}起不通：{plain(said['error'])}", markup=False)
    for alert in state["alerts"]:
        when, level = spoken(datetime.fromisoformat(alert["at"])), Level.of(alert["level"])
        subject = names.get(alert["brand"] or alert["source"], alert["brand"] or alert["source"])
        console.print(
            f"预警：{when} {level.colour}色 {plain(subject)} {plain(alert['explanation'])}", markup=False
        )
    if state["incidents_open"]:
        console.print("未关闭事件：" + "、".join(state["incidents_open"]), markup=False)


_ORIGINS = {"shipped": "出厂", "trained": "用自己的标注训练过", "YUJING_MODEL": "由 YUJING_MODEL 指定"}


def _model_words(model: dict[str, Any]) -> str:
    if "error" in model:
        return f"⚠ {plain(model['error'])}"
    words = f"{plain(model['name'])}（{_ORIGINS[model['origin']]}）"
    if model["corrections"] is not None:
        words += f"，人工标注 {model['corrections']} 条"
    return words + ("；切换还没有完成，下一次检测会接着做" if model["switching"] else "")
