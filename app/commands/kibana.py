"""``yujing kibana``: the saved objects for Kibana written, checked, previewed, imported."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from app.printing import plain
from config.settings import Settings
from domain.errors import StoreError, UsageError

if TYPE_CHECKING:
    from deploy.kibana.panels import Names
    from deploy.kibana.remote import Remote
    from deploy.kibana.replay import Ask

EXAMPLE = "例：yujing kibana --push https://elastic@kibana.example.com:5601"


def command(
    out: Annotated[Path | None, typer.Option(help="把 NDJSON 写到这个文件；默认标准输出")] = None,
    check: Annotated[bool, typer.Option(help="只检查：引用、字段、格式；有问题退出码为 1")] = False,
    preview: Annotated[
        Path | None, typer.Option(help="把各看板画成网页放进这个文件夹（数据来自 YUJING_POSTS_URL）")
    ] = None,
    push: Annotated[str, typer.Option(help="导入到这个地址的 Kibana：http(s)://用户@主机:5601")] = "",
    prefix: Annotated[str, typer.Option(help="索引名前缀；默认取自 YUJING_POSTS_URL，否则 yujing")] = "",
) -> None:
    """生成 Kibana 看板（8.19）：按配置里的品牌和话题写出、检查、预览或导入。"""
    # Writing and importing ask for no store and no home, as ``yujing check``.
    from config.environment import config_of, posts_url_of
    from config.load import load
    from deploy.kibana.lint import lint, mapped
    from deploy.kibana.objects import ndjson

    names = names_of(load(config_of(os.environ)))
    prefix = prefix or prefix_of(posts_url_of(os.environ))
    text = ndjson(names, prefix=prefix)
    problems = lint(text, posts=mapped(events=False), events=mapped(events=True))
    for problem in problems:
        print(plain(problem), file=sys.stderr)
    if problems:
        raise typer.Exit(1)
    if check:
        print(f"没有问题：{text.count(chr(10))} 个对象，索引前缀 {prefix}")
    if push:
        _push(push, text, prefix)
    if preview:
        from deploy.kibana.preview import preview as draw

        preview.mkdir(parents=True, exist_ok=True)
        ask = asker(server_of(os.environ))
        for path in draw(preview, names, ask, until=datetime.now(UTC), prefix=prefix):
            print(path)
    if out:
        out.write_text(text, encoding="utf-8")
    elif not (check or push or preview):
        sys.stdout.write(text)


def _push(url: str, text: str, prefix: str) -> None:
    from config.environment import kibana_access
    from deploy.kibana.push import push
    from deploy.kibana.remote import Remote

    access = kibana_access(os.environ)
    remote = Remote(url, name="Kibana", password=access.password, api_key=access.api_key, ca=access.ca)
    version, count = push(remote, text)
    print(f"已导入 {count} 个对象到 Kibana {version}：{remote.url}/app/dashboards#/view/{prefix}-overview")


def names_of(settings: Settings) -> Names:
    """What an installation calls things."""
    from app.wire import PLATFORMS
    from deploy.kibana import names

    return names(settings, PLATFORMS)


def prefix_of(url: str) -> str:
    """The prefix of the index names in an address of Elasticsearch; ``yujing`` where it names none."""
    parts = urlsplit(url)
    return parts.path.strip("/") or "yujing" if parts.scheme in ("elasticsearch", "https") else "yujing"


def server_of(variables: Mapping[str, str]) -> Remote:
    """The Elasticsearch of the posts. Raises ``UsageError`` when the posts are elsewhere."""
    from config.environment import read_environment
    from deploy.kibana.remote import Remote

    environment = read_environment(variables)
    parts = urlsplit(environment.posts_url)
    if parts.scheme not in ("elasticsearch", "https"):
        raise UsageError(
            "预览要从 Elasticsearch 取数：YUJING_POSTS_URL 现在不是 elasticsearch:// 或 https://"
        )
    scheme = "https" if parts.scheme == "https" else "http"
    access = environment.posts_access
    return Remote(
        f"{scheme}://{parts.netloc}",
        name="Elasticsearch",
        password=access.password,
        api_key=access.api_key,
        ca=access.ca,
    )


def asker(remote: Remote) -> Ask:
    """Asks that server. Its ``Ask`` raises ``StoreError``."""

    def ask(index: str, body: dict[str, Any]) -> dict[str, Any]:
        status, answer = remote.ask(
            "POST", f"/{index}/_search", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        if status != 200 or not isinstance(answer, dict):
            why = answer.get("error", "") if isinstance(answer, dict) else ""
            raise StoreError(f"Elasticsearch 没有回答 {index} 的查询（{status}）：{json.dumps(why)[:300]}")
        return answer

    return ask
