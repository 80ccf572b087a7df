"""Text as the model reads it. The original is kept elsewhere: people always see what was written."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from importlib import resources

from nlp.disguise import undisguised
from nlp.pinyin import LONGEST, TONES, spells

LINK = "网址"
"""What every link becomes; the encoder was pre-trained with this word."""

LINKS = re.compile(
    r"(?:https?://|www\.)[^\s\u2010-\u2027\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+", re.IGNORECASE
)
"""They end at Chinese characters and punctuation."""
_BLANK = re.compile(r"\s+")
_ASTRAL = re.compile("[\U00010000-\U0001efff]")
_REPEATED = re.compile(r"(.)\1{8,}", re.DOTALL)
_TONED = "".join(TONES.values())
_OPEN, _CLOSE = "[(\\[{【〔]", "[)\\]}】〕]"
_SOUND = f"([a-z{_TONED}][a-z{_TONED}1-4' ]{{0,47}}){_CLOSE}"
_BRACKETED = re.compile(f"{_OPEN}(?<=([\u4e00-\u9fff]).){_SOUND}(?:{_OPEN}{_SOUND})*", re.IGNORECASE)
"""Latin letters in brackets after a character: its pinyin or that of several, perhaps more than once."""
_EACH = re.compile(_OPEN + _SOUND, re.IGNORECASE)
_UNTONED = {ord(tone): plain for plain, tones in TONES.items() for tone in tones} | dict.fromkeys(
    map(ord, "1234' ")
)
_SYLLABLE = 6
"""Letters of the longest."""
_PASSES = 4
"""What one step undoes can bring to light what another does; more than two passes need a text made for it."""
_BEGINNING = 24
"""Characters by which a body shows that it repeats its title …"""
_GRAM = 4
"""… and how many at once must stand in it of what the title says further."""
_UNSPOKEN = re.compile(r"\W+")
_REPOST = re.compile(r"//@[^:\s]{1,40}:|回复@[^:\s]{1,40}:|^\s*转发微博\W*")

_HIDDEN = re.compile("[\u4e00-\u9fff][\u00ad\u200b-\u200f\u2060-\u2064\ufeff]+[\u4e00-\u9fff]")
_TRADITIONAL = 0.1
"""Beyond this share of its Han characters traditional ones are how a text is written; fewer stand in any (著, 乾)."""


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
def _marks() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Runs of three or more combining marks: of the basic plane (a fast class), and of all planes."""
    codes = [code for code in range(0x300, min(sys.maxunicode, 0x1F000)) if unicodedata.combining(chr(code))]
    basic, all_planes = (
        "".join(chr(code) for code in codes if code < most) for most in (0x10000, sys.maxunicode)
    )
    return re.compile(f"([{basic}]{{2}})[{basic}]+"), re.compile(f"([{all_planes}]{{2}})[{all_planes}]+")


def simplify(text: str) -> str:
    """Traditional characters to simplified ones (OpenCC t2s, character by character); invisible ones dropped."""
    return text.translate(_drops())


def _composed(text: str) -> str:
    """NFKC of the text without long runs of marks: sorting such a run is what makes NFKC quadratic."""
    basic, all_planes = _marks()
    pattern = all_planes if _ASTRAL.search(text) else basic
    composed = simplify(unicodedata.normalize("NFKC", pattern.sub(r"\1", text)))
    return pattern.sub(
        r"\1", composed
    )  # again: one character becomes several marks, or one between them went


def _readable(text: str) -> str:
    """The text composed, links as 网址, white space folded."""
    text = _composed(
        LINKS.sub(LINK, text)
    )  # before NFKC makes a mark that ends a link one that a link may contain
    for _ in range(_PASSES):  # an invisible character may have stood between two that belong together
        if unicodedata.is_normalized("NFKC", text):
            break
        text = _composed(text)
    return _BLANK.sub(" ", LINKS.sub(LINK, text))


def _without_sound(found: re.Match[str]) -> str:
    """What was written without pinyin at its front: a syllable with a tone, or how what stands before sounds."""
    written, before = found[0], found.string[max(0, found.start() - LONGEST) : found.start()]
    for sound in _EACH.finditer(written):
        letters = sound[1].lower().translate(_UNTONED)
        toned = not sound[1].isascii() and len(sound[1]) <= _SYLLABLE and sound[1].isalpha()
        if not toned and not spells(letters, before):
            return written[sound.start() :]
    return ""


def normalise(text: str) -> str:
    """The text as the model reads it; the same text always becomes the same, and twice the same as once.

    NFKC, links as 网址, white space folded (as the encoder was pre-trained), then what hostile spelling adds is
    undone: invisible and traditional characters, pinyin in brackets, disguised risk words (``nlp.disguise``).
    Bounded time for any input; lone surrogates and control characters vanish.
    """
    text = _readable(text)
    for _ in range(_PASSES):
        before, text = text, undisguised(_BRACKETED.sub(_without_sound, text))
        if text == before:
            break
    return _REPEATED.sub(lambda found: found[1] * 8, text).strip()


def is_disguised(text: str) -> bool:
    """Whether a text hides words from filters: by spelling, by invisible characters, or as traditional characters.

    暴雷 for 爆雷 does not count: newspapers write it too.
    """
    if _HIDDEN.search(text):
        return True
    han = [ord(char) for char in text if "\u4e00" <= char <= "\u9fff"]
    if sum(code in _drops() for code in han) > _TRADITIONAL * len(han):
        return True
    plain = _readable(text).replace("暴雷", "爆雷")
    return undisguised(_BRACKETED.sub(_without_sound, plain)) != plain


def joined(title: str, text: str) -> str:
    """Title and body as one text, normalised; a title that the body repeats is dropped."""
    body, head = normalise(text), normalise(title)
    if not head or head in body or (body.startswith(head[:_BEGINNING]) and _told(head, body)):
        return body
    if body and body in head:
        return head
    return f"{head} {body}".strip()


def _told(title: str, body: str) -> bool:
    """Whether the body says most of what follows the beginning that it shares with a title, marks aside."""
    rest, all_said = _UNSPOKEN.sub("", title[_BEGINNING - _GRAM + 1 :]), _UNSPOKEN.sub("", body)
    grams = [rest[at : at + _GRAM] for at in range(len(rest) - _GRAM + 1)]
    said = {all_said[at : at + _GRAM] for at in range(len(all_said) - _GRAM + 1)}
    return sum(gram in said for gram in grams) * 2 >= len(grams)


def clip(text: str, *, head: int = 12_000, tail: int = 3_000) -> str:
    """At most ``head`` first and ``tail`` last characters: what the model can read of a huge text."""
    if len(text) <= head + tail:
        return text
    return f"{text[:head]} {text[-tail:]}" if tail else text[:head]


def own_words(text: str) -> str:
    """The text without the marks of passing it on (//@name:, 回复@name:, 转发微博)."""
    return _REPOST.sub("", text)
