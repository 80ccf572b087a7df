"""Companies that nobody told us about: a modest finder by known names and by how such names end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nlp.wordlists import words

MOST = 12
"""Companies found in one text at most."""
READ = 3_000
"""Characters of a text that are searched."""

_SURE = frozenset(words("sure"))
_GENERIC = frozenset(words("generic"))
_BREAKS = re.compile("|".join(map(re.escape, sorted(words("breaks"), key=len, reverse=True))))
_CHAR = re.compile(r"[\u4e00-\u9fffA-Za-z0-9]")
_QUOTED = re.compile(r"#([\u4e00-\u9fffA-Za-z0-9]{2,8}?)(?:超话|\[超话\])?#")


class EntityFinder:
    """Finds company names as written. Misses names without a telling end; may take a phrase for a name."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        known = sorted({*words("companies"), *names}, key=lambda name: (-len(name), name))
        self._known = re.compile("|".join(map(re.escape, known)))
        self._ending = re.compile("|".join(sorted(words("endings"), key=len, reverse=True)))

    def find(self, text: str) -> list[str]:
        """Distinct names in order of first mention, at most ``MOST``."""
        text = text[:READ]
        spans = [match.span() for match in self._known.finditer(text)]
        sure = list(spans)
        for match in self._ending.finditer(text):
            start = _begin(text, match)
            if start is not None and not any(a < match.end() and start < b for a, b in sure):
                spans.append((start, match.end()))
        for match in _QUOTED.finditer(text):
            if any(match[1].endswith(end) for end in _SURE):
                spans.append(match.span(1))
        names: list[str] = []
        for start, end in _longest(spans):
            name = text[start:end]
            if name not in names:
                names.append(name)
        return names[:MOST]


def _begin(text: str, ending: re.Match[str]) -> int | None:
    """Where the name that ends here begins; None when nothing before the ending can be a name."""
    start = ending.start()
    reach = 5 if ending[0] in _SURE else 3
    while start > 0 and ending.start() - start < reach and _CHAR.match(text[start - 1]):
        start -= 1
    head = text[start : ending.start()]
    for broken in _BREAKS.finditer(head):
        start = ending.start() - len(head) + broken.end()
    head = text[start : ending.start()]
    least = 2 if re.fullmatch(r"[\u4e00-\u9fff]*", head) else 3
    if len(head) < least or head in _GENERIC or head.isdigit():
        return None
    if any(head.endswith(word) for word in _GENERIC if len(word) > 1):
        return None
    if len(ending[0]) == 1 and (len(head) > 2 or head[-1] in "出间络初而候信私骗房学续转时同网利额还"):
        return None
    follows = text[ending.end() : ending.end() + 1]
    return (
        None if len(ending[0]) == 1 and follows and follows in "款钱据到入出条用走来给贵贝物藏险本" else start
    )


def _longest(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order; of those that overlap the earlier, then the longer one."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(set(spans), key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
        elif start == kept[-1][0]:
            continue
    return kept
