"""A team's own labels: what a person wrote into a row, in Chinese or as JSON, as values and as training examples.

An empty cell says nothing and is masked; 无 (or an empty list) says that there is none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from config.problems import near
from nlp.clean import clip, joined, normalise
from nlp.corpus import ANY, NOT_NEGATIVE, READ_POSTS, Example, only
from nlp.labels import STANCES, TOPICS

SET = READ_POSTS
"""Set under which a team's posts are trained on: posts that were read, too. None of it is replayed beside them."""
COLUMNS = {
    "id": "编号",
    "title": "标题",
    "text": "正文",
    "entities": "公司",
    "sentiment": "情感",
    "topics": "话题",
    "stance": "立场",
    "ad": "广告",
    "negative_about": "负面指向",
    "note": "备注",
    "text_mark": "文本标记",
}
"""Key in JSON → heading in a spreadsheet."""
JUDGED = ("sentiment", "topics", "stance", "ad", "negative_about")
"""What a person judges."""

_SENTIMENTS = {
    "negative": ("negative", "负面", "负"),
    "neutral": ("neutral", "中性", "中"),
    "positive": ("positive", "正面", "正"),
}
_STANCES = {
    "assert": ("assert", "断言", "陈述"),
    "deny": ("deny", "否认", "辟谣"),
    "ask": ("ask", "询问", "提问"),
    "other": ("other", "其他", "其它"),
}
_FLAGS = {"yes": ("是", "true", "yes", "y", "1", "1.0"), "no": ("否", "false", "no", "n", "0", "0.0")}
_NONE = frozenset({"无", "没有", "none", "[]", "-"})
_MEANT = {
    "情绪": "情感", "倾向": "情感", "情感倾向": "情感", "主题": "话题", "态度": "立场", "指向": "负面指向",
    "负面公司": "负面指向", "负面对象": "负面指向", "被指公司": "负面指向",
}  # fmt: skip
"""Headings that people write for ours."""
_HINT = re.compile(r"[（(].*$", re.DOTALL)
_BETWEEN = re.compile(r"[、,，;；\n]+")
_MOST = 24
"""Names or topics that a person may write into one cell; what the program wrote has no such bound."""


class BadLabel(ValueError):
    """A row that cannot be used; ``reasons`` are all of them, each one clause."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("；".join(reasons))
        self.reasons = list(reasons)


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What a person said about one post; None: nothing."""

    id: str = ""
    text: str = ""
    title: str = ""
    entities: tuple[str, ...] | None = None
    """The companies named, as written; None: nobody listed them."""
    sentiment: str | None = None
    topics: tuple[str, ...] | None = None
    stance: str | None = None
    ad: bool | None = None
    negative_about: tuple[str, ...] | None = None
    note: str = ""
    text_mark: str = ""
    """``domain.correction.text_mark`` of the text that was read; empty: not known."""

    @property
    def empty(self) -> bool:
        """Nothing was judged."""
        return all(getattr(self, name) is None for name in JUDGED)

    @property
    def whole(self) -> str:
        """The text as it is trained on; the same for labels of one post."""
        return joined(clip(self.title), clip(self.text))

    def agrees(self, other: Label) -> bool:
        """Both say the same of the same text."""
        return all(getattr(self, name) == getattr(other, name) for name in ("entities", *JUDGED))

    def after(self, earlier: Label | None) -> Label:
        """Both together: what this one leaves open stays as it was said before, as far as it does not contradict."""
        if earlier is None:
            return self
        kept = {n: getattr(earlier, n) for n in ("entities", *JUDGED) if getattr(self, n) is None}
        turned = self.sentiment == "positive" and earlier.sentiment == "negative"
        if self.sentiment == "neutral" or turned:
            kept.pop("negative_about", None)
        if self.negative_about and kept.get("sentiment") == "neutral":
            del kept["sentiment"]
        return replace(self, **kept)


def topic_words(names: Mapping[str, str]) -> dict[str, str]:
    """Every way to write a topic → its id: ids, full names, and the parts of names that only one topic has.

    ``names``: topic id → name shown to people.
    """
    found: dict[str, str] = {}
    shared: set[str] = set()
    for id_, name in names.items():
        for part in name.split("/"):
            if found.setdefault(part.strip().lower(), id_) != id_:
                shared.add(part.strip().lower())
    for part in shared:
        del found[part]
    return found | {name.lower(): id_ for id_, name in names.items()} | {id_: id_ for id_ in names}


def read(values: Mapping[str, Any], topics: Mapping[str, str]) -> Label:
    """The label of one row. ``topics`` is of ``topic_words``. Raises ``BadLabel`` with all that is wrong."""
    row, wrong = _known(values)
    told: dict[str, Any] = {}

    def take(name: str, make: Callable[[Any], Any]) -> None:
        try:
            told[name] = None if _silent(row.get(name)) else make(row[name])
        except BadLabel as bad:
            wrong.extend(f"{COLUMNS[name]}：{reason}" for reason in bad.reasons)

    take("sentiment", lambda value: _one(value, _SENTIMENTS, "负面、中性、正面"))
    take("stance", lambda value: _one(value, _STANCES, "断言、否认、询问、其他"))
    take("ad", lambda value: _one(value, _FLAGS, "是、否") == "yes")
    take("topics", lambda value: _topics(value, topics))
    take("negative_about", _few)
    take("entities", _several)
    for name in ("id", "text", "title", "note", "text_mark"):
        value = row.get(name)
        if value is not None and not isinstance(value, str | int):
            wrong.append(f"{COLUMNS[name]}：应是文字")
        told[name] = "" if value is None else str(value)
    if told.get("negative_about") and told.get("sentiment") == "neutral":
        wrong.append("负面指向：情感写了中性，却又指向公司；请改一处")
    if wrong:
        raise BadLabel(wrong)
    return Label(**told)


