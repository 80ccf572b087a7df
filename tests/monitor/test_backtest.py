"""The backtest: reads what it is given, and the service's own code finds what was put in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from config.settings import Brand, Rules
from domain.errors import InputError
from monitor.backtest import Known, brand_weeks, replay, summarise
from monitor.replay_files import read_counts, read_incidents
from monitor.replay_stores import ReplayPosts
from monitor.series import time_of

HEAD = "timestamp,brand,posts,negative\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two brands over two weeks at 30 and 150 posts an hour, an incident each in the second."""
    from bench.injection import START

    folder = tmp_path_factory.mktemp("counts")
    rng = np.random.default_rng(5)
    lines, incidents = [HEAD], []
    for brand, mean in (("b01", 2.5), ("b02", 12.5)):
        posts = rng.poisson(mean, 2 * 2016)
        negative = rng.binomial(posts, 0.12)
        hit = slice(3000, 3060)
        extra = rng.poisson(np.linspace(mean, 4 * mean, 60))
        posts[hit] += extra
        negative[hit] += rng.binomial(extra, 0.8)
        lines += [
            f"{time_of(START + i).isoformat()},{brand},{posts[i]},{negative[i]}\n" for i in range(len(posts))
        ]
        start, end = (time_of(START + at).isoformat() for at in (3000, 3060))
        incidents.append(json.dumps({"brand": brand, "start": start, "end": end}) + "\n")
    (folder / "counts.csv").write_text("".join(lines))
    (folder / "incidents.jsonl").write_text("".join(incidents))
    return folder / "counts.csv", folder / "incidents.jsonl"


def test_finds_injected_incidents_and_little_else(files: tuple[Path, Path]) -> None:
    table = read_counts(files[0], complain=pytest.fail)
    known = read_incidents(files[1], complain=pytest.fail)
    brands = [Brand(id=id_, name=id_) for id_ in table.layout.brands]
    raised = list(replay(counts=table, posts=ReplayPosts([]), brands=brands, topics=(), rules=Rules()))
    found = summarise(raised, brand_weeks(table), known)
    assert found.brand_weeks == pytest.approx(4)
    assert found.recall == 1
    assert found.median_delay_min is not None
    assert found.median_delay_min <= 45
    assert found.false_per_brand_week is not None
    assert found.false_per_brand_week <= 0.5
    assert all(each.detector for each in raised)
    assert summarise([], 4, known).recall == 0
    assert summarise(raised, 4, None).recall is None


def test_scores_by_hand() -> None:
    from bench.injection import START, as_raised

    fires = np.zeros((2, 2016), dtype=bool)
    fires[0, [100, 500]] = True
    fires[1, 1000] = True
    raised = as_raised(fires)
    known = [Known(brand="b00", start=time_of(START + 95), end=time_of(START + 150))]
    known += [Known(brand="b01", start=time_of(START + 10), end=time_of(START + 20))]
    found = summarise(raised, 2.0, known)
    assert (found.alerts, found.recall, found.median_delay_min) == (3, 0.5, 30)
    assert found.precision == pytest.approx(1 / 3)
    assert found.false_per_brand_week == 1


