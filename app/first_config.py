"""A first configuration for a real brand: the shipped, commented files with the user's answers put in."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from config.load import check
from domain.errors import ConfigError, UsageError, YujingError

KINDS = ("feed", "weibo", "guba", "heimao")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceAnswer:
    """One source that the user asked for."""

    kind: str
    path: str = ""
    """Feed path, board code or company id."""
    base_url: str = ""
    """Another host than the shipped one; empty: the shipped one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What ``yujing init`` asks."""

    name: str
    recipients: tuple[str, ...]
    id: str = "own"
    aliases: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    competitors: tuple[str, ...] = ()
    sources: tuple[SourceAnswer, ...] = ()


def parse_source(text: str) -> SourceAnswer:
    """``weibo``, ``guba=600000``, ``heimao=5650743478``, a feed's address; ``@http://host`` behind it for another host.

    Raises ``UsageError``.
    """
    if text.startswith(("http://", "https://")):
        parts = urlsplit(text)
        if not parts.hostname:
            raise UsageError(f"数据源 {text!r} 不是完整的网址")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return SourceAnswer(kind="feed", path=path, base_url=f"{parts.scheme}://{parts.netloc}")
    word, _, base_url = text.partition("@")
    kind, _, path = word.partition("=")
    if kind not in KINDS:
        raise UsageError(
            f"不认识的数据源 {text!r}；可写 weibo、guba=股吧代码、heimao=公司编号，或订阅源的网址"
        )
    if kind != "weibo" and not path:
        raise UsageError(f"数据源 {kind} 需要编号或路径，例如 {kind}=600000")
    if base_url and not urlsplit(base_url).hostname:
        raise UsageError(f"数据源 {text!r} 里 @ 后面应是 http:// 或 https:// 地址")
    return SourceAnswer(kind=kind, path=path, base_url=base_url)


def write_config(folder: Path, answers: Answers, *, shipped: Path) -> None:
    """Write a whole configuration folder, right and checked, or nothing; comments of the shipped files stay.

    Raises ``UsageError`` when the folder holds something already, ``ConfigError`` for answers that make no
    valid configuration, ``YujingError`` when it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} 已有内容；换一个文件夹，或先移走它")
    try:
        _write(folder, answers, shipped=shipped)
    except OSError as error:
        raise YujingError(f"{folder}：写不了配置（{error.strerror or error}）") from error


def _write(folder: Path, answers: Answers, *, shipped: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".draft-", dir=folder) as place:
        draft = Path(place)
        _draft(draft, answers, shipped=shipped)
        problems = check(draft)
        if problems:
            first = replace(problems[0], file=problems[0].file.replace(str(draft), str(folder)))
            more = f"；另有 {len(problems) - 1} 处" if problems[1:] else ""
            raise ConfigError(f"配置没有写：{first}{more}")
        for entry in draft.iterdir():
            entry.replace(folder / entry.name)


def _draft(folder: Path, answers: Answers, *, shipped: Path) -> None:
    for file in sorted(shipped.glob("*.yaml")):
        shutil.copyfile(file, folder / file.name)
    (folder / "plans").mkdir()
    for file in sorted((shipped / "plans").glob("*.yaml")):
        shutil.copyfile(file, folder / "plans" / file.name)
    _edit(folder / "brands.yaml", lambda document: _brands(document, answers))
    _edit(folder / "sources.yaml", lambda document: _sources(document, answers))
    _edit(folder / "routes.yaml", lambda document: _routes(document, answers.recipients))


def _edit(path: Path, change: Any) -> None:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(path.read_text(encoding="utf-8"))
    change(document)
    with path.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)


def _brands(document: CommentedMap, answers: Answers) -> None:
    brands = document["brands"]
    own = brands[0]
    own["id"], own["name"] = answers.id, answers.name
    for key, value in (
        ("aliases", answers.aliases),
        ("not_followed_by", ()),
        ("not_in", ()),
        ("products", answers.products),
    ):
        own[key] = _flow(own, key, value)
    del brands[1:]
    for number, name in enumerate(answers.competitors, start=1):
        brands.append(CommentedMap(id=f"competitor-{number}", name=name, kind="competitor"))


def _sources(document: CommentedMap, answers: Answers) -> None:
    shipped = {source["kind"]: source for source in reversed(document["sources"])}
    examples, chosen = copy.deepcopy(shipped), list[CommentedMap]()
    for number, answer in enumerate(answers.sources, start=1):
        first = not any(source["kind"] == answer.kind for source in chosen)
        source = shipped[answer.kind] if first else copy.deepcopy(examples[answer.kind])
        source["id"] = answer.kind if first else f"{answer.kind}-{number}"
        source["enabled"] = True
        if answer.base_url:
            source["base_url"] = answer.base_url
            source.pop("cookie_env", None)  # the cookie of the real site is not for another host
            source["name"] = f"{answer.kind} {urlsplit(answer.base_url).hostname}"
            if answer.kind == "feed":
                source["tier"] = "user"  # the example is a medium; who writes in this one is not known
        if answer.kind == "weibo":
            source["queries"] = _flow(source, "queries", (answers.name, *answers.products))
        else:
            source["paths"] = _flow(source, "paths", (answer.path,))
        if answer.kind in ("guba", "heimao"):
            source.insert(list(source).index("platform") + 1, "brand", answers.id)
        chosen.append(source)
    # The entries that were not chosen stay as examples, switched off, unless a chosen one took their id.
    taken = {source["id"] for source in chosen}
    rest = [s for s in document["sources"] if s not in chosen and s["id"] not in taken]
    if chosen:
        document["sources"][:] = [*chosen, *rest]


def _routes(document: CommentedMap, recipients: Sequence[str]) -> None:
    # One reputation route and one for the operator: the other examples would mail the same people twice.
    routes = document["routes"]
    routes[:] = [routes[0], *(route for route in routes[1:] if route.get("operator"))]
    for route in routes:
        route["to"] = _flow(route, "to", recipients)


def _flow(holder: CommentedMap, key: str, values: Sequence[str]) -> Any:
    """A sequence written on one line, ``[a, b]``, keeping the old one's style and comments where there is one."""
    old = holder.get(key)
    if old is None:
        old = CommentedSeq()
        old.fa.set_flow_style()
    old[:] = list(values)
    return old