def recognised(headings: Iterable[str]) -> bool:
    """Whether a table with these headings could hold labels at all."""
    known = {*COLUMNS, *COLUMNS.values()}
    return any(_HINT.sub("", str(name)).strip() in known for name in headings)


def _known(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The row under our own keys; a heading may carry a hint in brackets. A near miss is a mistake, not a comment."""
    keys = {heading: key for key, heading in COLUMNS.items()} | {key: key for key in COLUMNS}
    row: dict[str, Any] = {}
    names: dict[str, str] = {}
    wrong = []
    for name, value in values.items():
        plain = _HINT.sub("", str(name)).strip()
        key = keys.get(plain) or keys.get(plain.lower())
        if key and key in row:
            wrong.append(f"两列都是{COLUMNS[key]}：{_shown(names[key])} 和 {_shown(name)}；请只留一列")
        elif key:
            row[key], names[key] = value, str(name)
        elif meant := _meant(plain):
            wrong.append(f"不认识的列 {_shown(plain)}（是不是想写 {meant}？）")
    return row, wrong


def _meant(heading: str) -> str:
    """Which column a heading that is none was meant to be; empty for one of another kind."""
    return _MEANT.get(heading) or near(
        heading, COLUMNS if heading.isascii() else COLUMNS.values(), cutoff=0.8
    )


def _silent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _one(value: Any, words: Mapping[str, Sequence[str]], allowed: str) -> str:
    plain = str(value).strip().lower()
    for meaning, spellings in words.items():
        if plain in spellings:
            return meaning
    raise BadLabel([f"不认识“{_shown(value)}”，应是 {allowed} 之一"])


def _several(value: Any) -> tuple[str, ...]:
    """Names of a list or of one cell."""
    if isinstance(value, str):
        parts = [] if value.strip().lower() in _NONE else _BETWEEN.split(value)
    elif isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        parts = list(value)
    else:
        raise BadLabel(["应是文字，或文字的列表"])
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _few(value: Any) -> tuple[str, ...]:
    found = _several(value)
    if len(found) > _MOST:
        raise BadLabel([f"有 {len(found)} 项，最多 {_MOST} 项"])
    return found


def _topics(value: Any, topics: Mapping[str, str]) -> tuple[str, ...]:
    found, wrong = [], []
    for name in _few(value):
        id_ = topics.get(name.lower())
        if id_ is None:
            meant = near(name, list(topics), cutoff=0.5)
            wrong.append(f"没有话题“{_shown(name)}”" + (f"（是不是想写 {meant}？）" if meant else ""))
        else:
            found.append(id_)
    if wrong:
        raise BadLabel(wrong)
    return tuple(dict.fromkeys(found))


def _shown(value: Any) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= 20 else text[:19] + "…"


def example(
    label: Label, find: Callable[[str], Sequence[str]], brand_of: Callable[[str], str] = str
) -> Example | None:
    """A label as a training example, what was not said masked; None for a text that is empty or a label that is.

    ``find`` gives the companies of a text where the label lists none. ``brand_of`` gives the brand of a name, empty
    for a company that is not watched: names of one brand are one company. By default every name is a company.
    """
    text = label.whole
    if not text or label.empty:
        return None
    listed = label.entities if label.entities is not None else tuple(find(text))
    companies = Companies(text, listed, label.negative_about, brand_of)
    known = [topic for topic in label.topics or () if topic in TOPICS]
    return Example(
        set=SET,
        key=label.id or hashlib.sha256(text.encode()).hexdigest()[:16],
        text=text,
        sentiment=ANY if label.sentiment is None else only(label.sentiment),
        topics=None if label.topics is None else tuple(TOPICS.index(topic) for topic in known),
        stance=None if label.stance is None else STANCES.index(label.stance),
        ad=label.ad,
        entities=tuple((normalise(name), _open(name, label, companies)) for name in companies.names),
    )


class Companies:
    """The names of a post, and who of them is accused whatever the spelling."""

    def __init__(
        self,
        text: str,
        listed: Sequence[str],
        accused: Sequence[str] | None,
        brand_of: Callable[[str], str],
    ) -> None:
        self._accused = tuple(accused or ())
        self._brand = {name: brand_of(name) or name for name in (*listed, *self._accused)}
        brands = {self._brand[name] for name in listed}
        # A spelling that the text does not have teaches nothing where another one of the same company is listed.
        more = [n for n in self._accused if self._brand[n] not in brands or normalise(n) in text]
        # The accused first: of a long list training reads no more than the beginning.
        self.names = tuple(sorted(dict.fromkeys((*listed, *more)), key=lambda name: not self.accuses(name)))

    @property
    def single(self) -> bool:
        """All names are those of one company."""
        return len({self._brand[name] for name in self.names}) == 1

    def accuses(self, name: str) -> bool:
        """The name is of a company that is accused."""
        return self._brand[name] in {self._brand[each] for each in self._accused}

    def like_accused(self, name: str) -> bool:
        """Perhaps the same company: in the text the name stands within that of an accused one, or around it."""
        own = normalise(name)
        return any(own in (other := normalise(each)) or other in own for each in self._accused)


def _open(name: str, label: Label, companies: Companies) -> tuple[bool, ...]:
    """The sentiments that a label leaves open for a company, as ``nlp.corpus`` reads the project's own labels."""
    if companies.accuses(name):
        return only("negative")
    if companies.like_accused(name):
        return ANY
    if label.sentiment == "neutral":
        return only("neutral")
    if label.sentiment == "positive":
        return only("positive") if companies.single else NOT_NEGATIVE
    if label.negative_about is not None:
        return NOT_NEGATIVE
    return only("negative") if label.sentiment == "negative" and companies.single else ANY
