"""The chart of an alert mail: 24 hours of negative posts beside the usual, as PNG.

Matplotlib's object interface on Agg only (no pyplot: its state is global and not safe with threads). The one
font is the subset in ``alerts/fonts``; a character that it lacks is left out, so that no box (tofu) is drawn.
The ground is light and opaque: a mail program's dark mode leaves images alone, and mid-greys on a transparent
ground are illegible on one side or the other. Bars differ from the band by lightness and edge as well as hue.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from alerts.view import Series
from alerts.words import clock, count, usual, when

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ft2font import FT2Font

FONT = "NotoSansSC-subset.otf"
WIDTH, HEIGHT, DPI = 4.6, 2.75, 270
"""Inches and dots an inch: 1242 × 742 pixels, whose letters are still 9 px high on a phone 375 px wide."""
GROUND, INK, QUIET = "#ffffff", "#1f2328", "#57606a"
BAR, HIGH, BAND, BAND_EDGE = "#8c959f", "#b3261e", "#dbe7f5", "#7a9cc6"


def font_path() -> Path:
    """The bundled font; the package is installed unzipped (``zip_safe = false``)."""
    return Path(str(resources.files("alerts").joinpath("fonts", FONT)))


@cache
def _face() -> FT2Font:
    from matplotlib.ft2font import FT2Font

    return FT2Font(str(font_path()))


def drawable(text: str) -> str:
    """``text`` without the characters that the bundled font cannot draw."""
    known = _face().get_charmap()
    return " ".join("".join(char for char in text if ord(char) in known).split())


def summary(series: Series) -> str:
    """The chart's numbers in words: its alternative text, and the plain-text mail's chart."""
    if not series.hours:
        return "近 24 小时没有可数的帖子"
    last = series.hours[-1]
    peak = max(series.hours, key=lambda hour: (hour.negative, hour.start))
    total = sum(hour.negative for hour in series.hours)
    parts = [f"最近一小时（{clock(last.start)} 起）{count(last.negative)} 条"]
    if last.mean is None or last.low is None or last.high is None:
        parts.append("历史不足，给不出平时区间")
    else:
        mean = usual(last.mean)
        about = "平时" if mean.startswith("不到") else "平时约 "
        parts.append(f"{about}{mean} 条（区间 {count(last.low)}–{count(last.high)}）")
    parts.append(f"起点 {when(series.onset, beside=series.end or series.onset)}")
    parts.append(
        f"24 小时共 {count(total)} 条，最高 {count(peak.negative)} 条（{clock(peak.start)} 起的一小时）"
    )
    return "；".join(parts)


@lru_cache(maxsize=16)
def draw(series: Series, *, title: str) -> bytes:
    """PNG of the series, 1242 × 742 pixels; the same series gives the same bytes, drawn once for all recipients."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, facecolor=GROUND)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.075, 0.115, 0.875, 0.665))
    _band(axes, series)
    _bars(axes, series)
    _onset(axes, series)
    _frame(axes, series)
    _label(axes, -0.06, 1.24, drawable(title), size=9, colour=INK)
    _legend(axes, series)
    target = io.BytesIO()
    figure.savefig(target, format="png", facecolor=GROUND, metadata={"Software": None})
    return target.getvalue()


def _label(
    axes: Axes, x: float, y: float, text: str, *, size: float, colour: str, align: str = "left"
) -> None:
    from matplotlib.font_manager import FontProperties

    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        fontproperties=FontProperties(fname=str(font_path()), size=size),
        color=colour,
        ha=align,
        va="center",
        parse_math=False,
    )


def _high(series: Series, index: int) -> bool:
    hour = series.hours[index]
    return hour.high is not None and hour.negative > hour.high


