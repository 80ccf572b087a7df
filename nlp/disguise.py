"""Risk words as people write them to pass a filter (爆lei, 提.现, 跑🦌), put back into plain words.

Ordinary text pays three scans that look for a trace of disguise; the pattern of a word is tried only where a trace
names that word. Lists: ``nlp/words/disguised.txt`` (words and their pinyin) and ``nlp/words/respelled.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from nlp.pinyin import TONES
from nlp.rarity import are_two_words
from nlp.wordlists import words

_PLAIN = {ord(tone): plain for plain, tones in TONES.items() for tone in tones}
_PLAIN |= {code: chr(code + 32) for code in range(0x41, 0x5B)}
MARKS = r".·•‧・*_\-|/×✕✖❌~丶^+=★☆&#\U0001f300-\U0001faff"
"""What people put between the characters of a word or a name to hide it; for a class of a pattern."""
_PARTING = frozenset(" /|")
"""Of the marks those that part words: few are hidden by them."""
_LATIN = re.compile(f"[a-z{''.join(TONES.values())}]+")
_HAN = re.compile("[\u4e00-\u9fff]")
_BEFORE, _AFTER = "[a-z0-9.@/_]", r"[a-z@_]|\.[a-z]"
"""Beside these a Latin run is part of an address, an account or a longer word."""
_OPEN, _CLOSE = "[(\\[{【〔]", "[)\\]}】〕]"
_HASHTAG = 40
"""Characters within which a second # makes a hashtag of both."""
_PASSES = 6
"""A word put right can complete its neighbour; words overlap by one character, so chains are short."""

Span = tuple[int, int, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    patterns: dict[str, re.Pattern[str]]
    unclear: frozenset[str]
    """Words whose pinyin alone may be another word or a name."""
    traces: dict[str, frozenset[str]]
    """A Latin run, or two characters with marks between them: the words that may hide there."""
    split: re.Pattern[str]
    respelled: dict[str, str]
    spellings: re.Pattern[str]


@cache
def _lists() -> _Lists:
    patterns: dict[str, re.Pattern[str]] = {}
    traces: dict[str, set[str]] = {}
    unclear: set[str] = set()
    for line in words("disguised"):
        word, *sounds = line.lstrip("+-").split()
        signs = line.partition(word)[0]
        patterns[word] = _pattern(word, sounds, MARKS + " " * signs.count("+"))
        unclear.update([word] * signs.count("-"))
        for start in range(len(word)):
            keys = ["".join(sounds[start:end]) for end in range(start + 1, len(word) + 1)]
            keys += [word[start : start + 2], *([sounds[start][0]] if len(word) > 3 else [])]
            for key in keys:
                traces.setdefault(key, set()).add(word)
    risky = "".join(sorted({char for word in patterns for char in word}))
    respelled = {spelling: (word, *edges) for spelling, word, *edges in map(str.split, words("respelled"))}
    longest_first = sorted(respelled, key=lambda spelling: (-len(spelling), spelling))
    return _Lists(
        patterns=patterns,
        unclear=frozenset(unclear),
        traces={key: frozenset(value) for key, value in traces.items()},
        split=re.compile(rf"[{MARKS} ](?<=([{risky}]).)[{MARKS} ]?(?=([{risky}]))"),
        respelled={spelling: word for spelling, (word, *_) in respelled.items()},
        spellings=re.compile("|".join(_whole(each, *respelled[each][1:]) for each in longest_first)),
    )


def _pattern(word: str, sounds: list[str], marks: str) -> re.Pattern[str]:
    """Each character as it is or as its pinyin, in a long word also as the first letter of that; marks between.

    Pinyin in brackets stands in a character's place (爆(lei)) or before it (爆(lei)雷).
    """
    units = []
    for place, (char, sound) in enumerate(zip(word, sounds, strict=True)):
        latin = f"{sound}|{sound[0]}(?![a-z])" if len(word) > 3 else sound
        before = f"(?<!{_BEFORE})" if place == 0 else ""
        after = f"(?!{_AFTER})" if place == len(word) - 1 else ""
        units.append(f"(?:{char}|{before}(?:{latin}){after}|{_OPEN}{sound}{_CLOSE}(?: ?{char})?)")
    return re.compile(f"[{marks}]{{0,2}}".join(units))


def _whole(spelling: str, edges: str = "|") -> str:
    """A Latin edge must be the edge of a word, and none of the characters of ``edges`` (before|after) stands beside.

    The first character leads: it is what the scan looks for.
    """
    before, after = edges.split("|")
    left = f"(?<!{_BEFORE}.)" if re.match("[a-z]", spelling) else f"(?<![{before}].)" if before else ""
    right = f"(?!{_AFTER})" if re.search("[a-z]$", spelling) else f"(?![{after}])" if after else ""
    return f"{re.escape(spelling[0])}{left}{re.escape(spelling[1:])}{right}"


def undisguised(text: str) -> str:
    """The text with disguised risk words in plain characters; other text as it is. Linear time."""
    for _ in range(_PASSES):
        parts: list[str] = []
        done = 0
        for start, end, word in sorted(_found(text), key=lambda span: (span[0], -span[1])):
            if start >= done:
                parts += text[done:start], word
                done = end
        if not done:
            break
        text = "".join(parts) + text[done:]
    return text


def disguised(text: str) -> dict[str, str]:
    """The risk words that a text disguises, and how it first writes each."""
    return {word: text[start:end] for start, end, word in sorted(_found(text), reverse=True)}


def _found(text: str) -> Iterator[Span]:
    lists = _lists()
    low = text.lower()
    if len(low) != len(text):
        low = text.translate(_PLAIN)
    for match in lists.spellings.finditer(low):
        yield *match.span(), lists.respelled[match[0]]
    seen = {run if run.isascii() else run.translate(_PLAIN) for run in _LATIN.findall(low)}
    seen.update(left + right for left, right in lists.split.findall(low))
    hidden = {word for trace in seen & lists.traces.keys() for word in lists.traces[trace]}
    if not hidden:
        return
    plain = text.translate(_PLAIN)
    for word in hidden:
        for match in lists.patterns[word].finditer(plain):
            if (
                match[0] != word
                and _still_told(match[0], word)
                and not _is_hashtag(match)
                and not _is_chance(match)
            ):
                yield *match.span(), word


def _still_told(written: str, word: str) -> bool:
    """Whether enough of the word is left to be sure: half of its characters, one of two, or all as joined pinyin."""
    left = len(_HAN.findall(written))
    return (
        left * 2 >= len(word)
        or (left > 0 and len(written) > len(word) + 2)
        or (written.isalpha() and len(written) > 4 and word not in _lists().unclear)
    )


def _is_chance(found: re.Match[str]) -> bool:
    """Whether what was found stands across the border of two ordinary words (损失/联系人, 慢跑/路跑)."""
    if len(_HAN.findall(found[0])) != 2 or _LATIN.search(found[0]):
        return False
    parted = not _PARTING.isdisjoint(found[0])
    return are_two_words(found.string, found.start(), found.end() - 1, parted=parted)


def _is_hashtag(found: re.Match[str]) -> bool:
    """Whether a # in what was found may begin or end a hashtag rather than hide a word (#快跑#路上)."""
    if (place := found[0].find("#")) < 0:
        return False
    at = found.start() + place
    return found.string.count("#", max(0, at - _HASHTAG), at + _HASHTAG + 1) > 1
