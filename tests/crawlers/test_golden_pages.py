"""Saved pages in, what they say out: every folder of ``tests/pages/<source>/<case>`` is a case.

``input.*`` is the page, ``request.json`` (optional) its status or address, ``expected.json`` what the parser says.
After a wanted change: ``YUJING_ACCEPT=1 pytest tests/crawlers/test_golden_pages.py`` and read the diff.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crawlers.draft import Draft
from crawlers.health import Listing
from crawlers.pages import article, feed, guba, heimao, weibo

PAGES = Path(__file__).parent.parent / "pages"
CASES = sorted(path.parent for path in PAGES.glob("*/*/input.*"))
NOW = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)
BASES = {
    "weibo": "https://m.weibo.example",
    "guba": "https://guba.example",
    "heimao": "https://tousu.example",
    "feed": "https://news.example.com/rss.xml",
}
PARSERS = {"weibo": weibo.parse, "guba": guba.parse, "heimao": heimao.parse, "feed": feed.parse}


def shown(draft: Draft) -> dict[str, Any]:
    e = draft.engagement
    fields = {
        "native_id": draft.native_id,
        "title": draft.title,
        "text": draft.text,
        "published_at": draft.stamp.iso() if draft.stamp else None,
        "url": draft.url,
        "author_id": draft.author_id,
        "author_name": draft.author_name,
        "verified": draft.verified,
        "tier": draft.tier.value if draft.tier else None,
        "followers": draft.followers,
        "engagement": [e.reposts, e.comments, e.likes, e.views],
        "repost_of": draft.repost_of,
        "more": draft.more,
    }
    return {key: value for key, value in fields.items() if value not in ("", None, False)}


def listing(found: Listing) -> dict[str, Any]:
    return {
        "outcome": found.outcome.value,
        "detail": found.detail,
        "more": found.more,
        "total": found.total,
        "bare": found.bare,
        "drafts": [shown(draft) for draft in found.drafts],
        "rejects": [reject.reason for reject in found.rejects],
    }


def parsed(case: Path) -> dict[str, Any]:
    body = next(case.glob("input.*")).read_bytes()
    request = json.loads((case / "request.json").read_text()) if (case / "request.json").exists() else {}
    kind = case.parent.name
    if kind == "article":
        page = article.parse(body, now=NOW, url=request.get("url", ""))
        published = page.stamp.iso() if page.stamp else None
        return {
            "url": page.url, "title": page.title, "author": page.author, "published_at": published, "text": page.text
        }  # fmt: skip
    return listing(PARSERS[kind](body, base_url=BASES[kind], now=NOW, status=request.get("status", 200)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_page(case: Path) -> None:
    started = time.monotonic()
    found = parsed(case)
    assert time.monotonic() - started < 10
    expected = case / "expected.json"
    if os.environ.get("YUJING_ACCEPT"):
        text = json.dumps(found, ensure_ascii=False, indent=1)
        expected.write_bytes(text.encode("utf-8", "backslashreplace") + b"\n")
    assert found == json.loads(expected.read_text(encoding="utf-8"))


def test_every_kind_of_outcome_is_told_apart_for_every_list() -> None:
    for kind in ("weibo", "guba", "heimao", "feed"):
        outcomes = {parsed(case)["outcome"] for case in CASES if case.parent.name == kind}
        assert {"results", "empty", "blocked", "schema_changed"} <= outcomes, kind
