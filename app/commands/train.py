"""``yujing train``: a team's labels into the model in use, or a whole model from corpora."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.commands.label import bar
from app.printing import plain
from app.signing import signed
from domain.errors import UsageError

EXAMPLE = "例：yujing train --labels labels.jsonl 或 yujing train --rollback"
ADAPT_MIN, WHOLE_MIN = 4.0, 45.0
"""Minutes of the encoder's training when none are given."""


def command(
    ctx: typer.Context,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="自己的标注：JSONL、CSV（label export 的格式），或 ledger（已导入的）；可多次给出",
        ),
    ] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="退回上一个模型")] = False,
    rejudge: Annotated[
        bool, typer.Option("--rejudge", help="升级程序后：用在用的模型重判最近 28 天")
    ] = False,
    by: Annotated[str, typer.Option("--by", help="是谁；默认登录名")] = "",
    data: Annotated[
        Path | None, typer.Option("--data", help="从头训练：语料目录", show_default=False)
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            help="从头训练：Hugging Face 格式的编码器目录或 hub 名称，默认随程序",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="从头训练：写出模型的目录", show_default=False)
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="从头训练：断点目录，默认 <out>.work", show_default=False)
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="从头训练：设置 YAML，默认随程序", show_default=False)
    ] = None,
    budget_min: Annotated[
        float | None,
        typer.Option("--budget-min", min=0.1, help="最多训练几分钟；默认 4，从头训练 45", show_default=False),
    ] = None,
    pretrain_min: Annotated[
        float, typer.Option("--pretrain-min", min=0.0, help="从头训练：先在无标注语料上再预训练几分钟")
    ] = 0.0,
) -> None:
    """训练：--labels 用自己的标注改进在用的模型（通过检验才装上），--rollback 退回，--data 从头训练。

    随时可中断，再运行同一命令即继续。
    """
    whole = [option is not None for option in (data, out)]
    if bool(labels) + rollback + rejudge + any(whole) != 1:
        raise UsageError("请选一种用法：--labels FILE；--rollback；--rejudge；--data DIR --out DIR")
    if any(whole):
        if data is None or out is None:
            raise UsageError("从头训练需要 --data 和 --out")
        from nlp import train

        print(
            train.train(
                data=data,
                base=base or train.shipped_base(),
                out=out,
                work=work or out.with_name(f"{out.name}.work"),
                chosen=train.settings(settings),
                budget_min=budget_min or WHOLE_MIN,
                pretrain_min=pretrain_min,
                say=_say,
            )
        )
        return
    from app import training

    app, actor = ctx.obj(), signed(by)
    with bar("重判") as progress:
        if rollback:
            done = training.roll_back(app, by=actor, say=_say, progress=progress)
        elif rejudge:
            done = training.rejudge(app, by=actor, say=_say, progress=progress)
        else:
            done = training.adapt(
                app,
                labels or (),
                budget_min=budget_min or ADAPT_MIN,
                by=actor,
                say=_say,
                progress=progress,
            )
    print(json.dumps(done, ensure_ascii=False))


def _say(line: str) -> None:
    print(plain(line), file=sys.stderr, flush=True)
