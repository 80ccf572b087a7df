"""How well pages are turned into text: character 4-gram F1 of ours beside trafilatura's modes and others installed.

    python bench/extraction.py

Runs over the golden article pages of the tests and, where ``YUJING_PAGES`` names a folder, over that: one
subfolder a case, holding ``input.html`` (or any ``*.html``) and ``expected.txt`` (or ``expected.json`` with
``text``). A case whose name starts with ``forum`` or ``thread`` is scored apart from the articles.

F1 is of multisets of character 4-grams without white space: precision says how much of what was extracted
belongs there, recall how much of what belongs there was extracted.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from crawlers.pages import article

GOLDEN = Path(__file__).parent.parent / "tests" / "pages" / "article"
NOW = datetime(2100, 1, 1, tzinfo=UTC)
GRAM = 4


@dataclass(frozen=True, kw_only=True)
class Case:
    """A page and the text it should give."""

    name: str
    body: bytes
    expected: str

    @property
    def kind(self) -> str:
        """Which of the two scores it counts for."""
        return "thread" if self.name.startswith(("forum", "thread")) else "article"


def grams(text: str) -> Counter[str]:
    """Multiset of the character 4-grams of a text without white space."""
    dense = re.sub(r"\s+", "", text)
    return Counter(dense[i : i + GRAM] for i in range(max(0, len(dense) - GRAM + 1)))


def f1(found: str, expected: str) -> float:
    """Harmonic mean of precision and recall over 4-grams; 1 when both are empty."""
    a, b = grams(found), grams(expected)
    if not a and not b:
        return 1.0
    shared = (a & b).total()
    return 2 * shared / (a.total() + b.total())


def cases(folder: Path) -> list[Case]:
    """Cases of a folder that expect some text."""
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        pages = sorted(place.glob("input.*")) or sorted(place.glob("*.html"))
        if (place / "expected.json").exists():
            expected = json.loads((place / "expected.json").read_text(encoding="utf-8"))["text"]
        elif (place / "expected.txt").exists():
            expected = (place / "expected.txt").read_text(encoding="utf-8")
        else:
            continue
        if pages and expected.strip():
            found.append(Case(name=place.name, body=pages[0].read_bytes(), expected=expected))
    return found


def extractors() -> dict[str, Callable[[bytes], str]]:
    """Ours first, then whoever is installed."""
    import trafilatura

    found: dict[str, Callable[[bytes], str]] = {
        "yujing": lambda body: article.parse(body, now=NOW).text,
        "trafilatura precision": lambda body: trafilatura.extract(body, favor_precision=True) or "",
        "trafilatura recall": lambda body: trafilatura.extract(body, favor_recall=True) or "",
        "trafilatura default": lambda body: trafilatura.extract(body) or "",
    }
    if importlib.util.find_spec("readability"):
        found["readability-lxml"] = _readability
    if importlib.util.find_spec("newspaper"):
        found["newspaper4k"] = _newspaper
    if importlib.util.find_spec("gne"):
        found["gne"] = _gne
    return found


def _readability(body: bytes) -> str:
    from lxml import html
    from readability import Document

    return str(html.fromstring(Document(body.decode("utf-8", "replace")).summary()).text_content())


def _newspaper(body: bytes) -> str:
    import newspaper

    page = newspaper.Article("http://localhost/", language="zh")
    page.set_html(body.decode("utf-8", "replace"))
    page.parse()
    return str(page.text)


def _gne(body: bytes) -> str:
    from gne import GeneralNewsExtractor

    return str(GeneralNewsExtractor().extract(body.decode("utf-8", "replace"))["content"])


def score(title: str, pages: list[Case]) -> None:
    """Print a table of mean F1 by kind of page, and seconds a page."""
    threads = sum(case.kind == "thread" for case in pages)
    print(f"\n{title}: {len(pages) - threads} articles, {threads} threads")
    print(f"{'':24}{'articles':>10}{'threads':>10}{'ms/page':>10}")
    for name, extract in extractors().items():
        scores: dict[str, list[float]] = {"article": [], "thread": []}
        started = time.perf_counter()
        for case in pages:
            try:
                found = extract(case.body)
            except Exception as error:
                print(f"  {name} failed on {case.name}: {type(error).__name__}", file=sys.stderr)
                found = ""
            scores[case.kind].append(f1(found, case.expected))
        each = 1000 * (time.perf_counter() - started) / len(pages)
        means = (f"{statistics.mean(s):.3f}" if s else "–" for s in scores.values())
        print(f"{name:24}" + "".join(f"{mean:>10}" for mean in means) + f"{each:>10.1f}")


def main() -> None:
    """Score the golden pages, and the folder of ``YUJING_PAGES`` where it is set."""
    score("golden pages (ours by construction: a check of the harness, not a comparison)", cases(GOLDEN))
    folder = os.environ.get("YUJING_PAGES", "")
    if not folder:
        print("\nskipped: YUJING_PAGES names no folder of annotated pages")
        return
    pages = cases(Path(folder))
    if not pages:
        sys.exit(f"{folder}: holds no case (a subfolder with input.html and expected.txt)")
    score(folder, pages)


if __name__ == "__main__":
    main()
