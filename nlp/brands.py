"""Where watched companies are named."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from config.settings import Brand
from nlp.clean import simplify
from nlp.disguise import MARKS
from nlp.rarity import are_two_words, rarity
from nlp.wordlists import words

_HAN = "\u4e00-\u9fff"
_INVISIBLE = "\u00ad\u180e\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\u0300-\u036f"
_MARK, _TAG = f"[ –—☀-➿{MARKS}]", "</?[a-z][^<>]{0,80}>"
_BETWEEN = f"(?:{_MARK}|{_TAG})[{_INVISIBLE}]*"
"""A mark or a tag (<em>云桥</em>金融) between two characters of a name."""
_DROPPED = re.compile(rf"(?<=[{_HAN}])[{_INVISIBLE}]*(?:{_BETWEEN}){{1,2}}(?=[{_HAN}])|[{_INVISIBLE}]+")
_UNSEEN = re.compile(f"[{_INVISIBLE}]+|{_TAG}")
_SEAM = "\0"
"""Stands for a mark between two characters. A name may have it inside; a word that rules a name out only where
the word is written with one (万科·云桥), for else it is two words: 云桥 镇上, 小白 云桥."""

_BEYOND = 2
"""Characters of a name behind a word in which it begins: with one, it may be there by chance (登云桥借道)."""
_FORM = "app|公司|分公司|集团|有限|责任|股份|总部|平台|官方|官网|客服|软件|小程序"
_FULL_FORM = f"{_FORM}|信息|科技|技术|网络|数据|服务|咨询|管理"
"""With what a full name has before its 公司; without that it may be what sets two companies apart (京东科技, 京东)."""
_KIND = f"{_FULL_FORM}|金融|消费|小额|贷款"
_NO_OTHER = re.compile(rf"(?:{_KIND}|{'|'.join(words('places'))}|[省市\W])*")
"""What may stand around a name without making it another's."""
_PLACE = re.compile(rf"\A(?:(?:{'|'.join(words('places'))})[省市]?)+")
_LAST_FORM, _LAST_FULL_FORM = (
    re.compile(rf"(?:{form}|\([^()]*\)|\W)\Z", re.IGNORECASE) for form in (_FORM, _FULL_FORM)
)
_TRADES = "农商|农信|信用社|租赁|信托|基金|期货|担保|典当|保理|控股|资产|财产|融资|财险|寿险|商务"
_TRADE = re.compile(
    "|".join(
        sorted((*f"{_KIND}|{_TRADES}".split("|"), *words("generic"), *words("sure")), key=len, reverse=True)
    )
    + r"|\W",
    re.IGNORECASE,
)
"""Says what a company does, not which one it is."""
_LISTED = frozenset(words("companies"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """One place in a text that names a brand."""

    brand_id: str
    name: str
    """As written there."""
    start: int
    end: int
    """Characters [start, end) of the original text."""


@cache
def _table() -> dict[int, str]:
    """One character to one: full width to half, any blank to a space, traditional to simplified, lower case."""
    table = {code: chr(code - 0xFEE0).lower() for code in range(0xFF01, 0xFF5F)}
    table |= dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x3000), " ") | {0xFF65: "・"}
    for code in (*range(0x41, 0x5B), *range(0xC0, 0x180), *range(0x4E00, 0xA000)):
        plain = simplify(chr(code)).lower()
        if len(plain) == 1 and plain != chr(code):
            table[code] = plain
    return table


def fold(text: str, seam: str = "") -> tuple[str, Sequence[int]]:
    """The text for comparing, and for each of its characters (and its end) the place in the original.

    ``seam``: the character for a mark between two others that a reader sees.
    """
    low = text.translate(_table())
    if not _DROPPED.search(low):
        return low, range(len(low) + 1)
    parts: list[str] = []
    places: list[int] = []
    last = 0
    for dropped in _DROPPED.finditer(low):
        parts.append(low[last : dropped.start()])
        places.extend(range(last, dropped.start()))
        if seam and _UNSEEN.sub("", dropped[0]):
            parts.append(seam)
            places.append(dropped.start())
        last = dropped.end()
    parts.append(low[last:])
    places.extend(range(last, len(low) + 1))
    return "".join(parts), places