class TestCountsFile:
    def write(self, tmp_path: Path, text: str) -> Path:
        path = tmp_path / "c.csv"
        path.write_text(text)
        return path

    def test_zones_order_of_columns_and_sums(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path,
            "brand,negative,posts,timestamp,extra\n"
            "a,1,3,2026-01-01T08:00:00+08:00,x\n"
            "a,1,2,2026-01-01T08:04:59,x\n"
            "a,0,1,2026-01-01T00:05:00Z,x\n",
        )
        table = read_counts(path, complain=pytest.fail)
        assert table.end - table.first == 2
        window = table.read(table.layout, table.first - 1, table.end + 1)
        assert window.counts[0, 0].tolist() == [0, 5, 1, 0]
        assert window.counts[1, 0].tolist() == [0, 2, 0, 0]

    @pytest.mark.parametrize(
        "row",
        [
            "x,a,1,0",
            "2026-01-01,a,-1,0",
            "2026-01-01,a,1,2",
            "2026-01-01,,1,0",
            "2026-01-01,a,nan,0",
            "9999-12-31,a,1,0",
            "2026-01-01,a",
            '"2026-01-01,a,1,0',
            "2026-01-01,a,1e300,0",
        ],
    )
    def test_bad_rows_are_told_and_left_out(self, tmp_path: Path, row: str) -> None:
        told: list[str] = []
        table = read_counts(self.write(tmp_path, HEAD + row + "\n2026-01-01,a,4,1\n"), complain=told.append)
        assert len(told) == 1
        assert "第 2 行" in told[0]
        assert table.read(table.layout, table.first, table.end).counts[0].sum() == 4

    @pytest.mark.parametrize(
        "text", ["", "a,b\n", HEAD, HEAD + "x,y,z,w\n", HEAD + "2010-01-01,a,1,0\n2026-01-01,a,1,0\n"]
    )
    def test_useless_files_are_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(InputError) as caught:
            read_counts(self.write(tmp_path, text), complain=lambda _: None)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "line",
        [
            "{",
            "[]",
            '{"brand":"a"}',
            '{"brand":1,"start":"2026-01-01","end":"2026-01-02"}',
            '{"brand":"a","start":"2026-01-03","end":"2026-01-02"}',
            '{"brand":"a","start":3,"end":4}',
        ],
    )
    def test_bad_incidents(self, tmp_path: Path, line: str) -> None:
        path = tmp_path / "i.jsonl"
        told: list[str] = []
        path.write_text(line + '\n{"brand":"a","start":"2026-01-01","end":"2026-01-02"}\n')
        assert [each.end - each.start for each in read_incidents(path, complain=told.append)] == [
            timedelta(days=1)
        ]
        assert len(told) == 1


def test_the_command_prints_alerts_and_a_summary(files: tuple[Path, Path], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "backtest", "--counts", str(files[0]), "--incidents", str(files[1])],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"YUJING_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["type"] for row in rows[:-1]] == ["alert"] * (len(rows) - 1)
    assert {"at", "brand", "level", "detector", "reason"} <= set(rows[0])
    assert rows[-1]["type"] == "summary"
    assert rows[-1]["alerts"] == len(rows) - 1
    assert rows[-1]["recall"] == 1


def test_posts_with_their_own_judgement(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "posts.jsonl"
    start = 1_767_600_000
    rows = []
    for at in np.sort(rng.uniform(0, 7 * 86400, 1000)):
        rows.append((at, "neutral" if rng.random() > 0.12 else "negative", []))
    rows += [(6 * 86400 + 60 * n, "negative", ["withdrawal_difficulty"]) for n in range(40)]
    with path.open("w") as file:
        for n, (at, sentiment, topics) in enumerate(sorted(rows, key=lambda row: row[0])):
            row = {
                "id": str(n),
                "text": f"第 {n} 条",
                "author": f"用户{n}",
                "published_at": time_of(int((start + at) // 300)).isoformat(),
                "assessment": {
                    "sentiment": sentiment,
                    "topics": [{"id": topic, "stance": "assert", "probability": 0.9} for topic in topics],
                    "entities": [{"name": "云桥金融", "sentiment": sentiment, "probability": 1}],
                },
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.write('{"text": "没有时间"}\n')
    done = subprocess.run(
        [sys.executable, "-m", "app", "backtest", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"YUJING_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    rows_out = [json.loads(line) for line in done.stdout.splitlines()]
    alerts = [row for row in rows_out if row["type"] == "alert"]
    assert {row["brand"] for row in alerts} == {"云桥金融"}
    assert alerts[-1]["topics"][0] == "withdrawal_difficulty"
    assert alerts[-1]["level"] in ("orange", "red")
    assert "recall" not in rows_out[-1]
    assert "published_at" in done.stderr
