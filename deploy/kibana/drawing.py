"""A panel's answers as something to draw: words instead of ids, colours, units. Knows neither Kibana nor ECharts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from deploy.kibana.lens import colours_of
from deploy.kibana.panels import Chart, Layer, Measure, Names, Operation, Panel, Search, Terms, Time
from deploy.kibana.replay import Table
from deploy.kibana.words import COLOURS, PLAIN, RAMP, SERIES, kind_of, label, words_of
from domain.local_time import SHANGHAI

Json = dict[str, Any]
EMPTY = "这段时间没有数据"


def draw(panel: Panel, tables: Sequence[Table], names: Names) -> Json:
    """What to draw: ``kind`` and its data; ``{"kind": "empty"}`` where there is nothing."""
    layer, table = panel.layers[0], tables[0]
    if panel.chart is Chart.METRIC:
        return _metric(layer, table)
    if not any(
        value
        for asked, each in zip(panel.layers, tables, strict=True)
        for row in each.rows
        for value in row[len(asked.buckets) :]
    ):
        return {"kind": "empty", "text": EMPTY}
    match panel.chart:
        case Chart.TABLE:
            return _table(layer, table, names)
        case Chart.DONUT | Chart.TREEMAP:
            colours = colours_of(panel, _split(layer).field, names, events=layer.events)
            return {
                "kind": panel.chart.value,
                "slices": [
                    {
                        "name": _word(layer, 0, row[0], names),
                        "value": row[1],
                        "colour": _colour(colours, row[0], n),
                    }
                    for n, row in enumerate(table.rows)
                ],
            }
        case Chart.CLOUD:
            return {"kind": "cloud", "words": [{"text": row[0], "count": row[1]} for row in table.rows]}
        case Chart.HEAT:
            return _heat(layer, table, names)
        case _:
            return _axes(panel, tables, names)


def _split(layer: Layer) -> Terms:
    bucket = layer.buckets[0]
    assert isinstance(bucket, Terms)
    return bucket


def _colour(colours: dict[str, str], value: str, number: int) -> str:
    return colours.get(value) or SERIES[number % len(SERIES)]


def _word(layer: Layer, number: int, value: Any, names: Names) -> str:
    """How a bucket is called."""
    bucket = layer.buckets[number]
    if isinstance(bucket, Time):
        local = value.astimezone(SHANGHAI)
        return f"{local:%m-%d}" if bucket.every == "1d" else f"{local:%m-%d %H:%M}"
    return shown(value, kind_of(bucket.field, events=layer.events), names)


def shown(value: Any, kind: str, names: Names) -> str:
    """One value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, list):
        return "、".join(shown(each, kind, names) for each in value) or "–"
    if isinstance(value, datetime):
        return f"{value.astimezone(SHANGHAI):%m-%d %H:%M}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _FORMATS.get(kind, _number)(value)
    words = words_of(kind, names)
    text = words.get(str(value), str(value))
    return text[:8] if kind == "short" and len(text) > 8 else text


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _seconds(value: float) -> str:
    for unit, size in (("天", 86_400), ("小时", 3_600), ("分钟", 60)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.0f} 秒"


_FORMATS: dict[str, Callable[[float], str]] = {
    "percent": lambda value: f"{value:.1%}",
    "decimal": lambda value: f"{value:,.1f}",
    "duration": _seconds,
}


def _kind(measure: Measure, layer: Layer) -> str:
    if measure.operation is Operation.SHARE:
        return "percent"
    if measure.operation in (Operation.COUNT, Operation.UNIQUE, Operation.SUM):
        return "number"
    return kind_of(measure.field, events=layer.events)


def _metric(layer: Layer, table: Table) -> Json:
    (row,) = table.rows
    texts = [
        shown(value, _kind(measure, layer), Names())
        for value, measure in zip(row, layer.measures, strict=True)
    ]
    drawn: Json = {"kind": "metric", "value": texts[0], "colour": layer.measures[0].colour or PLAIN}
    if len(texts) > 1:
        drawn["below"] = f"{layer.measures[1].label} {texts[1]}"
    return drawn


def _table(layer: Layer, table: Table, names: Names) -> Json:
    kinds = [kind_of(bucket.field, events=layer.events) for bucket in layer.buckets]
    kinds += [_kind(measure, layer) for measure in layer.measures]
    heads = [
        (bucket.label if isinstance(bucket, Terms) else "") or label(bucket.field, events=layer.events)
        for bucket in layer.buckets
    ]
    numeric = {"number", "decimal", "percent", "duration"}
    return {
        "kind": "table",
        "head": [
            {"text": text, "right": kind in numeric}
            for text, kind in zip([*heads, *(m.label for m in layer.measures)], kinds, strict=True)
        ],
        "rows": [
            [{"text": shown(value, kind, names)} for value, kind in zip(row, kinds, strict=True)]
            for row in table.rows
        ],
    }


