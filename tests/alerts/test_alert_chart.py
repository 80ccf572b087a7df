"""The chart: no tofu, legible in grey, numbers beside it."""

from __future__ import annotations

import io
import re
import threading
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from alerts import charts
from alerts.charts import draw, drawable, font_path, summary
from alerts.view import Hour, Series
from config.load import load
from tests.alerts.sample import AT, ONSET

CONFIG = Path(__file__).parents[2] / "config"


def series(*, history: bool = True, last: int = 37, onset_minutes: float = 85) -> Series:
    hours = []
    for index in range(24):
        usual = {"mean": 6.0, "low": 2.0, "high": 11.0} if history else {}
        count = last if index == 23 else index % 6
        hours.append(Hour(start=AT - timedelta(hours=24 - index), negative=count, **usual))
    return Series(hours=tuple(hours), onset=AT - timedelta(minutes=onset_minutes))


def known() -> set[int]:
    return set(TTFont(font_path()).getBestCmap())


def test_the_font_has_every_character_of_our_own_words() -> None:
    chinese = re.compile(r"[\u3000-\u9fff\uff00-\uffef·–—…“”]")
    for file in sorted((CONFIG.parent / "alerts").rglob("*.py")):
        missing = set(chinese.findall(file.read_text(encoding="utf-8"))) - set(map(chr, known()))
        assert not missing, (file, missing)


def test_the_font_has_every_character_of_brands_topics_and_sources() -> None:
    settings = load(CONFIG)
    names = (
        [b.name for b in settings.brands]
        + [t.name for t in settings.topics]
        + [s.name for s in settings.sources]
    )
    for name in names:
        assert drawable(name) == name


def test_characters_outside_the_font_are_left_out_and_never_boxes(caplog: pytest.LogCaptureFixture) -> None:
    assert drawable("☁️桥 金\u202e融 龘㐂 ok") == "桥 金融 ok"
    picture = draw(series(), title=drawable("☁️桥金融") + "：每小时负面帖")
    assert picture.startswith(b"\x89PNG")
    assert "missing" not in caplog.text


def test_a_missing_glyph_would_be_an_error_here() -> None:
    """Matplotlib warns of a glyph that it draws as a box; warnings fail these tests."""
    with pytest.raises(UserWarning, match="Glyph"):
        unfiltered("☁龘")


def unfiltered(title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    charts._label(axes, 0.1, 0.5, title, size=9, colour="#000000")
    canvas.draw()


def test_size_is_what_the_mail_expects_and_small() -> None:
    picture = draw(series(), title="云桥金融 · 提现困难：每小时负面帖")
    image = Image.open(io.BytesIO(picture))
    assert image.size == (1242, 742)
    assert len(picture) < 150_000


def test_high_and_usual_bars_and_the_band_differ_in_grey() -> None:
    greys = [grey(colour) for colour in (charts.HIGH, charts.BAR, charts.BAND, charts.GROUND)]
    assert greys == sorted(greys)
    for darker, lighter in pairwise(greys):
        assert lighter - darker >= 20


def grey(colour: str) -> float:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_the_words_carry_the_numbers() -> None:
    words = summary(series())
    for bit in ("37 条", "平时约 6 条（区间 2–11）", "起点 19:40", "最高 37 条（20:05 起的一小时）"):
        assert bit in words
    assert "起点 11月21日 01:05" in summary(series(onset_minutes=44 * 60))
    assert "历史不足" in summary(series(history=False))


@pytest.mark.parametrize("onset", [0, 5, 85, 23 * 60, 30 * 60])
def test_any_onset_and_any_history_can_be_drawn(onset: float) -> None:
    for history in (True, False):
        assert draw(series(history=history, onset_minutes=onset), title="x").startswith(b"\x89PNG")


def test_nothing_to_draw_is_drawn_too() -> None:
    nothing = Series(hours=(), onset=ONSET)
    assert draw(nothing, title="x").startswith(b"\x89PNG")
    assert "没有" in summary(nothing)


def test_threads_draw_the_same_picture() -> None:
    draw.cache_clear()
    expected = draw.__wrapped__(series(), title="x")
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(draw.__wrapped__(series(), title="x"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3
