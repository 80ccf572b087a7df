"""How characters sound, to recognise pinyin beside them: the 3,755 common ones and those of the listed words."""

from __future__ import annotations

from functools import cache

from nlp.wordlists import words

TONES = {"a": "āáǎà", "e": "ēéěè", "i": "īíǐì", "o": "ōóǒò", "u": "ūúǔù", "v": "üǖǘǚǜ"}
LONGEST = 8
"""Characters whose pinyin is recognised in one piece."""
_COMMON = 3_755


@cache
def _sounds() -> dict[str, frozenset[str]]:
    heard: dict[str, set[str]] = {}
    begins = {char: sound for sound, char in (line.split() for line in words("syllables"))}
    codes = bytes(byte for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) for byte in (row, cell))
    sound = ""
    for char in codes[: 2 * _COMMON].decode("gb2312"):
        sound = begins.get(char, sound)
        heard[char] = {sound}
    for line in words("disguised"):
        word, *each = line.lstrip("+-").split()
        for char, listed in zip(word, each, strict=True):
            heard.setdefault(char, set()).add(listed)
    return {char: frozenset(each) for char, each in heard.items()}


def spells(letters: str, text: str) -> bool:
    """Whether plain small letters are the pinyin, without tones, of the last characters of a text."""
    ends = {len(letters)}
    for char in reversed(text[-LONGEST:]):
        heard = _sounds().get(char, ())
        ends = {end - len(sound) for end in ends for sound in heard if letters.endswith(sound, 0, end)}
        if 0 in ends:
            return True
    return False
