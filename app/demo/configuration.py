"""The configuration of a run: a copy of the shipped one with its own brands, sources and routes."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path

import yaml

from app.demo.cast import Cast
from app.sandbox.scenario import SandboxPost
from app.sandbox.sites import TOPIC, Directory
from config.load import load
from config.settings import Brand, Settings

MOST_CRAWLS = 30
"""Crawl processes of a whole run: the background, a rehearsal, the rounds, and a last look."""
ROUNDS = MOST_CRAWLS - 3
RECIPIENTS = {
    "公关值班": "pr@example.test",
    "危机委员会": "committee@example.test",
    "运维": "ops@example.test",
}
_NAMES = {"weibo": "微言搜索", "topic": "微言超话", "guba": "股言堂", "heimao": "听诉", "news": "观澜财经"}


def shipped() -> Settings:
    """The configuration that comes along. Raises ``ConfigError``."""
    with as_file(files("config")) as folder:
        return load(folder)


def directory(brands: Sequence[Brand]) -> Directory:
    """Pages of the brands on the invented sites."""
    return Directory(codes={brand.name: brand.id.replace("-", "_") for brand in brands})


def every_min(length: timedelta) -> int:
    """Minutes between crawls, so that a length of time takes no more than the rounds there are."""
    return max(1, math.ceil(length / timedelta(minutes=1) / ROUNDS))


def write(folder: Path, cast: Cast, urls: Mapping[str, str], every: int) -> None:
    """Write the configuration of a run. Raises ``OSError``."""
    (folder / "plans").mkdir(parents=True)
    with as_file(files("config")) as source:
        for path in (*source.glob("*.yaml"), *source.glob("plans/*.yaml")):
            shutil.copyfile(path, folder / path.relative_to(source))
    brands = [_plain(brand.model_dump(exclude_defaults=True)) for brand in cast.brands]
    _dump(folder / "brands.yaml", {"brands": brands})
    _dump(folder / "sources.yaml", {"sources": _sources(cast, urls, every)})
    _dump(folder / "routes.yaml", {"routes": _routes()})


def _plain(value: object) -> object:
    """Values as YAML knows them: tuples become lists."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def _dump(path: Path, value: object) -> None:
    head = "# 由 yujing demo 写下，只用于这一次演练。\n"
    path.write_text(head + yaml.safe_dump(value, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _routes() -> list[dict[str, object]]:
    levels = {"公关值班": "blue", "危机委员会": "orange", "运维": "blue"}
    return [
        {
            "name": name,
            "level": levels[name],
            "to": [address],
            **({"operator": True} if name == "运维" else {}),
        }
        for name, address in RECIPIENTS.items()
    ]


def _sources(cast: Cast, urls: Mapping[str, str], every: int) -> list[dict[str, object]]:
    """One source for what names its brand; one for each brand of which posts do not."""
    pages = directory(cast.brands)
    found: list[dict[str, object]] = []

    def add(kind: str, id_: str, name: str, **own: object) -> None:
        site = "news" if kind == "feed" else kind
        found.append(
            {
                "id": id_,
                "kind": kind,
                "name": f"{name}（演练）",
                "base_url": urls[site],
                "platform": site,
                **own,
                "every_min": every,
                "pages": 100,
                "tier": "regional_media" if site == "news" else "user",
                "delay_s": 0,
                "concurrency": 8,
                "timeout_s": 20,
                "limit_s": 120,
                "blind_after_min": max(120, 6 * every),
            }
        )

    posts = cast.scenario.posts
    if searched := _about(cast, posts, "weibo", named=True):
        add("weibo", "weibo", _NAMES["weibo"], queries=[brand.name for brand in searched])
    for brand in _about(cast, posts, "weibo", named=False):
        label = f"{_NAMES['topic']}·{brand.name}"
        add("weibo", f"weibo-{brand.id}", label, brand=brand.id, queries=[brand.name + TOPIC])
    for kind in ("guba", "heimao"):
        place = pages.company if kind == "heimao" else pages.codes.__getitem__
        own = _about(cast, posts, kind, named=False)
        shared = [brand for brand in _about(cast, posts, kind, named=True) if brand not in own]
        if shared:
            add(kind, kind, _NAMES[kind], paths=[place(brand.name) for brand in shared])
        for brand in own:
            label = f"{_NAMES[kind]}·{brand.name}"
            add(kind, f"{kind}-{brand.id}", label, brand=brand.id, paths=[place(brand.name)])
    if _about(cast, posts, "news", named=True):
        add("feed", "news", _NAMES["news"], paths=["/rss.xml"])
    for brand in _about(cast, posts, "news", named=False):
        label, path = f"{_NAMES['news']}·{brand.name}", f"/company/{pages.codes[brand.name]}.xml"
        add("feed", f"news-{brand.id}", label, brand=brand.id, paths=[path])
    return found


def _about(cast: Cast, posts: Sequence[SandboxPost], site: str, *, named: bool) -> list[Brand]:
    """Brands with posts on a site that do, or do not, name them."""
    names = {post.brand for post in posts if post.site == site and post.named is named}
    return [brand for brand in cast.brands if brand.name in names]
