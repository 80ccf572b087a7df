"""``yujing plan``: read the response plans, start one, tick its tasks."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.printing import plain
from app.signing import signed
from config.problems import near
from config.settings import Settings
from domain.alert import Level
from domain.errors import InputError
from domain.local_time import iso, said, spoken
from domain.plan import Plan

commands = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="预案：查看，启动，完成任务。",
    epilog="例：yujing plan list",
)
Run = Annotated[str, typer.Argument(metavar="RUN", help="事件编号，或 事件编号/预案编号")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="任务编号，见 yujing incident show")]
By = Annotated[str, typer.Option("--by", help="是谁；默认登录名")]
AsJson = Annotated[bool, typer.Option("--json", help="每行一个 JSON 对象")]
COUNSEL = "法定时限只作提醒，不构成法律意见；是否适用、从何时起算，由法务确认。"


@commands.command("list", epilog="例：yujing plan list --json")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """列出全部预案。"""
    settings = ctx.obj().settings
    plans = [settings.plans[id_] for id_ in dict.fromkeys(topic.plan for topic in settings.topics)]
    if as_json:
        for plan in plans:
            print(json.dumps(_row(settings, plan), ensure_ascii=False))
        return
    table = Table(header_style="bold")
    table.add_column("编号", no_wrap=True)
    for column in ("名称", "级别", "任务", "法定时限", "版本"):
        table.add_column(column, overflow="fold")
    for plan in plans:
        level = f"{plan.level.colour} {plan.level.word}"
        counts = (str(len(plan.tasks)), str(len(plan.clocks)))
        table.add_row(plan.id, Text(plan.name), level, *counts, Text(plan.version))
    Console().print(table)


@commands.command("show", epilog="例：yujing plan show withdrawal_difficulty")
def show(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="PLAN", help="预案编号")],
    as_json: AsJson = False,
) -> None:
    """一份预案的全部：目标、任务、声明底稿、法定时限、关闭条件。"""
    settings = ctx.obj().settings
    plan = settings.plans.get(id_)
    if plan is None:
        hint = near(id_, settings.plans)
        raise InputError(f"没有预案 {id_}" + (f"（是不是想写 {hint}？）" if hint else ""))
    if as_json:
        from response.plans import freeze

        print(json.dumps(freeze(plan), ensure_ascii=False))
        return
    _show(Console(), plan)


@commands.command(
    "start", epilog="例：yujing plan start withdrawal_difficulty --incident INC-20261122-001 --by 王芳"
)
def start(
    ctx: typer.Context,
    incident: Annotated[str, typer.Option("--incident", help="事件编号（必填）", show_default=False)],
    id_: Annotated[str, typer.Argument(metavar="PLAN", help="预案编号；默认事件建议的预案")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """启动预案：冻结一份副本，按事件级别建立带时限的任务。"""
    app, actor = ctx.obj(), signed(by)
    run = app.desk.start_plan(incident, id_, actor=actor, now=app.clock.now())
    tasks = sorted(run.tasks, key=lambda task: task.due_at)
    if as_json:
        rows = [{"id": t.task, "title": t.title, "role": t.role, "due_at": iso(t.due_at)} for t in tasks]
        whole = {
            "incident": run.incident,
            "plan": run.plan,
            "version": run.version,
            "started_at": iso(run.started_at),
            "started_by": run.started_by,
            "tasks": rows,
        }
        print(json.dumps(whole, ensure_ascii=False))
        return
    print(f"{run.incident} 已启动预案 {run.plan}，{len(tasks)} 项任务：")
    for task in tasks:
        print(f"  {spoken(task.due_at)}  {task.role}  {plain(task.title)}")


@commands.command(
    "done",
    epilog="例：yujing plan done INC-20261122-001/fraud verify-posts --by 李雷 --evidence 核实表链接",
)
def done(
    ctx: typer.Context,
    run: Run,
    task: Task,
    evidence: Annotated[str, typer.Option(help="凭证：链接、编号或一句话；预案要求时必填")] = "",
    reason: Annotated[str, typer.Option(help="说明，写进时间线")] = "",
    by: By = "",
) -> None:
    """完成一项任务；事件结束以后（如复盘）也可以。"""
    from response.tasks import finish

    app, actor = ctx.obj(), signed(by)
    after = finish(
        app.ledger,
        run,
        task,
        actor=actor,
        evidence=plain(evidence),
        reason=plain(reason),
        now=app.clock.now(),
    )
    print(f"{after.run} {after.task} 已完成：{plain(after.title)}")


@commands.command(
    "reopen", epilog="例：yujing plan reopen INC-20261122-001/fraud verify-posts --reason 样本不足，重新核实"
)
def reopen(
    ctx: typer.Context,
    run: Run,
    task: Task,
    reason: Annotated[str, typer.Option(help="原因（必填），写进时间线", show_default=False)],
    by: By = "",
) -> None:
    """重开一项记错的任务；时间线两次都留着。"""
    from response.tasks import reopen as again

    app, actor = ctx.obj(), signed(by)
    after = again(app.ledger, run, task, actor=actor, reason=plain(reason), now=app.clock.now())
    print(f"{after.run} {after.task} 重新待办：{plain(after.title)}")


def _row(settings: Settings, plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "name": plan.name,
        "level": plan.level.id,
        "propose_from": plan.propose_from.id,
        "version": plan.version,
        "tasks": len(plan.tasks),
        "clocks": len(plan.clocks),
        "topics": [topic.id for topic in settings.topics if topic.plan == plan.id],
    }


def _show(console: Console, plan: Plan) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    say(f"{plan.name}（{plan.id}，版本 {plan.version}）")
    say(f"默认级别 {plan.level.colour} {plan.level.word}；{plan.propose_from.colour}色起提出")
    say(f"目标：{plan.goal}")
    say(f"策略：{plan.strategy}")
    tasks = Table(title="任务", title_justify="left", header_style="bold")
    for column in ("时限", "角色", "任务", "从哪级起", "怎么做"):
        tasks.add_column(column, overflow="fold")
    for task in plan.tasks:
        level = "各级" if task.from_level is Level.BLUE else f"{task.from_level.colour}色"
        tasks.add_row(said(task.due_min), Text(task.role), Text(task.title), level, Text(task.detail))
    console.print(tasks)
    say("首份声明底稿：")
    say(plan.statement)
    if plan.clocks:
        say(f"法定时限（{COUNSEL}）：")
    for clock in plan.clocks:
        say(f"  {said(clock.due_min)}  {clock.name}（{clock.standing}）")
        say(f"    触发：{clock.trigger}；出处：{clock.source}")
    say("关闭条件：")
    for condition in plan.close_when:
        say(f"  {condition}")
