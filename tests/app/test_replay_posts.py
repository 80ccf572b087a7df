"""Posts of a replay: judged apart from the service, once each, under one name a brand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.cli import cli
from app.replay_names import ReplayNames
from app.replay_posts import Replayed, read_posts
from app.wire import App
from domain.local_time import SHANGHAI

NOON = datetime(2026, 3, 9, 12, tzinfo=SHANGHAI)
TEXT = "云桥金融提现一直不到账，客服电话也打不通，希望尽快处理"

pytestmark = pytest.mark.usefixtures("app")


def row(**values: Any) -> dict[str, Any]:
    return {"text": TEXT, "published_at": "2026-03-09T10:00:00+08:00", **values}


def backtest(folder: Path, rows: list[dict[str, Any]], *more: str) -> Result:
    path = folder / "posts.jsonl"
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), "utf-8")
    done = CliRunner().invoke(cli, ["backtest", str(path), *more])
    assert done.exit_code == 0, done.output
    return done


def test_a_replay_leaves_the_stories_of_the_service_alone(tmp_path: Path) -> None:
    backtest(tmp_path, [row(id=number) for number in range(3)])
    assert not (tmp_path / "stories.sqlite3").exists()


def judged(name: str, sentiment: str = "neutral", **values: Any) -> dict[str, Any]:
    """A row with its own judgement, as ``yujing analyze`` writes it."""
    about = {"name": name, "sentiment": sentiment, "probability": 0.9}
    return row(assessment={"sentiment": sentiment, "topics": [], "entities": [about]}, **values)


def crisis(*names: str) -> list[dict[str, Any]]:
    """A quiet week and an hour of complaints, by turns under each name."""
    quiet = [(NOON + timedelta(minutes=20 * n), "neutral" if n % 8 else "negative") for n in range(500)]
    hot = [(NOON + timedelta(days=6, minutes=20 + n), "negative") for n in range(60)]
    return [
        judged(names[n % len(names)], sentiment, id=n, published_at=at.isoformat(), text=f"第{n}条")
        for n, (at, sentiment) in enumerate(sorted(quiet + hot))
    ]


def known(folder: Path, *brands: str) -> Path:
    """The hour of complaints, as an incident of each brand."""
    start, end = (NOON + timedelta(days=6, minutes=m) for m in (20, 120))
    path = folder / "incidents.jsonl"
    lines = [{"brand": brand, "start": start.isoformat(), "end": end.isoformat()} for brand in brands]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def lines(done: Result) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    *alerts, summary = (json.loads(line) for line in done.stdout.splitlines())
    return alerts, summary


def test_a_brand_is_one_by_any_of_its_names(tmp_path: Path) -> None:
    one, _ = lines(backtest(tmp_path, crisis("云桥金融")))
    assert {alert["brand"] for alert in one} == {"云桥金融"}
    for names in (("云桥", "云桥金融"), ("yunqiao",)):
        found, summary = lines(
            backtest(tmp_path, crisis(*names), "--incidents", str(known(tmp_path, "云桥金服")))
        )
        assert [(alert["at"], alert["level"]) for alert in found] == [(a["at"], a["level"]) for a in one]
        # As those who ask call it.
        assert {alert["brand"] for alert in found} == {"云桥金服"}
        assert (summary["recall"], summary["precision"]) == (1, 1)


def read(app: App, rows: list[dict[str, Any]], names: ReplayNames) -> Replayed:
    path = app.home / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return read_posts(
        path,
        secret=b"k",
        assess=app.analyzer_apart.assess,
        brand_of=names.id_of,
        now=NOON,
        complain=pytest.fail,
    )


def test_a_row_of_its_own_brand_is_that_of_the_posts_that_name_it(app: App) -> None:
    said = ReplayNames(app.settings.brands)
    rows = [row(id=1, brand="云桥金融"), row(id=2, brand="云桥金融", text="提现一直不到账")]
    found = read(app, [*rows, row(id=3, text="天气不错")], said)
    assert [list(brands) for _, brands in found.posts] == [["yunqiao"], ["yunqiao"]]
    assert found.nameless == 1
    assert (said.id_of("无名公司"), said.written("yunqiao")) == ("无名公司", "云桥金融")


def test_what_cannot_be_scored_is_null(tmp_path: Path) -> None:
    calm = [each for each in crisis("云桥金融") if each["assessment"]["sentiment"] == "neutral"]
    done = backtest(tmp_path, calm, "--incidents", str(known(tmp_path, "青石支付")))
    assert lines(done)[1] | {"brand_weeks": 0} == {
        "type": "summary",
        "alerts": 0,
        "brand_weeks": 0,
        "recall": 0,
        "precision": None,
        "median_delay_min": None,
        "false_per_brand_week": 0,
    }
    assert "没有品牌 青石支付" in done.stderr
    _, nothing_happened = lines(backtest(tmp_path, crisis("云桥"), "--incidents", str(known(tmp_path))))
    assert (nothing_happened["recall"], nothing_happened["precision"]) == (None, 0)
    assert nothing_happened["false_per_brand_week"] > 0


def test_a_post_of_several_rows_is_one(app: App, tmp_path: Path) -> None:
    """As of crawl logs that were put together, and of exports that overlap; but 1 is every export's first row."""
    first = judged("云桥金融", id=1, likes=3)
    later = judged("云桥金融", "negative", id=1, likes=90, published_at="2026-03-09T11:00:00+08:00")
    other = judged("云桥金融", id=1, text="另一条")
    found = read(app, [first, later, other, first | {"id": 2}, other], ReplayNames(()))
    assert [
        (
            each.post.text,
            each.post.engagement.likes,
            each.assessment.sentiment.value,
            each.post.published_at.hour,
        )
        for each, _ in found.posts
    ] == [(TEXT, 90, "negative", 2), ("另一条", 0, "neutral", 2), (TEXT, 3, "neutral", 2)]
    assert found.repeated == 2
    assert "2 行是前面已有的帖子" in backtest(tmp_path, [first, later, other, other]).stderr


def test_a_post_counts_for_every_brand_that_one_of_its_rows_is_about(app: App) -> None:
    given = {"sentiment": "neutral", "topics": []}
    rows = [
        row(brand="甲贷", assessment=given | {"sentiment": "negative"}),
        row(brand="乙贷", assessment=given),
        row(brand="乙贷", assessment=given | {"sentiment": "positive"}),
        judged("甲贷", "negative", id=2),
        judged("乙贷", id=2),
        row(id=3, brand="甲贷", text="催收太凶"),
        row(id=3, brand="乙贷", text="催收太凶"),
    ]
    found = read(app, rows, ReplayNames(()))
    said = [{brand: mood.value for brand, mood in brands.items()} for _, brands in found.posts]
    assert said[:4] == [{"甲贷": "negative"}, {"乙贷": "positive"}, {"甲贷": "negative"}, {"乙贷": "neutral"}]
    assert [list(each) for each in said[4:]] == [["甲贷"], ["乙贷"]]
    assert (found.repeated, found.nameless) == (1, 0)
