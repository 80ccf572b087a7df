"""``yujing incident``: what is open, what happened, and people's decisions about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.naming import id_of, known
from app.printing import plain
from app.signing import signed
from domain.alert import Level
from domain.errors import InputError
from domain.incident import Incident, IncidentStatus, TimelineEvent
from domain.local_time import iso, said, spoken
from domain.plan import PlanRun, TaskStatus

if TYPE_CHECKING:
    from app.wire import App

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="事件：查看，接手，确认，调级，误报，关闭。",
    epilog="例：yujing incident list",
)
Id = Annotated[str, typer.Argument(help="事件编号，如 INC-20261122-001")]
By = Annotated[str, typer.Option("--by", help="是谁；默认登录名")]
Why = Annotated[str, typer.Option("--reason", help="原因，写进时间线")]
Needed = Annotated[str, typer.Option("--reason", help="原因（必填），写进时间线", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象")]

KINDS = {
    "opened": "开立",
    "joined": "并入预警",
    "topic": "明确主题",
    "level": "升级",
    "declared": "调级",
    "updated": "新进展",
    "recovered": "预警恢复",
    "acknowledged": "接手",
    "confirmed": "确认属实",
    "responding": "开始处置",
    "plan_started": "启动预案",
    "tasks_added": "追加任务",
    "task_done": "完成任务",
    "task_reopened": "重开任务",
    "notified": "已通知",
    "not_notified": "未通知",
    "false_alarm": "误报",
    "closed": "关闭",
    "note": "备注",
}
"""Kinds of timeline events as people read them."""


@commands.command("list", epilog="例：yujing incident list --all --brand yunqiao")
def list_(
    ctx: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="也列出已关闭和误报的")] = False,
    brand: Annotated[str, typer.Option(help="品牌编号或名称")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="最多几条")] = 100,
    as_json: AsJson = False,
) -> None:
    """列出事件，默认只列未结束的，新的在前。"""
    app = ctx.obj()
    statuses = [status for status in IncidentStatus if every or status.open]
    found = app.ledger.incidents.find(brand=id_of(brand, app.settings.brands), statuses=statuses, limit=limit)
    if not found:
        known("品牌", brand, app.settings.brands)
    if as_json:
        for incident in found:
            print(json.dumps(row(incident), ensure_ascii=False))
        return
    if not found:
        print("没有事件" if every else "没有未结束的事件")
        return
    console, names = Console(), _Names(app)
    table = Table(header_style="bold")
    table.add_column("编号", no_wrap=True)
    for name in ("级别", "状态", "品牌", "主题", "负责人", "开立"):
        table.add_column(name, overflow="fold")
    for incident in found:
        table.add_row(
            incident.id,
            Text(f"{incident.level.colour} {incident.level.word}"),
            incident.status.word,
            Text(names.brand(incident.brand)),
            Text(names.topic(incident.topic)),
            Text(plain(incident.owner) or "无人接手"),
            spoken(incident.opened_at),
        )
    console.print(table)


@commands.command("show", epilog="例：yujing incident show INC-20261122-001")
def show(ctx: typer.Context, id_: Id, as_json: AsJson = False) -> None:
    """一个事件的全部：级别、预案任务和时间线。"""
    app = ctx.obj()
    incident = app.ledger.incidents.get(id_)
    if incident is None:
        raise InputError(f"没有事件 {id_}")
    timeline = app.ledger.incidents.timeline(id_)
    runs = app.ledger.plan_runs.find(incident=id_)
    if as_json:
        whole = {
            **row(incident),
            "runs": [_run(run) for run in runs],
            "timeline": [_event(e) for e in timeline],
        }
        print(json.dumps(whole, ensure_ascii=False))
        return
    console = Console()
    _head(console, app, incident, runs)
    for run in runs:
        _tasks(console, run, now=app.clock.now())
    _timeline(console, timeline)
    _next(console, incident, runs)


@commands.command("ack", epilog="例：yujing incident ack INC-20261122-001 --by 王芳")
def ack(ctx: typer.Context, id_: Id, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """我来处理：接手这个事件。"""
    app, actor = ctx.obj(), signed(by)
    incident = app.desk.acknowledge(id_, actor=actor, reason=plain(reason), now=app.clock.now())
    _done(incident, f"由 {incident.owner} 负责", as_json)


@commands.command("confirm", epilog="例：yujing incident confirm INC-20261122-001 --reason 核实了20条帖子")
def confirm(ctx: typer.Context, id_: Id, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """确认属实。"""
    app, actor = ctx.obj(), signed(by)
    incident = app.desk.confirm(id_, actor=actor, reason=plain(reason), now=app.clock.now())
    _done(incident, incident.status.word, as_json)


@commands.command("false-alarm", epilog="例：yujing incident false-alarm INC-20261122-001 --reason 旧闻翻炒")
def false_alarm(ctx: typer.Context, id_: Id, reason: Needed, by: By = "", as_json: AsJson = False) -> None:
    """误报：结束事件，级别不再升高就不再通知。"""
    app, actor = ctx.obj(), signed(by)
    incident = app.desk.false_alarm(id_, actor=actor, reason=plain(reason), now=app.clock.now())
    _done(incident, "已记为误报；级别升高时会另开事件", as_json)


@commands.command("close", epilog="例：yujing incident close INC-20261122-001 --reason 已兑付并平息24小时")
def close(ctx: typer.Context, id_: Id, reason: Needed, by: By = "", as_json: AsJson = False) -> None:
    """关闭事件。"""
    app, actor = ctx.obj(), signed(by)
    incident = app.desk.close(id_, actor=actor, reason=plain(reason), now=app.clock.now())
    _done(incident, "已关闭", as_json)


@commands.command("level", epilog="例：yujing incident level INC-20261122-001 orange --reason 已有媒体报道")
def level(
    ctx: typer.Context,
    id_: Id,
    to: Annotated[Literal["blue", "yellow", "orange", "red"], typer.Argument(metavar="LEVEL", help="级别")],
    reason: Needed,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """调级：升级立即生效并追加任务；预警恢复以后才能降级。"""
    app, actor = ctx.obj(), signed(by)
    incident = app.desk.declare(id_, Level.of(to), actor=actor, reason=plain(reason), now=app.clock.now())
    _done(incident, f"为{incident.level.colour}色（{incident.level.word}）", as_json)


def row(incident: Incident) -> dict[str, Any]:
    """An incident as JSON values, times at +08:00."""
    return {
        "id": incident.id,
        "brand": incident.brand,
        "topic": incident.topic,
        "level": incident.level.id,
        "status": incident.status.value,
        "plan": incident.plan,
        "owner": incident.owner,
        "onset": iso(incident.onset),
        "opened_at": iso(incident.opened_at),
        "acknowledged_at": iso(incident.acknowledged_at) if incident.acknowledged_at else None,
        "closed_at": iso(incident.closed_at) if incident.closed_at else None,
        "alerts": list(incident.alerts),
    }


def _run(run: PlanRun) -> dict[str, Any]:
    return {
        "plan": run.plan,
        "version": run.version,
        "started_at": iso(run.started_at),
        "started_by": run.started_by,
        "tasks": [
            {
                "id": task.task,
                "title": task.title,
                "role": task.role,
                "due_at": iso(task.due_at),
                "status": task.status.value,
                "assignee": task.assignee,
                "evidence": task.evidence,
                "done_at": iso(task.done_at) if task.done_at else None,
            }
            for task in run.tasks
        ],
    }


def _event(event: TimelineEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "at": iso(event.at),
        "actor": event.actor,
        "kind": event.kind,
        "reason": event.reason,
        "before": event.before,
        "after": event.after,
    }


class _Names:
    """Names of brands and topics for people; the id where the configuration no longer knows one."""

    def __init__(self, app: App) -> None:
        self._brands = {brand.id: brand.name for brand in app.settings.brands}
        self._topics = {topic.id: topic.name for topic in app.settings.topics}

    def brand(self, id_: str) -> str:
        return self._brands.get(id_, plain(id_))

    def topic(self, id_: str) -> str:
        return self._topics.get(id_, plain(id_)) or "未定"


def _head(console: Console, app: App, incident: Incident, runs: Sequence[PlanRun]) -> None:
    names = _Names(app)
    plan = app.settings.plans.get(incident.plan)
    lines = [
        f"{incident.id}  {incident.level.colour}色 · {incident.level.word} · {incident.status.word}",
        f"{names.brand(incident.brand)} · {names.topic(incident.topic)}",
        f"起点 {spoken(incident.onset)}，开立 {spoken(incident.opened_at)}，"
        + (f"负责人 {plain(incident.owner)}" if incident.owner else "无人接手"),
        f"建议预案 {plan.name}（{plan.id}）" if plan else "没有建议的预案",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)
    proposed = plan.clocks if plan else ()
    clocks = [clock for run in runs for clock in run.clocks] if runs else proposed
    for clock in dict.fromkeys(clocks):
        line = f"可能触发（{clock.standing}）：{clock.name}，{said(clock.due_min)}内；{clock.source}"
        console.print(line, markup=False, highlight=False)


def _tasks(console: Console, run: PlanRun, *, now: datetime) -> None:
    name = plain(run.name)
    table = Table(
        title=Text(
            f"{name} 版本 {plain(run.version)}，{plain(run.started_by)} {spoken(run.started_at)} 启动"
        ),
        title_justify="left",
        header_style="bold",
    )
    for column in ("到期", "状态", "角色", "任务"):
        table.add_column(column, overflow="fold")
    table.add_column("编号", no_wrap=True)
    for task in sorted(run.tasks, key=lambda task: task.due_at):
        late = task.status is TaskStatus.OPEN and task.due_at < now
        words = {"open": "超时" if late else "待办", "done": "完成", "skipped": "跳过"}
        state = words[task.status.value] + (f"（{plain(task.assignee)}）" if task.assignee else "")
        told = Text(plain(task.title) + (f"：{plain(task.evidence)}" if task.evidence else ""))
        table.add_row(spoken(task.due_at), Text(state), Text(task.role), told, task.task)
    console.print(table)


def _timeline(console: Console, timeline: list[TimelineEvent]) -> None:
    table = Table(title="时间线", title_justify="left", header_style="bold")
    for column in ("时间", "谁", "什么", "说明"):
        table.add_column(column, overflow="fold")
    for event in timeline:
        changed = [
            f"{_word(key, event.before.get(key, ''))} → {_word(key, value)}".removeprefix(" → ")
            for key, value in event.after.items()
            if key in ("level", "owner", "status") and event.before.get(key, "") != value
        ]
        told = "；".join(
            part for part in (plain(event.reason).rstrip("。"), "，".join(map(plain, changed))) if part
        )
        who = "系统" if event.actor.startswith("rule:") else plain(event.actor)
        table.add_row(spoken(event.at), Text(who), KINDS.get(event.kind, event.kind), Text(told))
    console.print(table)


def _word(key: str, value: str) -> str:
    """A value of the timeline as people say it."""
    if key == "level" and value.upper() in Level.__members__:
        level = Level.of(value)
        return f"{level.colour}色（{level.word}）"
    if key == "status" and value in set(IncidentStatus):
        return IncidentStatus(value).word
    return value


def _next(console: Console, incident: Incident, runs: list[PlanRun]) -> None:
    """What can be done now, as commands."""
    if not incident.status.open:
        return
    lines = []
    if not incident.owner:
        lines.append(f"我来处理：yujing incident ack {incident.id}")
    if incident.plan and not any(run.plan == incident.plan for run in runs):
        lines.append(f"启动预案：yujing plan start {incident.plan} --incident {incident.id}")
    if any(task.status is TaskStatus.OPEN for run in runs for task in run.tasks):
        lines.append(f"完成任务：yujing plan done {runs[0].id} 任务编号 --evidence 写明凭证")
    if runs:
        lines.append(f"关闭：yujing incident close {incident.id} --reason 写明原因")
    lines.append(f"误报：yujing incident false-alarm {incident.id} --reason 写明原因")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _done(incident: Incident, what: str, as_json: bool) -> None:
    print(json.dumps(row(incident), ensure_ascii=False) if as_json else f"{incident.id} {what}")