def as_written(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names or words, each as the text has it where it hides it from a search (云·桥 金融, 雲橋)."""
    low = text.lower()
    hidden = [name for name in dict.fromkeys(names) if name.lower() not in low]
    if not hidden:
        return tuple(names)
    folded, places = fold(text)
    written = {}
    for name in hidden:
        plain = fold(name)[0]
        for found in re.finditer(re.escape(plain), folded) if plain and plain in folded else ():
            if not _is_chance(folded, places, *found.span()):
                written[name] = text[places[found.start()] : places[found.end() - 1] + 1]
                break
    return tuple(written.get(name, name) for name in names)


def as_called(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Of normalised names each that the text lacks as the text calls that company, if it does: 云桥金融 for
    深圳云桥金融信息服务有限公司 or 云桥金融APP, but not within another of the names."""
    low = text.lower()
    there = [name for name in dict.fromkeys(names) if name.lower() in low]
    if len(there) == len(set(names)):
        return tuple(names)
    named = "|".join(re.escape(name.lower()) for name in sorted(there, key=len, reverse=True) if name)
    others = re.sub(named, " ", low) if named else low
    called = {
        name: next((short for short in _shorter(name) if _stands(short.lower(), others)), name)
        for name in set(names).difference(there)
    }
    return tuple(called.get(name, name) for name in names)


@lru_cache(4096)
def _shorter(name: str) -> tuple[str, ...]:
    """What is still a name without the legal form, then without the place too, the longest first."""
    last = _LAST_FULL_FORM if "公司" in name else _LAST_FORM
    found: list[str] = []
    own = _PLACE.sub("", name)
    for whole in dict.fromkeys((name, own, own.replace("金融信息", "信息"))):
        pieces = [whole]
        while (less := last.sub("", pieces[-1])) != pieces[-1]:
            pieces.append(less)
        if len(pieces[-1]) > 1:
            found += pieces
    return tuple(piece for piece in found if piece != name and _is_name(piece))


def _is_name(piece: str) -> bool:
    """Whether what is left of a company's name can only be that company: no ordinary word (阳光集团: not 阳光), no
    trade, no number. A bank may be a place and its trade (上海农商银行)."""
    if piece in _LISTED:
        return True
    own = _PLACE.sub("", piece)
    if not _TRADE.sub("", own) and (own == piece or not piece.endswith("银行")):
        return False
    return not piece.isdigit() and not rarity(piece, 0)


def _stands(name: str, text: str) -> bool:
    return name in text and re.search(bounded(name), text) is not None


def _is_chance(folded: str, places: Sequence[int], start: int, end: int) -> bool:
    """Two characters with a mark between them of which one belongs to another word: 北京 东莞 does not name 京东."""
    if len(folded[start:end].replace(_SEAM, "")) != 2 or places[start] + 1 == places[end - 1]:
        return False
    return are_two_words(folded, start, end - 1)


def bounded(name: str) -> str:
    """A pattern for a name. A Latin or digit edge must be the edge of a word: JD is not in JDK."""
    left = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", name) else ""
    right = r"(?![a-z0-9])" if re.search(r"[a-z0-9]$", name) else ""
    return f"{left}{re.escape(name)}{right}"


def _seamed(name: str) -> str:
    """A pattern for a name with marks between its characters."""
    return re.sub(f"(?<=[{_HAN}])(?=[{_HAN}])", f"{_SEAM}?", bounded(name))


class BrandMatcher:
    """Finds names, aliases and products of brands; the longest at each place, one pass over the text."""

    def __init__(self, brands: Sequence[Brand]) -> None:
        named: dict[str, tuple[str, str]] = {}
        self._spared: dict[str, set[str]] = {}
        spared: list[tuple[str, str]] = []
        for brand in brands:
            after = "|".join(re.escape(fold(word)[0]) for word in brand.not_followed_by if fold(word)[0])
            for name in (brand.name, *brand.aliases, *brand.products):
                if low := fold(name)[0].strip():
                    named.setdefault(low, (brand.id, f"(?!{after})" if after else ""))
            for word in brand.not_in:
                if low := fold(word)[0].strip():
                    self._spared.setdefault(low, set()).add(brand.id)
                    spared.append((low, re.escape(fold(word, _SEAM)[0].strip()).replace(_SEAM, f"{_SEAM}?")))
        self._brand = {name: brand for name, (brand, _) in named.items()}
        patterns = [(name, _seamed(name) + tail) for name, (_, tail) in named.items()]
        patterns += [pair for pair in dict.fromkeys(spared) if pair[0] not in named]
        patterns.sort(key=lambda pair: -len(pair[0]))
        self._pattern = re.compile("|".join(pattern for _, pattern in patterns)) if patterns else None
        own = [pair for pair in patterns if pair[0] in named]
        self._names = re.compile("|".join(pattern for _, pattern in own)) if own else None

    def find(self, text: str) -> list[Mention]:
        """Mentions in order, as written in ``text``; they never overlap."""
        low, places = fold(text, _SEAM)
        return [
            Mention(
                brand_id=self._brand[low[start:end].replace(_SEAM, "")],
                name=text[places[start] : places[end - 1] + 1],
                start=places[start],
                end=places[end - 1] + 1,
            )
            for start, end in self._spans(low, places)
        ]

    def brand_of(self, name: str) -> str:
        """The brand whose name this is, with a place or a legal form too (云桥金融APP); else empty.

        假云桥金融 is a name of its own: whoever accuses the impostor does not accuse the brand.
        """
        rest = low = fold(name)[0]
        mentions = self.find(low)
        for mention in reversed(mentions):
            rest = f"{rest[: mention.start]} {rest[mention.end :]}"
        brands = {mention.brand_id for mention in mentions}
        return brands.pop() if len(brands) == 1 and _NO_OTHER.fullmatch(rest) else ""

    def _spans(self, low: str, places: Sequence[int]) -> Iterator[tuple[int, int]]:
        at = 0
        while self._pattern is not None and (match := self._pattern.search(low, at)):
            at = match.end()
            word = match[0].replace(_SEAM, "")
            if word in self._spared and word not in self._brand:
                for span in self._inside(low, places, match.span(), self._spared[word]):
                    yield span
                    at = max(at, span[1])
            elif _is_chance(low, places, *match.span()):
                at = match.start() + 1
            else:
                yield match.span()

    def _inside(
        self, low: str, places: Sequence[int], word: tuple[int, int], spared: Collection[str]
    ) -> Iterator[tuple[int, int]]:
        """Names in a longer word that is none of the ``spared`` brands: of other brands, and those that go on well
        beyond the word, which then stands there by chance (不明不白云桥金融)."""
        at, end = word
        while self._names is not None and at < end:
            inner = self._names.match(low, at)
            at += 1
            if inner is None or _is_chance(low, places, *inner.span()):
                continue
            own = self._brand[inner[0].replace(_SEAM, "")] in spared
            if not own or inner.end() >= end + _BEYOND:
                yield inner.span()
                at = inner.end()
