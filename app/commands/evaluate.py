"""``yujing evaluate``: how good the model is on posts kept out of its training, beside two baselines."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "例：yujing evaluate --data corpora --json"


def command(
    data: Annotated[
        Path | None, typer.Option("--data", help="语料目录；不给则显示模型卡里的成绩", show_default=False)
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", envvar="YUJING_MODEL", help="别的模型目录；默认用在用的", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
) -> None:
    """在留出部分上评测：情感、话题、立场、广告、被指公司、校准误差，旁列 n-gram 线性与词典基线。"""
    from app.models import chosen
    from nlp import card
    from nlp.bundle import open_bundle

    bundle = open_bundle(chosen(model, os.environ))
    if data is None:
        found, table = card.scores(bundle), bundle.described
        if before := found.get("adapted_from"):
            table = (
                f"这是用自己的标注从 {before} 改进来的模型。下面模型卡里的成绩是改进之前的，不是它的；"
                f"它与改进之前的比较在 Adapted 一节，它自己的成绩要用 --data 评测。\n\n{table}"
            )
    else:
        from nlp import evaluate, train
        from nlp.lexicon import Lexicon
        from nlp.runtime import Runtime
        from nlp.segment import Segmenter
        from nlp.split import split

        held_out, known = card.learnt(bundle)
        # What was only read before the labels is not needed again.
        if any(known.get(name) != digest for name, digest in train.digests(data).items()):
            print("注意：语料与训练时的不同，留出部分可能含训练过的帖子", file=sys.stderr)
        parts = split(data, held_out=held_out)
        compared = evaluate.compare(Runtime(bundle), Lexicon.shipped(Segmenter()), parts.test)
        found = {"scores": evaluate.values(compared)}
        table = "\n".join(evaluate.lines(compared)) + "\n"
    if as_json:
        print(json.dumps({"model": bundle.name, **found}, ensure_ascii=False))
    else:
        print(f"{bundle.name}\n\n{table}", end="")
