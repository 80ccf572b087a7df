"""Text as the model reads it. The original is kept elsewhere: people always see what was written."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources

LINK = "网址"
"""What every link becomes; the encoder was pre-trained with this word."""

_LINKS = re.compile(r"(?:https?://|www\.)[^\s\u3000-\u9fff\uff00-\uffef]+", re.IGNORECASE)
_BLANK = re.compile(r"\s+")
_REPEATED = re.compile(r"(.)\1{8,}", re.DOTALL)
_TONED = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ"
_PINYIN = re.compile(rf"(?<=[\u4e00-\u9fff])\((?=[a-zü]*[{_TONED}])[a-zü{_TONED}]{{1,6}}\)")
_REPOST = re.compile(r"//@[^:\s]{1,40}:|回复@[^:\s]{1,40}:|^\s*转发微博\W*")

# Risk words that people split to escape a filter (reference: the traps of the crisis topics).
_SPLIT = [
    "非法集资",
    "集资诈骗",
    "庞氏骗局",
    "高利贷",
    "套路贷",
    "砍头息",
    "割韭菜",
    "老赖",
    "提现",
    "跑路",
    "爆雷",
    "暴雷",
    "诈骗",
    "骗子",
    "骗局",
    "传销",
    "兑付",
    "逾期",
    "催收",
    "失联",
    "崩盘",
    "挤兑",
    "维权",
    "投诉",
    "卷款",
    "非吸",
    "裁员",
    "欠薪",
    "宕机",
    "泄露",
    "盗刷",
    "被骗",
    "清盘",
    "展期",
]
_GAP = r"[ .·*_\-|/×✕~丶、]{1,2}"
_SPLIT_WORDS = re.compile("|".join(_GAP.join(map(re.escape, word)) for word in _SPLIT))
_NOT_HAN = re.compile(r"[^\u4e00-\u9fff]+")

_EVASIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"跑鹿|跑[ .]?lu(?![a-z])|pao ?路"), "跑路"),
    (re.compile(r"暴[雷lL](?:ei)?(?![a-z])|爆lei|bao雷"), "爆雷"),
    (re.compile(r"非[9久]吸"), "非吸"),
    (re.compile(r"提[×✕xX*]{1,2}难"), "提现难"),
    (re.compile(r"诈pian|zha骗|诈[×✕*]"), "诈骗"),
    (re.compile(r"[pP]ian(?=子|局|钱)"), "骗"),
)


@cache
def _drops() -> dict[int, str]:
    """Traditional characters to simplified ones; control, zero-width and surrogate characters to nothing."""
    table: dict[int, str] = {}
    source = resources.files("opencc") / "dictionary" / "TSCharacters.txt"
    for line in source.read_text("utf-8").splitlines():
        old, _, new = line.partition("\t")
        if len(old) == 1 and new:
            table[ord(old)] = new.split()[0]
    for code in (*range(0x20), *range(0x7F, 0xA0)):
        table[code] = " " if chr(code).isspace() else ""
    invisible = (0xAD, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070))
    for code in (*invisible, *range(0xFE00, 0xFE10), *range(0xD800, 0xE000), *range(0xE0000, 0xE0200)):
        table[code] = ""
    return table


@cache
def _marks() -> frozenset[str]:
    """Combining marks."""
    return frozenset(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.combining(c))


@cache
def _mark_runs() -> re.Pattern[str]:
    marks = "".join(sorted(_marks()))
    return re.compile(f"([{marks}]{{2}})[{marks}]+")


def _thinned(text: str) -> str:
    """Runs of combining marks cut to two: sorting a long run is what makes NFKC quadratic."""
    return text if _marks().isdisjoint(text) else _mark_runs().sub(r"\1", text)


def simplify(text: str) -> str:
    """Traditional characters to simplified ones (OpenCC t2s, character by character); invisible ones dropped."""
    return text.translate(_drops())


def normalise(text: str) -> str:
    """The text as the model reads it; the same text always becomes the same, and twice the same as once.

    NFKC, links as 网址, white space folded (as the encoder was pre-trained), then what hostile spelling adds is
    undone: invisible and traditional characters, pinyin in brackets, split or respelled risk words.
    Bounded time for any input; lone surrogates and control characters vanish.
    """
    text = simplify(unicodedata.normalize("NFKC", _thinned(simplify(text))))
    text = _LINKS.sub(LINK, text)
    text = _PINYIN.sub("", text)
    text = _SPLIT_WORDS.sub(lambda found: _NOT_HAN.sub("", found[0]), text)
    for pattern, plain in _EVASIONS:
        text = pattern.sub(plain, text)
    text = _REPEATED.sub(lambda found: found[1] * 8, text)
    return _BLANK.sub(" ", text).strip()


def joined(title: str, text: str) -> str:
    """Title and body as one text, normalised; a title that the body repeats is dropped."""
    body, head = normalise(text), normalise(title)
    if not head or body.startswith(head[:24]) or head in body:
        return body
    if body and body in head:
        return head
    return f"{head} {body}".strip()


def clip(text: str, *, head: int = 12_000, tail: int = 3_000) -> str:
    """At most ``head`` first and ``tail`` last characters: what the model can read of a huge text."""
    return text if len(text) <= head + tail else f"{text[:head]} {text[-tail:]}"


def own_words(text: str) -> str:
    """The text without the marks of passing it on (//@name:, 回复@name:, 转发微博)."""
    return _REPOST.sub("", text)