def _band(axes: Axes, series: Series) -> None:
    """The usual range as a stepped area with an outline that survives grey printing, and its mean."""
    for index, hour in enumerate(series.hours):
        if hour.low is None or hour.high is None or hour.mean is None:
            continue
        edges = (index, index + 1)
        axes.fill_between(edges, hour.low, hour.high, color=BAND, linewidth=0, zorder=1)
        axes.plot(edges, (hour.high, hour.high), color=BAND_EDGE, linewidth=0.9, zorder=3)
        axes.plot(
            edges, (hour.mean, hour.mean), color=BAND_EDGE, linewidth=0.9, linestyle=(0, (2, 2)), zorder=3
        )


def _bars(axes: Axes, series: Series) -> None:
    for index, hour in enumerate(series.hours):
        colour = HIGH if _high(series, index) else BAR
        axes.bar(index + 0.5, hour.negative, width=0.62, color=colour, zorder=2)
    for index in _worth_a_number(series):
        from matplotlib.font_manager import FontProperties

        axes.annotate(
            count(series.hours[index].negative),
            (index + 0.5, series.hours[index].negative),
            xytext=(0, 2.5),
            textcoords="offset points",
            ha="center",
            fontproperties=FontProperties(fname=str(font_path()), size=8.5),
            color=INK,
            # Above the line of the onset, which may stand in the same hour.
            zorder=5,
            bbox={"facecolor": GROUND, "edgecolor": "none", "pad": 0.8},
        )


def _worth_a_number(series: Series) -> set[int]:
    """The newest hour and the highest one."""
    if not series.hours:
        return set()
    newest = len(series.hours) - 1
    highest = max(range(len(series.hours)), key=lambda index: (series.hours[index].negative, index))
    return {newest, highest}


def _onset(axes: Axes, series: Series) -> None:
    if not series.hours or not series.end:
        return
    start = series.hours[0].start
    at = (series.onset - start) / (series.hours[1].start - start)
    if not 0 <= at <= len(series.hours):
        return
    axes.axvline(at, color=INK, linewidth=1, linestyle=(0, (4, 2)), zorder=4)
    share = at / len(series.hours)
    align, nudge = ("right", -0.008) if share > 0.15 else ("left", 0.008)
    text = f"起点 {clock(series.onset)}"
    _label(axes, share + nudge, 0.93, text, size=8.5, colour=INK, align=align)


def _frame(axes: Axes, series: Series) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.ticker import MaxNLocator

    tops = [max(hour.negative, hour.high or 0) for hour in series.hours]
    axes.set_xlim(0, max(len(series.hours), 1))
    axes.set_ylim(0, max([*tops, 4]) * 1.22)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    edges = [clock(hour.start) for hour in series.hours] + ([clock(series.end)] if series.end else [])
    axes.set_xticks(range(0, len(edges), 6), edges[::6])
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(length=0, colors=QUIET)
    properties = FontProperties(fname=str(font_path()), size=8)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(properties)


def _legend(axes: Axes, series: Series) -> None:
    """Drawn by hand under the title: matplotlib's legend takes its fonts from global settings."""
    from matplotlib.patches import Rectangle

    entries: Sequence[tuple[str, str, str]] = (
        ("高于平时", HIGH, HIGH),
        ("平时以内", BAR, BAR),
        ("平时区间（虚线为均值）", BAND, BAND_EDGE),
    )
    if all(hour.mean is None for hour in series.hours):
        entries = (("负面帖（历史不足，无平时区间）", BAR, BAR),)
    x = -0.06
    for text, fill, edge in entries:
        axes.add_patch(
            Rectangle(
                (x, 1.085),
                0.022,
                0.045,
                transform=axes.transAxes,
                facecolor=fill,
                edgecolor=edge,
                clip_on=False,
            )
        )
        _label(axes, x + 0.03, 1.105, text, size=7.5, colour=QUIET)
        # One full-width character of this size is 7.5/72 inch; the axes are 0.875 of the width.
        x += 0.03 + (len(text) + 1.2) * 7.5 / 72 / (0.875 * WIDTH)
