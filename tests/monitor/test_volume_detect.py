"""``yujing detect``: never looks ahead, echoes what it was given, survives what it is given."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InputError
from monitor.volume import QuantileSketch, VolumeDetector, volume_ratios
from monitor.volume_file import judge_rows, read_rows

Rows = list[tuple[int, str, str]]


def series(values: list[float] | list[str], *, minutes: int = 5) -> Rows:
    start = datetime(2026, 1, 1)
    return [
        (i + 2, (start + timedelta(minutes=minutes * i)).isoformat(sep=" "), str(value))
        for i, value in enumerate(values)
    ]


def scores(rows: Rows) -> list[tuple[float, bool]]:
    return [(row.score.ratio, row.score.alert) for row in judge_rows(iter(rows), complain=lambda _: None)]


def noise(count: int, *, seed: int = 1, mean: float = 5) -> list[float]:
    return np.random.default_rng(seed).poisson(mean, count).astype(float).tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 600), st.integers(0, 10_000))
def test_never_looks_ahead(cut: int, seed: int) -> None:
    values = noise(600, seed=seed)
    values[400] = 500.0
    assert scores(series(values))[:cut] == scores(series(values[:cut]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=6) | st.floats().map(str) | st.integers(-5, 10**9).map(str), max_size=60))
def test_any_row_gets_a_score_between_0_and_1(values: list[str]) -> None:
    found = list(judge_rows(iter(series(values)), complain=lambda _: None))
    assert [row.value for row in found] == values
    assert all(0 <= row.score.anomaly <= 1 for row in found)


@pytest.mark.parametrize("minutes", [1, 5, 60])
def test_a_burst_is_alerted_once_whatever_the_spacing(minutes: int) -> None:
    day = 24 * 60 // minutes
    values = noise(8 * day, mean=20 * minutes / 5)
    spike = 6 * day + day // 2
    for offset in range(max(1, 60 // minutes)):
        values[spike + offset] *= 8
    alerts = [i for i, (_, alert) in enumerate(scores(series(values, minutes=minutes))) if alert]
    hits = [i for i in alerts if spike <= i <= spike + 60 // minutes]
    assert hits
    assert len([i for i in alerts if i < spike]) <= 4


def test_one_post_in_a_silent_series_is_nothing() -> None:
    values = [0.0] * 3000
    values[2000] = values[2500] = 1.0
    assert not any(alert for _, alert in scores(series(values)))
    values[2700] = 30.0
    assert scores(series(values))[2700][1]


def test_gaps_duplicates_and_disorder_do_not_break_it() -> None:
    rows = series(noise(900))
    del rows[300:400]
    rows[500:500] = rows[490:500]
    random.Random(0).shuffle(rows[600:650])
    assert len(scores(rows)) == len(rows)


@pytest.mark.parametrize("bad", ["", "NaN", "inf", "1e308", "-3", "abc", "1,2"])
def test_a_bad_value_is_told_scored_zero_and_teaches_nothing(bad: str) -> None:
    rows = series(noise(400))
    told: list[str] = []
    spoiled = [*rows[:350], (9999, "2026-01-02 05:10:00", bad), *rows[350:]]
    found = list(judge_rows(iter(spoiled), complain=told.append))
    assert len(told) == 1
    assert "9999" in told[0]
    assert found[350].score.anomaly == 0
    assert [row.score for i, row in enumerate(found) if i != 350] == [
        row.score for row in judge_rows(iter(rows), complain=told.append)
    ]


def test_sketch_is_near_the_exact_quantile() -> None:
    values = np.log1p(np.random.default_rng(0).poisson(50, 3000))
    sketch = QuantileSketch(rows_per_day=288, days=10_000)
    for value in values.tolist():
        sketch.add(value)
    assert sketch.quantile(0.99) == pytest.approx(float(np.quantile(values, 0.99)), abs=0.03)
    assert QuantileSketch(rows_per_day=288).quantile(0.99) == 0


def test_state_goes_through_json_and_the_service_sees_the_same_ratio() -> None:
    values = noise(700)
    whole, first = VolumeDetector(), VolumeDetector()
    for i, value in enumerate(values[:500]):
        whole.judge(i * 300, value)
        first.judge(i * 300, value)
    second = VolumeDetector.of(json.loads(json.dumps(first.document())))
    assert second.document() == first.document()
    live = volume_ratios(np.array([values[488:501]]), np.array([second.scales]))[0, -1]
    judged = second.judge(500 * 300, values[500])
    assert judged == whole.judge(500 * 300, values[500])
    assert judged.ratio == pytest.approx(live)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "空文件"),
        (b"a,b\n1,2\n", "timestamp"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"timestamp,other\n", "value"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        list(read_rows(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ('"2026-01-01 00:05,3', ("2026-01-01 00:05,3", "")),
        (f"2026-01-01 00:05,3,{'x' * 200_000}", ("2026-01-01 00:05", "3")),
        ("2026-01-01 00:05", ("2026-01-01 00:05", "")),
    ],
)
def test_a_broken_line_is_one_row(tmp_path: Path, line: str, row: tuple[str, str]) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"timestamp,value\n2026-01-01 00:00,1\n\n{line}\r\n2026-01-01 00:10,2\n", newline="")
    assert list(read_rows(path)) == [(2, "2026-01-01 00:00", "1"), (4, *row), (5, "2026-01-01 00:10", "2")]


@pytest.mark.parametrize("path", ["missing.csv", "."])
def test_missing_file_and_directory(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError):
        list(read_rows(tmp_path / path))


def test_the_command_echoes_timestamps_verbatim(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    stamps = ["2026-01-01T00:00:00+08:00", "2026-01-01 00:05", "nonsense", "2026-01-01T00:15:00Z"]
    path.write_text("timestamp,value\n" + "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps)))
    done = subprocess.run(
        [sys.executable, "-m", "app", "detect", str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["timestamp"] for row in rows] == stamps
    assert list(rows[0]) == ["timestamp", "value", "anomaly_score", "alert"]
    assert {row["alert"] for row in rows} <= {"0", "1"}
    assert "第 4 行" in done.stderr


@pytest.mark.skipif(not os.environ.get("YUJING_DATA"), reason="YUJING_DATA is not set: no NAB series")
def test_nab_score_holds() -> None:
    from bench.nab import PROFILES, load, ours, score

    found = load(Path(os.environ["YUJING_DATA"]) / "nab_realtweets")
    pairs = [(each, ours(each.timestamps, each.values)) for each in found]
    assert score(pairs, PROFILES["standard"]) >= 80


def test_nab_scoring_knows_its_ends() -> None:
    from bench.nab import PROFILES, Labelled, score

    flat = Labelled(
        name="x",
        timestamps=tuple(map(str, range(4000))),
        values=(0.0,) * 4000,
        windows=((1000, 1200), (3000, 3300)),
    )
    silent = [False] * 4000
    perfect = [i in (1000, 3000) for i in range(4000)]
    for profile in PROFILES.values():
        assert score([(flat, silent)], profile) == pytest.approx(0)
        assert score([(flat, perfect)], profile) == pytest.approx(100, abs=0.1)
    noisy = [i in (900, 1000, 3000) for i in range(4000)]
    assert score([(flat, noisy)], PROFILES["standard"]) == pytest.approx(100 - 100 * 0.11 / 4, abs=0.1)
