"""Companies that nobody told us about: a modest finder by known names and by how such names end."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache

from nlp.brands import bounded
from nlp.clean import LINKS, clip, simplify
from nlp.wordlists import words

MOST = 12
"""Companies found in one text at most."""

_SURE = frozenset(words("sure"))
_SURE_ENDS = tuple(words("sure"))
_GENERIC = frozenset(words("generic"))
_GENERIC_ENDS = tuple(word for word in _GENERIC if len(word) > 1)
_MODIFIERS = frozenset(words("modifiers"))
_COUNT = "[0-9一二两三四五六七八九十百千万数几多余]{1,8}[名位]|[数几上][十百千万]+[名位]?"
"""So many people or companies: 上千名, 多位, 数百."""
_DATE = "[0-9]{1,2}日(?:起|晚间?|早间?|上午|下午)?|[0-9]{1,2}点(?!名)半?"
"""The end of a date or a time: 11月30日, 7月16日晚间, 10点半."""
_BREAKS = re.compile(
    "|".join([_DATE, _COUNT, *map(re.escape, sorted(words("breaks"), key=len, reverse=True))])
)
_SOFT = frozenset("小新老大好中和一两三百万金元全多成资真天上下前后内外月年人号国第原坏各系")
"""Breaks that names begin with as well; where only they stand before a name, they belong to it."""
_STRICT = frozenset(words("strict"))
_PLACES = frozenset(words("places"))
_WIDE = frozenset(
    ["金融", "财富", "网贷", "投资", "普惠", "科技", "金服", "证券", "理财", "基金", "支付", "资本"]
)
"""Ends before which a place is no name (上海金融); before others it may be one (上海银行)."""
_FIRM = frozenset(words("firms"))
_PRODUCTS = frozenset(words("products"))
_EVERYDAY = frozenset(["银行", "财富", "资本"])
"""Ends of a firm's name that may be the next word as well (美团银行转账)."""
_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SHORT = frozenset(["贷网", "财网", "投网", "融网", "票网", "豆网", "金所"])
"""Ends so telling that one character before them is enough (宜贷网)."""
_NO_HEAD = "出间络初而候信私骗房学续转时同网利额还借放助拒车农"
"""Characters that make a word with a one-character end (私房+借, 车+贷)."""
_FARTHEST = 8
GLUED = 3
"""Characters of a word that may stand before a name as if it were part of it."""
_HAN = re.compile(r"[\u4e00-\u9fff]*")
_RUN = re.compile(r"[\u4e00-\u9fffA-Za-z0-9]*\Z")
_QUOTED = re.compile(r"#([\u4e00-\u9fffA-Za-z0-9]{2,8}?)(?:超话|\[超话\])?#")
_COMPANY = re.compile(
    r"$|[^\u4e00-\u9fff]|有限|公司|集团|控股|股份|平台|APP|App|app|官方|官网|客服|[的是和与跑爆暴提逾涉被已又还也都]"
)
"""What follows a name rather than an everyday word."""
_NO_BANK = "(?!业(?![务绩])|间(?!接)|保险监|同业(?:公会|协会)|监管[局委])"
"""What makes regulators and associations of a bank's name: 中国银行保险监督管理委员会, 北京银行业协会."""
_FULL = re.compile("有限(?:责任)?公司")
_FULL_RUN = re.compile(r"[\u4e00-\u9fffA-Za-z0-9()（）]*\Z")
_FULL_BREAKS = re.compile("|".join([_DATE, *map(re.escape, words("clauses"))]))


