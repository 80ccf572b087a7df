"""How well companies that nobody named to us are found, beside jieba's names of organisations.

    YUJING_DATA=… python -m bench.entities [even|odd]

Gold: the ``entities`` of the labelled posts that stand in the text. A name counts as found when one is the same as
or contained in the other (去年恒通财富, 恒通财富); the last F1 counts only names that are the same. The word lists
were tuned on the even rows; the odd ones (the default) are the measure, though many of them name the same companies.
In general news, stock talk and reviews there is mostly nothing to find: the share of texts in which something is found
anyway.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nlp.corpus_files import find, rows
from nlp.entities import EntityFinder

LABELLED = ("finance_posts.labelled.train", "finance_posts.labelled.more.train", "authored_posts")
OTHERS = ("news_sentiment.train", "forum_sentiment.train", "review_polarity.train")
MOST = 4_000
"""Texts of a set without companies that are read."""

Finder = Callable[[str], Sequence[str]]


def main() -> None:
    """Print the table."""
    folder = os.environ.get("YUJING_DATA", "")
    if not (Path(folder) / f"{LABELLED[-1]}.jsonl.gz").is_file():
        print("skipped: YUJING_DATA names no folder with the corpora", file=sys.stderr)
        return
    start = 0 if sys.argv[1:] == ["even"] else 1
    data = Path(folder)
    finders: dict[str, Finder] = {"yujing": EntityFinder().find, "jieba nt/nz": _jieba()}
    print("| labelled posts | finder | precision | recall | F1 | exact F1 | ms a post |")
    print("|---|---|---|---|---|---|---|")
    for name in LABELLED:
        some = list(rows(find(data, name)))[start::2]
        for who, finder in finders.items():
            print(f"| {name} ({len(some)}) | {who} | {_scores(some, finder)} |", flush=True)
    print("\n| other texts | finder | share with something found |\n|---|---|---|")
    for name in OTHERS:
        texts = [f"{row.get('title') or ''}\n{row['text']}" for row in rows(find(data, name))][start::2][
            :MOST
        ]
        for who, finder in finders.items():
            share = sum(bool(finder(text)) for text in texts) / len(texts)
            print(f"| {name} ({len(texts)}) | {who} | {share:.3f} |", flush=True)


def _scores(some: Sequence[dict[str, Any]], finder: Finder) -> str:
    texts = [f"{row.get('title') or ''}\n{row['text']}" for row in some]
    began = time.perf_counter()
    found = [finder(text) for text in texts]
    spent = time.perf_counter() - began
    gold = [[name for name in row["entities"] if name in text] for row, text in zip(some, texts, strict=True)]
    precision, recall, f1 = _matched(found, gold, _alike)
    exact = _matched(found, gold, str.__eq__)[-1]
    return f"{precision:.3f} | {recall:.3f} | {f1:.3f} | {exact:.3f} | {spent / len(some) * 1000:.2f}"


def _matched(
    found: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], same: Callable[[str, str], bool]
) -> tuple[float, float, float]:
    """Precision, recall and F1 of the names found in each text."""
    right = met = 0
    for names, others in zip(found, gold, strict=True):
        right += sum(any(same(name, other) for other in others) for name in names)
        met += sum(any(same(name, other) for name in names) for other in others)
    precision, recall = right / max(sum(map(len, found)), 1), met / max(sum(map(len, gold)), 1)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def _alike(one: str, other: str) -> bool:
    return one in other or other in one


def _jieba() -> Finder:
    """What jieba's part-of-speech tags call an organisation or another proper name."""
    import jieba.posseg

    def names(text: str) -> list[str]:
        words = jieba.posseg.cut(text)
        return list(
            dict.fromkeys(word.word for word in words if word.flag in ("nt", "nz") and len(word.word) > 1)
        )

    return names


if __name__ == "__main__":
    main()
