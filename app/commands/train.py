"""``yujing train``: a team's labels into the model in use, or a whole model from corpora."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.label import bar
from app.printing import plain
from app.signing import signed
from domain.errors import UsageError

EXAMPLE = "例：yujing train --labels labels.jsonl 或 yujing train --rollback"
ADAPT_MIN, WHOLE_MIN, GUIDE_MIN, DISTIL_MIN = 4.0, 45.0, 45.0, 45.0
"""Minutes of the encoder's training when none are given."""

LABELS = "自己的标注：JSONL、CSV（label export 的格式），或 ledger（已导入的）；可多次给出"
Labels = Annotated[list[str] | None, typer.Option("--labels", metavar="FILE", help=LABELS)]
Rollback = Annotated[bool, typer.Option("--rollback", help="退回上一个模型")]
Rejudge = Annotated[
    bool,
    typer.Option("--rejudge", help="升级程序、改了品牌名称或数据源的 brand 之后：用在用的模型重判最近 28 天"),
]
By = Annotated[str, typer.Option("--by", help="是谁；默认登录名")]
Data = Annotated[Path | None, typer.Option("--data", help="从头训练：语料目录", show_default=False)]
BASE = "从头训练：Hugging Face 格式的编码器目录、hub 名称或模型目录，默认随程序"
Base = Annotated[str | None, typer.Option("--base", help=BASE, show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", help="从头训练：写出模型的目录", show_default=False)]
WORK = "从头训练：断点目录，默认 <out>.work"
Work = Annotated[Path | None, typer.Option("--work", help=WORK, show_default=False)]
SETTINGS = "从头训练：设置 YAML，默认随程序"
Settings = Annotated[Path | None, typer.Option("--settings", help=SETTINGS, show_default=False)]
PRETRAIN = "从头训练：先在无标注语料上再预训练几分钟"
Pretrain = Annotated[float, typer.Option("--pretrain-min", min=0.0, help=PRETRAIN)]
GUIDE = "从头训练：先模仿这个（更大的）编码器：Hugging Face 格式的目录、hub 名称或模型目录"
Guide = Annotated[str | None, typer.Option("--guide", help=GUIDE, show_default=False)]
IMITATE = f"从头训练：模仿 --guide 几分钟；默认 {GUIDE_MIN:.0f}"
Imitate = Annotated[float | None, typer.Option("--guide-min", min=0.1, help=IMITATE, show_default=False)]
TEACHER = "从头训练：先向这个模型目录（更大的，或几个的平均）学，再学标注；可多次给出"
Teachers = Annotated[list[Path] | None, typer.Option("--teacher", help=TEACHER, show_default=False)]
DISTIL = f"从头训练：向 --teacher 学几分钟；默认 {DISTIL_MIN:.0f}"
Distil = Annotated[float | None, typer.Option("--distil-min", min=0.1, help=DISTIL, show_default=False)]
BUDGET = f"最多训练几分钟；默认 {ADAPT_MIN:.0f}，从头训练 {WHOLE_MIN:.0f}"
Budget = Annotated[float | None, typer.Option("--budget-min", min=0.1, help=BUDGET, show_default=False)]


def command(
    ctx: typer.Context,
    labels: Labels = None,
    rollback: Rollback = False,
    rejudge: Rejudge = False,
    by: By = "",
    data: Data = None,
    base: Base = None,
    out: Out = None,
    work: Work = None,
    settings: Settings = None,
    budget_min: Budget = None,
    pretrain_min: Pretrain = 0.0,
    guide: Guide = None,
    guide_min: Imitate = None,
    teacher: Teachers = None,
    distil_min: Distil = None,
) -> None:
    """训练：--labels 用自己的标注改进在用的模型（通过检验才装上），--rollback 退回，--data 从头训练。

    随时可中断，再运行同一命令即继续。
    """
    whole = [option is not None for option in (data, out)]
    if bool(labels) + rollback + rejudge + any(whole) != 1:
        raise UsageError("请选一种用法：--labels FILE；--rollback；--rejudge；--data DIR --out DIR")
    for option, value in {
        "--base": base,
        "--work": work,
        "--settings": settings,
        "--pretrain-min": pretrain_min,
        "--guide": guide,
        "--guide-min": guide_min,
        "--teacher": teacher,
        "--distil-min": distil_min,
    }.items():
        if value and not any(whole):
            raise UsageError(f"{option} 只用于从头训练（--data DIR --out DIR）")
    for alone, option, source in (
        (guide_min and not guide, "--guide-min", "--guide"),
        (distil_min and not teacher, "--distil-min", "--teacher"),
    ):
        if alone:
            raise UsageError(f"{option} 要与 {source} 一起用")
    if by and any(whole):
        raise UsageError("--by 不用于从头训练：没有换掉在用的模型")
    if budget_min and (rollback or rejudge):
        raise UsageError("--budget-min 只用于训练，不用于 --rollback 和 --rejudge")
    if any(whole):
        if data is None or out is None:
            raise UsageError("从头训练需要 --data 和 --out")
        from nlp import train, train_settings

        place = train.destination(out)
        name = train.train(
            data=data,
            base=base or train.shipped_base(),
            out=place,
            work=work or place.with_name(f"{place.name}.work"),
            chosen=train_settings.read(settings),
            budget_min=budget_min or WHOLE_MIN,
            before=train.Before(
                pretrain_min=pretrain_min,
                guide=guide,
                guide_min=guide_min or GUIDE_MIN,
                teachers=teacher or (),
                distil_min=distil_min or DISTIL_MIN,
            ),
            say=_say,
        )
        print(name)
    else:
        done = _in_use(ctx, labels or [], rollback, signed(by), budget_min or ADAPT_MIN)
        print(json.dumps(done, ensure_ascii=False))


def _in_use(
    ctx: typer.Context, labels: list[str], rollback: bool, by: str, budget_min: float
) -> dict[str, Any]:
    """Change which model is in use, or what it has judged."""
    from app import training

    app = ctx.obj()
    with bar("重判") as progress:
        if labels:
            return training.adapt(app, labels, budget_min=budget_min, by=by, say=_say, progress=progress)
        change = training.roll_back if rollback else training.rejudge
        return change(app, by=by, say=_say, progress=progress)


def _say(line: str) -> None:
    print(plain(line), file=sys.stderr, flush=True)
