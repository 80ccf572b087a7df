"""``yujing doctor``: every backend and every setting looked at, and what can be put right put right."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from app.printing import plain
from store.findings import Finding

EXAMPLE = "例：yujing doctor --fix"
MARKS = {"ok": ("✓", "正常", "green"), "warn": ("⚠", "注意", "yellow"), "bad": ("✗", "有问题", "bold red")}


def command(
    ctx: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help="能安全修好的就修好，然后再查一遍")] = False,
    mail: Annotated[bool, typer.Option("--mail", help="给 routes.yaml 的每个收件人发一封测试邮件")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="每项一行 JSON")] = False,
) -> None:
    """逐项检查：环境、数据目录、配置、模型、三个存储、数据源、发信、时钟、程序；全部正常退出 0，否则 1。"""
    from app.doctor import parts
    from config.environment import secrets_given
    from domain.errors import ConfigError

    try:
        secrets = secrets_given(os.environ)
    except ConfigError:  # wiring the application says the same
        secrets = {}
    console, waiting = Console(highlight=False), Console(stderr=True)
    counted: Counter[str] = Counter()
    mendable = 0
    # Somebody waits for the answer: an engine that is away is told at once.
    wired = partial(ctx.obj, patience_s=0.0)
    for part in parts(wired, variables=os.environ, secrets=secrets, mail=mail):
        # Off a terminal rich shows nothing.
        with waiting.status(f"检查{part.name}"):
            found = part.examine(fix=fix)
        for each in found:
            counted[_state(each)] += 1
            mendable += each.mendable
            if as_json:
                print(_line(each), flush=True)
            else:
                console.print(_words(each), soft_wrap=True)
    if not as_json:
        total = "，".join(f"{counted[state]} 项{MARKS[state][1]}" for state in MARKS if counted[state])
        hint = f"；其中 {mendable} 项可由 yujing doctor --fix 修好" if mendable and not fix else ""
        console.print(f"共 {counted.total()} 项：{total}{hint}", markup=False, soft_wrap=True)
    if counted["bad"]:
        raise typer.Exit(1)


def _state(found: Finding) -> str:
    if not found.ok:
        return "bad"
    return "warn" if found.remedy else "ok"


def _line(found: Finding) -> str:
    cleaned = replace(found, subject=plain(found.subject), text=plain(found.text), remedy=plain(found.remedy))
    return json.dumps(asdict(cleaned), ensure_ascii=False)


def _words(found: Finding) -> Text:
    mark, word, style = MARKS[_state(found)]
    text = Text.assemble((f"{mark} {word}", style), f" {plain(found.subject)}：{plain(found.text)}")
    if found.remedy:
        text.append(f"\n    → {plain(found.remedy)}", style="dim")
    return text