def _heat(layer: Layer, table: Table, names: Names) -> Json:
    rows = list(dict.fromkeys(row[0] for row in table.rows))
    across = list(dict.fromkeys(row[1] for row in table.rows))
    return {
        "kind": "heat",
        "rows": [_word(layer, 0, value, names) for value in rows],
        "across": [_word(layer, 1, value, names) for value in across],
        "cells": [[across.index(row[1]), rows.index(row[0]), row[2]] for row in table.rows if row[2]],
        "ramp": RAMP,
    }


def _axes(panel: Panel, tables: Sequence[Table], names: Names) -> Json:
    """Series over one axis; those of several layers stand on the union of their values, in order of their sum."""
    categories: dict[Any, float] = {}
    series: list[Json] = []
    for layer, table in zip(panel.layers, tables, strict=True):
        if not layer.buckets:
            categories |= dict.fromkeys(layer_labels := [measure.label for measure in layer.measures], 0.0)
            series.append(_points(layer, dict(zip(layer_labels, table.rows[0], strict=True))))
            continue
        for points in _series(panel, layer, table, names):
            series.append(points)
            for key, value in points["points"].items():
                categories[key] = categories.get(key, 0.0) + (value or 0)
    last = panel.layers[0].buckets[-1] if panel.layers[0].buckets else None
    across = panel.chart in (Chart.ACROSS, Chart.ACROSS_STACKED)
    order = sorted(categories) if isinstance(last, Time) else list(categories)
    if across and last is not None:
        order = sorted(categories, key=lambda key: -categories[key])[: getattr(last, "size", 10)]
    for each in series:
        points = each.pop("points")
        each["data"] = [points.get(key) for key in order]
    depth = len(panel.layers[0].buckets) - 1
    texts = [_word(panel.layers[0], depth, key, names) if last is not None else key for key in order]
    return {
        "kind": "axes",
        "across": across,
        "stacked": panel.chart in (Chart.BARS, Chart.ACROSS_STACKED),
        "unit": _kind(panel.layers[0].measures[0], panel.layers[0]),
        "categories": texts,
        "series": series,
    }


def _points(layer: Layer, values: dict[str, Any]) -> Json:
    """Measures side by side, a bar each in its own colour."""
    return {
        "name": "",
        "line": False,
        "colour": PLAIN,
        "colours": [measure.colour for measure in layer.measures],
        "points": values,
    }


def _series(panel: Panel, layer: Layer, table: Table, names: Names) -> list[Json]:
    line = (layer.shape or panel.chart.value) == Chart.LINE.value
    if len(layer.buckets) == 1:
        return [
            {
                "name": measure.label,
                "line": line,
                "dashed": bool(measure.shift),
                "colour": measure.colour or SERIES[number],
                "points": {row[0]: row[1 + number] for row in table.rows},
            }
            for number, measure in enumerate(layer.measures)
        ]
    colours = colours_of(panel, _split(layer).field, names, events=layer.events)
    found: dict[str, Json] = {}
    for row in table.rows:
        each = found.setdefault(
            row[0],
            {
                "name": _word(layer, 0, row[0], names),
                "line": line,
                "colour": _colour(colours, row[0], len(found)),
                "points": {},
            },
        )
        each["points"][row[1]] = row[2]
    # Fixed colours come in a fixed order too, so that a stack is read alike every day.
    order = list(COLOURS.get(panel.colours, {}))
    return [found[key] for key in sorted(found, key=lambda key: order.index(key) if key in order else 99)]


def draw_posts(search: Search, documents: Sequence[Json], names: Names) -> Json:
    """Documents of a saved search as a table; an address becomes a link when it is one."""
    columns = ["@timestamp", *(name for name in search.columns if name != "@timestamp")]
    rows = []
    for document in documents:
        row = []
        for name in columns:
            kind, value = kind_of(name, events=search.events), document.get(name)
            if name == "url.full":
                url = value[0] if value else ""
                safe = url if url.startswith(("https://", "http://")) else ""
                row.append({"text": "打开原文" if safe else "–", "link": safe})
            elif value and (name == "@timestamp" or name.endswith("_at")):
                at = datetime.fromisoformat(str(value[0]).replace("Z", "+00:00"))
                row.append({"text": shown(at, "", names)})
            else:
                row.append({"text": shown(value, kind, names)})
        rows.append(row)
    if not rows:
        return {"kind": "empty", "text": EMPTY}
    head = [
        {"text": label(name, events=search.events), "wide": name == "post.text", "right": False}
        for name in columns
    ]
    return {"kind": "table", "head": head, "rows": rows, "posts": True}
