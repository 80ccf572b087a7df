"""A long text also by its passages: what one of them surely says of a company counts, however much stands around it.

Over a whole article a paragraph is averaged away. Both limits are set high: most real long posts speak of their
company throughout, and are judged well enough as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nlp.labels import SENTIMENTS, STANCES

if TYPE_CHECKING:
    from nlp.judgement import Judgement

LONG = 1_000
"""Characters of a text from which on its passages are judged as well; a shorter one has four windows at most, and
reading it twice would cost more than it finds."""
LONGEST = 250
"""Characters of a passage: one window of the network."""
SURE = 0.85
"""Probability from which on a passage accuses a company."""
CERTAIN = 0.7
"""Probability from which on a topic of such a passage is one of the text, where its threshold is lower."""

_SENTENCES = re.compile("(?<=[。！？!?；;])")
_NEGATIVE = SENTIMENTS.index("negative")


def passages(text: str) -> list[str]:
    """A normalised text in order, cut at the ends of sentences where these are near enough."""
    found: list[str] = []
    held = ""
    for sentence in _SENTENCES.split(text):
        if len(held) + len(sentence) > LONGEST and held:
            found.append(held)
            held = ""
        pieces = [sentence[at : at + LONGEST] for at in range(0, len(sentence), LONGEST)]
        found += pieces[:-1]
        held += pieces[-1] if pieces else ""
    return [*found, held] if held else found


def heard(
    whole: Judgement,
    names: Sequence[str],
    parts: Sequence[tuple[Sequence[str], Judgement]],
    thresholds: Sequence[float],
) -> Judgement:
    """The judgement of a text after its passages were heard, each with the names in it.

    A passage that surely accuses a company speaks for the text about that company, and for its sure topics; where
    the text as a whole does nothing with topics, the passage that brought one in does so for it.
    """
    entities, topics, decided = list(whole.entities), list(whole.topics), set(whole.decided)
    stance = whole.stance
    for own, part in parts:
        accused = {n: p for n, p in zip(own, part.entities, strict=True) if p[_NEGATIVE] > SURE}
        for place, name in enumerate(names):
            if name in accused and accused[name][_NEGATIVE] > entities[place][_NEGATIVE]:
                entities[place] = accused[name]
        if accused:
            sure = {k for k, p in enumerate(part.topics) if p > max(CERTAIN, thresholds[k])}
            if sure and STANCES[stance.index(max(stance))] == "other":
                stance = part.stance
            decided |= sure
            topics = [max(p, part.topics[k]) if k in sure else p for k, p in enumerate(topics)]
    order = sorted(decided, key=lambda k: (-topics[k], k))
    return replace(whole, entities=tuple(entities), topics=tuple(topics), stance=stance, decided=tuple(order))
