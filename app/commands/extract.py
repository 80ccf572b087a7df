"""``yujing extract``: what a saved page says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import InputError

EXAMPLE = "例：yujing extract saved.html --url https://news.example.com/a/1.html"


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="保存下来的网页")],
    url: Annotated[str, typer.Option("--url", help="网页的地址")] = "",
) -> None:
    """从保存的网页里取出标题、作者、时间和正文，输出一行 JSON。"""
    from crawlers.pages import article

    try:
        with file.open("rb") as opened:
            body = opened.read(article.MAX_BYTES + 1)
    except IsADirectoryError as error:
        raise InputError(f"{file}：是目录，不是文件") from error
    except FileNotFoundError as error:
        raise InputError(f"{file}：文件不存在") from error
    except OSError as error:
        raise InputError(f"{file}：无法读取（{error.strerror or error}）") from error
    if not body.strip():
        raise InputError(f"{file}：文件是空的")
    if len(body) > article.MAX_BYTES:
        raise InputError(f"{file}：超过 {article.MAX_BYTES >> 20} MB")
    page = article.parse(body, now=datetime.now(UTC), url=url)
    print(
        json.dumps(
            {
                "url": page.url,
                "title": page.title,
                "author": page.author,
                "published_at": page.stamp.iso() if page.stamp else None,
                "text": page.text,
            },
            ensure_ascii=False,
        )
    )
