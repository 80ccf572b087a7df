"""``yujing train``: make a model directory from corpora and a pre-trained encoder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "例：yujing train --data corpora --base pretrained --out model --budget-min 80"


def command(
    data: Annotated[Path, typer.Option("--data", help="语料目录（*.jsonl 或 *.jsonl.gz）")],
    base: Annotated[Path, typer.Option("--base", help="预训练编码器目录（Hugging Face 格式）")],
    out: Annotated[Path, typer.Option("--out", help="写出模型的目录")],
    work: Annotated[
        Path | None, typer.Option("--work", help="断点目录，默认 <out>.work", show_default=False)
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="训练设置 YAML，默认随程序", show_default=False)
    ] = None,
    budget_min: Annotated[float, typer.Option("--budget-min", min=0.1, help="编码器训练最多用几分钟")] = 80.0,
) -> None:
    """训练分类模型；随时可中断，再运行同一命令即从断点继续。"""
    from nlp import train

    name = train.train(
        data=data,
        base=base,
        out=out,
        work=work or out.with_name(f"{out.name}.work"),
        chosen=train.settings(settings),
        budget_min=budget_min,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(name)
