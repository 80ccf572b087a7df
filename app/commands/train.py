"""``yujing train``: make a model directory from corpora and a pre-trained encoder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "例：yujing train --data corpora --out model --budget-min 55"


def command(
    data: Annotated[Path, typer.Option("--data", help="语料目录（*.jsonl 或 *.jsonl.gz）")],
    out: Annotated[Path, typer.Option("--out", help="写出模型的目录")],
    base: Annotated[
        str | None,
        typer.Option(
            "--base", help="预训练编码器：Hugging Face 格式的目录或 hub 名称，默认随程序", show_default=False
        ),
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="断点目录，默认 <out>.work", show_default=False)
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="训练设置 YAML，默认随程序", show_default=False)
    ] = None,
    budget_min: Annotated[float, typer.Option("--budget-min", min=0.1, help="编码器训练最多用几分钟")] = 55.0,
    pretrain_min: Annotated[
        float, typer.Option("--pretrain-min", min=0.0, help="先在无标注语料上再预训练几分钟")
    ] = 0.0,
) -> None:
    """训练分类模型；随时可中断，再运行同一命令即从断点继续。"""
    from nlp import train

    name = train.train(
        data=data,
        base=base or train.shipped_base(),
        out=out,
        work=work or out.with_name(f"{out.name}.work"),
        chosen=train.settings(settings),
        budget_min=budget_min,
        pretrain_min=pretrain_min,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(name)
