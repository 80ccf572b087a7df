"""The previews: drawn from real answers, shown by a real browser, deaf to what posts say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.kibana.drawing import EMPTY, draw, draw_posts, shown
from deploy.kibana.panels import Chart, Layer, Measure, Names, Operation, Panel, Search, Terms, Time
from deploy.kibana.preview import page, preview
from deploy.kibana.replay import Table
from deploy.kibana.screenshots import chromium
from tests.kibana.known import UNTIL

HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
needs_chromium = pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed")


def test_the_pages_hold_the_answers(own_names: Names, ask: Callable, tmp_path: Path) -> None:
    pages = preview(tmp_path, own_names, ask, until=UNTIL, prefix="known")
    assert [each.stem for each in pages] == [
        "overview",
        "crisis",
        "competitors",
        "spread",
        "sources",
        "response",
    ]
    for each in pages:
        html = each.read_text("utf-8")
        assert "<script>alert(1)" not in html
        content = json.loads(re.search(r'id="content">(.*?)</script>', html)[1])
        kinds = [panel["kind"] for panel in content["panels"]]
        assert "empty" not in kinds
        assert "metric" in kinds or each.stem in ("crisis", "competitors")
        assert "://" not in re.sub(r'id="content">.*?</script>|<script>.*?</script>', "", html, flags=re.S)
    if shutil.which("chromium"):
        drawn = chromium("--dump-dom", pages[0].as_uri())
        assert drawn.count("<canvas") == 4
        assert 'data-height="' in drawn


@needs_chromium
def test_a_posts_text_stays_text(tmp_path: Path) -> None:
    search = Search(id="x", title=HOSTILE, purpose=HOSTILE, columns=("post.text", "author.name", "url.full"))
    documents = [
        {
            "@timestamp": ["2026-11-29T04:00:00.000Z"],
            "post.text": [HOSTILE],
            "url.full": ["javascript:alert(1)"],
        }
    ]
    panel = Panel(
        id="p",
        title=HOSTILE,
        chart=Chart.DONUT,
        layers=(_layer(Terms(field="post.platform")),),
        width=24,
        height=12,
    )
    table = Table(columns=("a", "b"), rows=((HOSTILE, 3),))
    place = {"x": 0, "y": 4, "w": 24, "h": 12}
    content = {
        "title": HOSTILE,
        "question": HOSTILE,
        "range": "",
        "controls": [HOSTILE],
        "links": [],
        "head": 4,
        "row": 22,
        "panels": [
            {"title": HOSTILE, "note": "", "place": place, **draw_posts(search, documents, Names())},
            {"title": HOSTILE, "note": "", "place": place | {"x": 24}, **draw(panel, [table], Names())},
        ],
    }
    path = tmp_path / "page.html"
    path.write_text(page(HOSTILE, content), "utf-8")
    drawn = chromium("--dump-dom", path.as_uri())
    assert 'data-height="' in drawn  # it was drawn, to the end
    body = drawn[drawn.index("<main") : drawn.index("</main>")]
    assert "<img" not in body and "<script" not in body and "javascript:" not in body
    assert re.search(r"<title>([^<]*)", drawn)[1].startswith("&lt;/script&gt;")


@needs_chromium
def test_a_script_that_is_not_ours_does_not_run(tmp_path: Path) -> None:
    html = page(
        "x", {"links": [], "controls": [], "panels": [], "title": "", "question": "", "range": "", "row": 1}
    )
    path = tmp_path / "page.html"
    path.write_text(html.replace("</body>", "<script>document.title = 'pwned'</script></body>"), "utf-8")
    drawn = chromium("--dump-dom", path.as_uri())
    assert 'data-height="' in drawn
    assert "<title>x（预览）</title>" in drawn


def _layer(*buckets: Any, measure: Measure | None = None) -> Layer:
    return Layer(buckets=buckets, measures=(measure or Measure(label="帖子"),))


def test_series_of_one_stack_share_their_days_and_their_order() -> None:
    panel = Panel(
        id="p",
        title="",
        chart=Chart.BARS,
        colours="sentiment",
        layers=(_layer(Terms(field="assessment.sentiment"), Time()),),
        width=1,
        height=1,
    )
    days = [datetime(2026, 11, day, 16, tzinfo=UTC) for day in (1, 2)]
    rows = (("positive", days[1], 5), ("positive", days[0], 4), ("negative", days[0], 1))
    drawn = draw(panel, [Table(columns=(), rows=rows)], Names())
    assert drawn["categories"] == ["11-02", "11-03"]
    assert [(each["name"], each["data"]) for each in drawn["series"]] == [
        ("负面", [1, None]),
        ("正面", [4, 5]),
    ]


def test_nothing_is_said_to_be_nothing() -> None:
    panel = Panel(id="p", title="", chart=Chart.BARS, layers=(_layer(Time()),), width=1, height=1)
    table = Table(columns=(), rows=((datetime(2026, 11, 1, tzinfo=UTC), 0),))
    assert draw(panel, [table], Names()) == {"kind": "empty", "text": EMPTY}
    assert draw_posts(Search(id="x", title="", purpose="", columns=()), [], Names())["kind"] == "empty"
    share = Measure(label="占比", operation=Operation.SHARE)
    metric = Panel(id="m", title="", chart=Chart.METRIC, layers=(_layer(measure=share),), width=1, height=1)
    assert draw(metric, [Table(columns=(), rows=((None,),))], Names())["value"] == "–"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (12345, "number", "12,345"),
        (0.1234, "percent", "12.3%"),
        (59, "duration", "59 秒"),
        (90, "duration", "1.5 分钟"),
        (90_000, "duration", "1.0 天"),
        (["negative"], "sentiment", "负面"),
        (["a" * 32], "short", "aaaaaaaa"),
        (datetime(2026, 11, 28, 16, 30, tzinfo=UTC), "", "11-29 00:30"),
        (None, "number", "–"),
    ],
)
def test_a_value_is_shown_with_its_unit(value: Any, kind: str, text: str) -> None:
    assert shown(value, kind, Names()) == text