class EntityFinder:
    """Finds company names as written. Misses names without a telling end; may take a phrase for a name."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        patterns = dict(map(_listed, words("companies")))
        low = {simplify(name).lower() for name in (*patterns, *names)} - {""}
        known = sorted(low, key=lambda name: (-len(name), name))
        self._known = re.compile("|".join(patterns.get(name) or _known(name) for name in known))
        self._ending = re.compile("|".join(map(_end, sorted(words("endings"), key=len, reverse=True))))

    def find(self, text: str) -> list[str]:
        """Distinct names as written, in order of first mention, at most ``MOST``; of what ``clip`` leaves of a text."""
        text = clip(text)
        plain, places = _plain(text)
        named: dict[str, str] = {}
        for start, end in self._spans(plain):
            named.setdefault(plain[start:end].lower(), text[places[start] : places[end - 1] + 1])
        return [name for low, name in named.items() if not self._is_glued(low, named)][:MOST]

    def _is_glued(self, name: str, found: Collection[str]) -> bool:
        """The text has the name without the word before it as well: 近期青禾贷, 青禾贷."""
        return not self._known.fullmatch(name) and any(
            name[n:] in found and name[:n] not in _PLACES for n in range(1, GLUED + 1)
        )

    def _spans(self, text: str) -> list[tuple[int, int]]:
        low = text.lower()
        spans = [match.span() for match in self._known.finditer(low if len(low) == len(text) else text)]
        known = bytearray(len(text))
        for start, end in spans:
            known[start:end] = b"\1" * (end - start)
        starts = {end: start for start, end in spans}
        for match in self._ending.finditer(text):
            begin = _begin(text, match)
            first = starts.get(match.start())
            if match[0] in _FIRM and first is not None:
                if _is_firm(text, first, match):
                    spans.append((first, match.end()))
            elif begin is not None and not any(known[begin : match.end()]):
                spans.append((begin, match.end()))
        spans += _registered(text)
        for match in _QUOTED.finditer(text):
            if match[1] not in _SURE and match[1].endswith(_SURE_ENDS):
                spans.append(match.span(1))
        return _longest(spans)


def _plain(text: str) -> tuple[str, Sequence[int]]:
    """Simplified characters of half width without invisible ones, blanks for links; and each one's place in the
    original."""
    plain = simplify(text)
    places = (
        range(len(text)) if len(plain) == len(text) else [i for i, char in enumerate(text) if simplify(char)]
    )
    return LINKS.sub(lambda link: " " * len(link[0]), plain).translate(_WIDTH), places


def _listed(line: str) -> tuple[str, str]:
    """A known name, and its pattern where the list gives one."""
    name, _, pattern = line.partition(" ")
    return simplify(name).lower(), pattern


def _known(name: str) -> str:
    """A pattern for a known name; 微信支付宝 are two companies, and 微信支付 is none of them; a regulator no bank."""
    return bounded(name) + "(?!宝)" * name.endswith("支付") + _NO_BANK * name.endswith("银行")


@cache
def _followed() -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in words("followed")}


def _registered(text: str) -> Iterator[tuple[int, int]]:
    """Spans of whole names of companies: … 有限公司, with a place or brackets in them."""
    for match in _FULL.finditer(text):
        low = max(0, match.start() - 30)
        run = _FULL_RUN.search(text, low, match.start())
        begin = run.start() if run else match.start()
        for broken in _FULL_BREAKS.finditer(text, begin, match.start()):
            begin = broken.end()
        if 4 <= match.start() - begin < 28 and text[begin] not in ")）(（":
            yield begin, match.end()


def _end(ending: str) -> str:
    """A pattern for the ending where what follows lets a name end here."""
    not_after = "|".join(_followed().get(ending, ()))
    return f"{ending}(?!{not_after})" if not_after else ending


def _begin(text: str, ending: re.Match[str]) -> int | None:
    """Where the name that ends here begins; None when nothing before the ending can be a name.

    A name begins at a mark or after a word that cannot be in it; where neither is near, only a sure ending counts,
    with the two characters before it.
    """
    stop = ending.start()
    run = _RUN.search(text, max(0, stop - _FARTHEST), stop)
    head = run[0] if run else ""
    marked = edged = len(head) < _FARTHEST
    start = 0
    for broken in _BREAKS.finditer(head):
        if broken[0] in _SOFT and broken.start() == start and edged and 2 <= len(head) - start <= 4:
            continue
        start, edged, marked = broken.end(), True, False
    if ending[0] in _STRICT and not marked and not _COMPANY.match(text, ending.end()):
        return None
    head = head[start:]
    if len(head) > (5 if ending[0] in _SURE else 4) or not edged:
        if ending[0] not in _SURE:
            return None
        head = head[-2:]
    return stop - len(head) if _nameable(head, ending[0]) else None


def _is_firm(text: str, begin: int, ending: re.Match[str]) -> bool:
    """Whether the ending makes of the known name before it that of another firm."""
    name = text[begin : ending.start()]
    if name in _PRODUCTS or (ending[0] in _SURE and name.endswith(_SURE_ENDS)):
        return False
    return ending[0] not in _EVERYDAY or _COMPANY.match(text, ending.end()) is not None


def _nameable(head: str, ending: str) -> bool:
    """Whether the characters before an ending can be the own part of a name."""
    if ending in _SHORT:
        return bool(head) and head[-1] not in "网信借的"
    least = 2 if _HAN.fullmatch(head) else 3
    if len(head) < least or head in _GENERIC or head[-2:] in _MODIFIERS or head.isdigit():
        return False
    if head.endswith(_GENERIC_ENDS) or (head in _PLACES and ending in _WIDE):
        return False
    return len(ending) > 1 or head[-1] not in _NO_HEAD


def _longest(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order; of those that overlap the earlier, then the longer one."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept
