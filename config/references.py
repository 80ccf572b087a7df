"""What no single field can say: names that must exist, be unique, or fit together."""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel

from config.document import Document, Key
from config.files import BrandsFile, PlanFile, RoutesFile, SourcesFile, TopicsFile
from config.problems import near
from config.settings import Brand, Route, Rules, Schedules, Source

PLACEHOLDERS = ("company", "time", "facts", "actions", "advice", "contact", "next_update")
"""What a holding statement may leave open."""

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[^\s@<>()\[\],;:\\\"]{1,255}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]")


def folded(name: str) -> str:
    """A name as matching sees it: case, width and blanks do not tell two names apart."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", name).casefold())


def check(
    documents: Mapping[str, Document],
    models: Mapping[str, BaseModel | None],
    plan_documents: Mapping[str, Document],
    plans: Mapping[str, BaseModel | None],
) -> None:
    """Note everything that does not fit together; a file that could not be read is left out."""
    brands, topics = models["brands.yaml"], models["topics.yaml"]
    if isinstance(brands, BrandsFile):
        _brands(documents["brands.yaml"], brands)
    if isinstance(models["sources.yaml"], SourcesFile):
        _sources(documents["sources.yaml"], models["sources.yaml"])
    if isinstance(topics, TopicsFile):
        _topics(documents["topics.yaml"], topics, plan_documents)
    if isinstance(models["rules.yaml"], Rules):
        _rules(documents["rules.yaml"], models["rules.yaml"])
    if isinstance(models["service.yaml"], Schedules):
        _cron(documents["service.yaml"], ("retention",), models["service.yaml"].retention)
    if isinstance(models["routes.yaml"], RoutesFile):
        known = {
            "brands": [brand.id for brand in brands.brands] if isinstance(brands, BrandsFile) else None,
            "topics": [topic.id for topic in topics.topics] if isinstance(topics, TopicsFile) else None,
            "plans": list(plan_documents),
        }
        _routes(documents["routes.yaml"], models["routes.yaml"].routes, known)
    used = {topic.plan for topic in topics.topics} if isinstance(topics, TopicsFile) else None
    for name, document in plan_documents.items():
        if used is not None and name not in used:
            document.report((), f"没有主题用到预案 {name}", near(name, used))
        model = plans[name]
        if isinstance(model, PlanFile):
            _plan(document, model, name)


def _unique(document: Document, at: tuple[Key, ...], field: str, values: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        here = (*at, index, field)
        if value in seen:
            first = document.line((*at, seen[value], field))
            document.report(here, f"{value} 重复，第 {first} 行已经用过")
        seen.setdefault(value, index)


def _brands(document: Document, file: BrandsFile) -> None:
    _unique(document, ("brands",), "id", [brand.id for brand in file.brands])
    owner: dict[str, tuple[int, str]] = {}
    for index, brand in enumerate(file.brands):
        for path, name in _names(index, brand):
            key = folded(name)
            if len(key) < 2:
                document.report(path, f"“{name}”太短，会误中普通文字，至少两个字")
                continue
            other, where = owner.setdefault(key, (index, brand.name))
            if other != index:
                document.report(path, f"“{name}”已属于品牌 {where}，两个品牌不能共用一个名字")
        _exclusions(document, index, brand)


def _names(index: int, brand: Brand) -> Iterable[tuple[tuple[Key, ...], str]]:
    yield ("brands", index, "name"), brand.name
    for field in ("aliases", "products"):
        for number, name in enumerate(getattr(brand, field)):
            yield ("brands", index, field, number), name


def _exclusions(document: Document, index: int, brand: Brand) -> None:
    names = {folded(name) for _, name in _names(index, brand)}
    for number, word in enumerate(brand.not_in):
        at = ("brands", index, "not_in", number)
        if folded(word) in names:
            document.report(at, f"“{word}”就是这个品牌的名字，排除它会什么都匹配不到")
        elif not any(name in folded(word) for name in names):
            document.report(at, f"“{word}”里没有这个品牌的任何名字，这一条不起作用")
    for number, word in enumerate(brand.not_followed_by):
        if not folded(word):
            document.report(("brands", index, "not_followed_by", number), "不能为空")


_NEEDS = {
    "weibo": ("queries", "搜索词"),
    "feed": ("paths", "订阅路径"),
    "guba": ("paths", "股吧代码"),
    "heimao": ("paths", "公司编号"),
}


def _sources(document: Document, file: SourcesFile) -> None:
    _unique(document, ("sources",), "id", [source.id for source in file.sources])
    for index, source in enumerate(file.sources):
        _source(document, ("sources", index), source)


def _source(document: Document, at: tuple[Key, ...], source: Source) -> None:
    field, what = _NEEDS[source.kind]
    if not any(entry.strip() for entry in getattr(source, field)):
        document.report((*at, field), f"{source.kind} 数据源至少要有一个{what}")
    if source.cookie_env and not _VARIABLE.fullmatch(source.cookie_env):
        document.report((*at, "cookie_env"), "需要环境变量的名字（大写字母、数字、下划线），不是 Cookie 本身")
    if source.blind_after_min < source.every_min:
        document.report(
            (*at, "blind_after_min"), f"不能小于采集间隔 every_min（{source.every_min} 分钟），否则总显示失明"
        )


def _topics(document: Document, file: TopicsFile, plans: Mapping[str, Document]) -> None:
    _unique(document, ("topics",), "id", [topic.id for topic in file.topics])
    for index, topic in enumerate(file.topics):
        if topic.plan not in plans:
            document.report(
                ("topics", index, "plan"),
                f"找不到预案 plans/{topic.plan}.yaml",
                near(topic.plan, plans),
            )


def _rules(document: Document, rules: Rules) -> None:
    levels = rules.levels
    steps = ("blue", "yellow", "orange", "red")
    for lower, higher in itertools.pairwise(steps):
        if getattr(levels, lower) >= getattr(levels, higher):
            document.report(("levels", higher), f"必须大于 {lower} 的门槛")
    for index, window in enumerate(rules.detection.windows_min):
        if window <= 0 or window % rules.detection.tick_min:
            document.report(
                ("detection", "windows_min", index),
                f"必须是 tick_min（{rules.detection.tick_min}）的正整数倍",
            )


def _cron(document: Document, path: tuple[Key, ...], value: str) -> None:
    from apscheduler.triggers.cron import CronTrigger

    try:
        CronTrigger.from_crontab(value, timezone="Asia/Shanghai")
    except (ValueError, TypeError, KeyError):
        document.report(path, "不是有效的 cron：需要五段“分 时 日 月 周”，例如 17 4 * * *")


def _routes(document: Document, routes: Sequence[Route], known: Mapping[str, list[str] | None]) -> None:
    _unique(document, ("routes",), "name", [route.name for route in routes])
    words = {"brands": "品牌", "topics": "主题", "plans": "预案"}
    for index, route in enumerate(routes):
        for field, ids in known.items():
            for number, id_ in enumerate(getattr(route, field)):
                if ids is not None and id_ not in ids:
                    document.report(
                        ("routes", index, field, number), f"没有{words[field]} {id_}", near(id_, ids)
                    )
        for number, address in enumerate(route.to):
            if not _EMAIL.fullmatch(address):
                document.report(("routes", index, "to", number), f"“{address}”不是邮箱地址")
        if route.quiet_hours and route.quiet_hours.start == route.quiet_hours.end:
            document.report(("routes", index, "quiet_hours", "end"), "开始和结束不能相同")


def _plan(document: Document, plan: PlanFile, name: str) -> None:
    if plan.id != name:
        document.report(("id",), f"必须与文件名一致：{name}", name)
    _unique(document, ("tasks",), "id", [task.id for task in plan.tasks])
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(plan.statement) if field is not None]
    except ValueError:
        document.report(("statement",), "花括号不成对")
        return
    for field in fields:
        if field not in PLACEHOLDERS:
            document.report(
                ("statement",),
                f"不认识的占位 {{{field}}}，可用：{'、'.join(PLACEHOLDERS)}",
                near(field, PLACEHOLDERS),
            )
