"""Posts that are hard in a way of their own: named predicates over labelled examples."""

from __future__ import annotations

import re
from collections.abc import Callable

from nlp.clean import is_disguised
from nlp.corpus import Example, only
from nlp.labels import STANCES
from nlp.wordlists import words

LONG = 600
"""Characters beyond which a text is a long article."""
SHORT = 200
"""Characters up to which one mark of praise can colour the whole."""

_RISK = "|".join(map(re.escape, sorted(words("bad"), key=len, reverse=True)))
_RISKY = re.compile(_RISK)
_NEGATED = re.compile(
    "(?:没有|并没有?|并未|从未|从没|尚未|未曾|未发现|未发生|不存在|不涉及|并非|绝无|没)"
    f"[^，。！？；,.!?;]{{0,6}}?(?!虚假记载|误导性陈述)(?:{_RISK})"
)
_CONDITION = re.compile(
    f"(?:如果|要是|万一|假如|倘若|假若|一旦|若是|若(?!干)|只要|除非)[^。！？!?]{{0,30}}?(?:{_RISK})"
)
_MOCKERY = re.compile(
    "恭喜|真棒|太棒了|厉害了|好厉害|真行|真牛|牛啊|可真|真是太|太贴心|真贴心|点赞|鼓掌|学到了|长见识|开眼|不愧是|"
    r"感谢.{1,12}了我|谢谢.{1,12}(?:让|教)我|优秀啊|良心啊|业界良心|呵呵|\[微笑\]|\[鼓掌\]|\[doge\]|[🙂🙃👍👏💐🎉😇]"
)
_NEGATIVE = only("negative")


def denial(example: Example) -> bool:
    """Denies or refutes."""
    return example.stance == STANCES.index("deny")


def question(example: Example) -> bool:
    """Asks whether, or for help."""
    return example.stance == STANCES.index("ask")


def negation(example: Example) -> bool:
    """A risk word negated within its clause, in a post that is not negative."""
    return example.sentiment != _NEGATIVE and _NEGATED.search(example.text) is not None


def conditional(example: Example) -> bool:
    """A risk word under a condition."""
    return _CONDITION.search(example.text) is not None


def mockery_markers(example: Example) -> bool:
    """A short negative post with a mark of praise or thanks. No label says what is mockery; most of these are."""
    return (
        example.sentiment == _NEGATIVE
        and len(example.text) <= SHORT
        and _MOCKERY.search(example.text) is not None
    )


def evasive_spelling(example: Example) -> bool:
    """Written so as to pass a filter, or in traditional characters."""
    row = example.row
    return is_disguised(f"{row.get('title') or ''}\n{row.get('text') or example.text}")


def two_companies(example: Example) -> bool:
    """Names two companies or more."""
    return len(example.entities) > 1


def risky_advert(example: Example) -> bool:
    """An advert that uses risk words."""
    return bool(example.ad) and _RISKY.search(example.text) is not None


def long_article(example: Example) -> bool:
    """More than 600 characters."""
    return len(example.text) > LONG


SLICES: dict[str, Callable[[Example], bool]] = {
    slice_.__name__: slice_
    for slice_ in (
        denial,
        question,
        negation,
        conditional,
        mockery_markers,
        evasive_spelling,
        two_companies,
        risky_advert,
        long_article,
    )
}
"""By name, for sets with all labels."""
