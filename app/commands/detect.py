"""``yujing detect``: anomaly scores for a file of counts."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.printing import plain
from domain.errors import InputError

EXAMPLE = "例：yujing detect counts.csv > scored.csv"
_SAID = 20
"""Bad rows said one by one; the others are counted."""


def command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="含 timestamp,value 两列的 CSV，一行一个时段")
    ],
) -> None:
    """逐行给出总量异常分与是否预警（0/1），绝不偷看后面的行；读不出来的行记 0 分并在 stderr 指明行号。"""
    from monitor.volume_file import judge_rows, read_rows

    bad = 0

    def complain(text: str) -> None:
        nonlocal bad
        bad += 1
        if bad <= _SAID:
            print(f"yujing: {plain(str(file))} {plain(text)}", file=sys.stderr)

    writer = csv.writer(sys.stdout, lineterminator="\n")
    rows = 0
    for row in judge_rows(read_rows(file), complain=complain):
        if not rows:
            writer.writerow(["timestamp", "value", "anomaly_score", "alert"])
        writer.writerow([row.timestamp, row.value, f"{row.score.anomaly:.6f}", int(row.score.alert)])
        rows += 1
    if bad > _SAID:
        print(f"yujing: {plain(str(file))} 另有 {bad - _SAID} 行读不出来", file=sys.stderr)
    if not rows:
        raise InputError(f"{file}: 没有数据行")
    if bad == rows:
        raise InputError(f"{file}: 没有一行读得出来")
