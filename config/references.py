"""What no single field can say: names that must exist, be unique, or fit together."""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from config.document import Document, Key, Value
from config.mailbox import is_mailbox
from config.problems import near
from config.settings import Rules, Schedules, Source
from config.validation import entries, items, salvage, words, written

PLACEHOLDERS = ("company", "time", "facts", "actions", "advice", "contact", "next_update")
"""What a holding statement may leave open."""

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]")
_CHINESE_COMMA = re.compile("[，、；]")
_NAMES = ("name", "aliases", "products")


def folded(name: str) -> str:
    """A name as matching sees it: case, width and blanks do not tell two names apart."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", name).casefold())


def check(documents: Mapping[str, Document], plans: Mapping[str, Document]) -> None:
    """Note in each document what does not fit together; what has no shape at all is left out."""
    brands, topics = documents["brands.yaml"], documents["topics.yaml"]
    _brands(brands)
    _run_together(brands, "brands", *_NAMES, "not_in", "not_followed_by")
    _run_together(documents["sources.yaml"], "sources", "queries", "paths")
    _run_together(topics, "topics", "words")
    _sources(documents["sources.yaml"])
    _topics(topics, plans)
    _rules(documents["rules.yaml"])
    _schedules(documents["service.yaml"])
    known = {
        "brands": set(written(brands, "brands", "id").values()),
        "topics": set(written(topics, "topics", "id").values()),
        "plans": set(plans),
    }
    _routes(documents["routes.yaml"], known)
    for index, brand in written(documents["sources.yaml"], "sources", "brand").items():
        if brand and known["brands"] and brand not in known["brands"]:
            at = ("sources", index, "brand")
            documents["sources.yaml"].report(at, f"没有品牌 {brand}", near(brand, known["brands"]))
    used = set(written(topics, "topics", "plan").values())
    for name, document in plans.items():
        if used and name not in used:
            document.report((), f"没有主题用到预案 {name}", near(name, used))
        _plan(document, name)


def _unique(document: Document, key: str, field: str) -> None:
    first: dict[str, int] = {}
    for index, value in written(document, key, field).items():
        here = (key, index, field)
        if value in first:
            document.report(here, f"{value} 重复，第 {document.line((key, first[value], field))} 行已经用过")
        first.setdefault(value, index)


def _run_together(document: Document, key: str, *fields: str) -> None:
    """YAML does not part a list at a Chinese comma: what was meant as two names is one that no post holds."""
    for index, item in items(document, key).items():
        for path, text in _texts(item, fields):
            if _CHINESE_COMMA.search(text):
                document.report((key, index, *path), f"“{text}”像是几个写在了一起：分成几项，用英文逗号隔开")


def _texts(item: dict[str, Value], fields: Iterable[str]) -> Iterator[tuple[tuple[Key, ...], str]]:
    for field in fields:
        if isinstance(item.get(field), str):
            yield (field,), str(item[field])
        for number, text in words(item, field).items():
            yield (field, number), text


def _brands(document: Document) -> None:
    _unique(document, "brands", "id")
    owner: dict[str, tuple[int, str]] = {}
    for index, brand in items(document, "brands").items():
        names = dict(_texts(brand, _NAMES))
        for path, name in names.items():
            at, key = ("brands", index, *path), folded(name)
            if len(key) < 2:
                document.report(at, f"“{name}”太短，会误中普通文字，至少两个字")
                continue
            other, where = owner.setdefault(key, (index, str(brand.get("name", brand.get("id")))))
            if other != index:
                document.report(at, f"“{name}”已属于品牌 {where}，两个品牌不能共用一个名字")
        _exclusions(document, index, brand, {folded(name) for name in names.values()})


def _exclusions(document: Document, index: int, brand: dict[str, Value], names: set[str]) -> None:
    for number, word in words(brand, "not_in").items():
        at = ("brands", index, "not_in", number)
        if folded(word) in names:
            document.report(at, f"“{word}”就是这个品牌的名字，排除它会什么都匹配不到")
        elif names and not any(name in folded(word) for name in names):
            document.report(at, f"“{word}”里没有这个品牌的任何名字，这一条不起作用")
    for number, word in words(brand, "not_followed_by").items():
        if not folded(word):
            document.report(("brands", index, "not_followed_by", number), "不能为空")


_NEEDS = {
    "weibo": ("queries", "搜索词"),
    "feed": ("paths", "订阅路径"),
    "guba": ("paths", "股吧代码"),
    "heimao": ("paths", "公司编号"),
}


def _sources(document: Document) -> None:
    _unique(document, "sources", "id")
    for index, source in entries(document, "sources", Source).items():
        at = ("sources", index)
        field, what = _NEEDS[source.kind]
        if not any(entry.strip() for entry in getattr(source, field)):
            document.report((*at, field), f"{source.kind} 数据源至少要有一个{what}")
        if source.cookie_env and not _VARIABLE.fullmatch(source.cookie_env):
            document.report(
                (*at, "cookie_env"), "需要环境变量的名字（大写字母、数字、下划线），不是 Cookie 本身"
            )
        if source.blind_after_min < source.every_min:
            document.report(
                (*at, "blind_after_min"),
                f"不能小于采集间隔 every_min（{source.every_min} 分钟），否则总显示失明",
            )


def _topics(document: Document, plans: Mapping[str, Document]) -> None:
    _unique(document, "topics", "id")
    for index, plan in written(document, "topics", "plan").items():
        if plan not in plans:
            document.report(("topics", index, "plan"), f"找不到预案 plans/{plan}.yaml", near(plan, plans))


def _rules(document: Document) -> None:
    rules = salvage(document.value, Rules)
    if rules is None:
        return
    for lower, higher in itertools.pairwise(("blue", "yellow", "orange", "red")):
        if getattr(rules.levels, lower) >= getattr(rules.levels, higher):
            document.report(("levels", higher), f"必须大于 {lower} 的门槛")
    if rules.detection.tick_min % 5:
        document.report(("detection", "tick_min"), "必须是 5 的倍数：计数以 5 分钟为一格")


def _schedules(document: Document) -> None:
    schedules = salvage(document.value, Schedules)
    if schedules is None:
        return
    from apscheduler.triggers.cron import CronTrigger

    try:
        CronTrigger.from_crontab(schedules.retention, timezone="Asia/Shanghai")
    except (ValueError, TypeError, KeyError):
        document.report(("retention",), "不是有效的 cron：需要五段“分 时 日 月 周”，例如 17 4 * * *")


_WORDS = {"brands": "品牌", "topics": "主题", "plans": "预案"}


def _routes(document: Document, known: Mapping[str, set[str]]) -> None:
    _unique(document, "routes", "name")
    spelled: dict[str, str] = {}
    for index, route in items(document, "routes").items():
        at = ("routes", index)
        for field, ids in known.items():
            for number, id_ in words(route, field).items():
                if ids and id_ not in ids:
                    document.report((*at, field, number), f"没有{_WORDS[field]} {id_}", near(id_, ids))
        for number, address in words(route, "to").items():
            if not is_mailbox(address):
                document.report((*at, "to", number), f"“{address}”不是邮箱地址")
            # Who was told what is looked up by address: a second spelling would be a second person.
            before = spelled.setdefault(address.casefold(), address)
            if before != address:
                document.report((*at, "to", number), f"和 {before} 是同一个邮箱，要写得一模一样", before)
        quiet = route.get("quiet_hours")
        if isinstance(quiet, dict) and quiet.get("start") and quiet.get("start") == quiet.get("end"):
            document.report((*at, "quiet_hours", "end"), "开始和结束不能相同")


def _plan(document: Document, name: str) -> None:
    _unique(document, "tasks", "id")
    plan = document.value
    if not isinstance(plan, dict):
        return
    if isinstance(plan.get("id"), str) and plan["id"] != name:
        document.report(("id",), f"必须与文件名一致：{name}", name)
    statement = plan.get("statement")
    if isinstance(statement, str):
        _statement(document, statement)


def _statement(document: Document, text: str) -> None:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
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
