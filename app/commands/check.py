"""``yujing check``: every fault of the configuration at once, with file, line and key."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.printing import plain

EXAMPLE = "例：yujing check --config ./config"


def command(
    config: Annotated[
        Path | None, typer.Option(help="配置文件夹；默认 $YUJING_CONFIG、$YUJING_HOME/config 或出厂配置")
    ] = None,
) -> None:
    """检查全部配置，一次列出所有问题：文件、行号、键和改法。"""
    from config.environment import config_of
    from config.load import check, load
    from config.notes import notes

    folder = config or config_of(os.environ)
    problems = check(folder)
    if problems:
        for problem in problems:
            print(plain(str(problem)), file=sys.stderr)
        print(f"{plain(str(folder))}：共 {len(problems)} 处问题", file=sys.stderr)
        raise typer.Exit(1)
    settings = load(folder)
    own = sum(brand.alerts for brand in settings.brands)
    enabled = sum(source.enabled for source in settings.sources)
    print(
        f"{plain(str(folder))}：没有问题。品牌 {len(settings.brands)} 个（预警 {own} 个）、"
        f"数据源 {len(settings.sources)} 个（启用 {enabled} 个）、主题 {len(settings.topics)} 个、"
        f"路由 {len(settings.routes)} 条、预案 {len(settings.plans)} 份"
    )
    for note in notes(settings):
        print(plain(f"提示：{note.subject} {note.text}（{note.remedy}）"))
