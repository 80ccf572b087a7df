"""A panel as the state of a Lens chart.

Column keys are ``<layer>c<n>``, so that no two of a chart are alike. A share is a formula with the columns
that Kibana derives from its text (``…X0``, ``…X1``, ``…X2``): both are written, since Kibana reads the columns
and people read the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.kibana.panels import Chart, Layer, Measure, Names, Operation, Panel, Terms, Time, kql
from deploy.kibana.words import COLOURS, PLAIN, RAMP, SERIES, kind_of, label, words_of

RECORDS = "___records___"
NUMBER = {"id": "number", "params": {"decimals": 0}}
PERCENT = {"id": "percent", "params": {"decimals": 1}}
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The columns of a layer and the keys of what the panel names."""

    layer: str
    buckets: tuple[str, ...]
    measures: tuple[str, ...]
    json: Json

    @property
    def order(self) -> list[str]:
        """As Kibana wants them: buckets from the outermost in, then the rest."""
        return [*self.buckets, *(key for key in self.json if key not in self.buckets)]


def columns(layer: Layer, number: int) -> Columns:
    """The columns of the ``number``-th layer of a chart."""
    buckets = tuple(f"l{number}c{index}" for index in range(len(layer.buckets)))
    measures = tuple(f"l{number}m{index}" for index in range(len(layer.measures)))
    json: Json = {}
    for key, bucket in zip(buckets, layer.buckets, strict=True):
        json[key] = _time(bucket, layer) if isinstance(bucket, Time) else _terms(bucket, layer, measures)
    for key, measure in zip(measures, layer.measures, strict=True):
        json |= _measure(key, measure, layer)
    return Columns(layer=f"layer{number}", buckets=buckets, measures=measures, json=json)


def _time(bucket: Time, layer: Layer) -> Json:
    return {
        "label": label(bucket.field, events=layer.events),
        "customLabel": True,
        "dataType": "date",
        "operationType": "date_histogram",
        "sourceField": bucket.field,
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": bucket.every, "includeEmptyRows": True, "dropPartials": False},
    }


def _terms(bucket: Terms, layer: Layer, measures: tuple[str, ...]) -> Json:
    order: Json = (
        {"type": "significant"}
        if bucket.by == "significance"
        else {"type": "column", "columnId": measures[int(bucket.by)]}
    )
    return {
        "label": bucket.label or label(bucket.field, events=layer.events),
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "sourceField": bucket.field,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": bucket.size,
            "orderBy": order,
            "orderDirection": "asc" if bucket.ascending else "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
            "include": [],
            "exclude": [],
            "includeIsRegex": False,
            "excludeIsRegex": False,
        },
    }


_TYPES = {Operation.LAST: "string", Operation.MIN: "number", Operation.MAX: "number"}
_DATES = ("@timestamp",)


def _measure(key: str, measure: Measure, layer: Layer) -> Json:
    if measure.operation is Operation.SHARE:
        return _share(key, measure)
    if measure.operation is Operation.COUNT:
        return {key: _count(measure.label, kql(measure.where), measure.shift, {"format": NUMBER})}
    kind = kind_of(measure.field, events=layer.events)
    params: Json = {}
    if measure.operation in (Operation.UNIQUE, Operation.SUM):
        params = {"format": NUMBER, "emptyAsNull": True}
    elif measure.operation is Operation.PERCENTILE:
        params = {"percentile": measure.percentile}
    elif measure.operation is Operation.LAST:
        # An array of values, or the one: a top hit, which needs no field to be single.
        params = {"sortField": "@timestamp", "showArrayValues": True}
    numeric = measure.operation is not Operation.LAST or kind in ("number", "decimal")
    column: Json = {
        "label": measure.label,
        "customLabel": True,
        "dataType": "date" if measure.field in _DATES else "number" if numeric else "string",
        "operationType": measure.operation.value,
        "sourceField": measure.field,
        "isBucketed": False,
        "scale": "ratio" if numeric else "ordinal",
        "params": params,
    }
    return {key: column | _narrowed(kql(measure.where), measure.shift)}


def _narrowed(where: str, shift: str) -> Json:
    return ({"filter": {"language": "kuery", "query": where}} if where else {}) | (
        {"timeShift": shift} if shift else {}
    )


def _count(label_: str, where: str, shift: str, params: Json) -> Json:
    return {
        "label": label_,
        "customLabel": True,
        "dataType": "number",
        "operationType": "count",
        "sourceField": RECORDS,
        "isBucketed": False,
        "scale": "ratio",
        "params": {"emptyAsNull": False} | params,
    } | _narrowed(where, shift)


def _share(key: str, measure: Measure) -> Json:
    part, whole = (
        f"count({', '.join(given)})"
        for where in (measure.where + measure.whole, measure.whole)
        for given in [
            [f"kql='{kql(where)}'"] * bool(where) + [f"shift='{measure.shift}'"] * bool(measure.shift)
        ]
    )
    text, name = f"{part} / {whole}", f"Part of {measure.label}"
    base: Json = {"customLabel": True, "dataType": "number", "isBucketed": False, "scale": "ratio"}
    ast = {
        "type": "function",
        "name": "divide",
        "args": [f"{key}X0", f"{key}X1"],
        "location": {"min": 0, "max": len(text)},
        "text": text,
    }
    return {
        key: base
        | {
            "label": measure.label,
            "operationType": "formula",
            "params": {"formula": text, "isFormulaBroken": False, "format": PERCENT},
            "references": [f"{key}X2"],
        },
        f"{key}X0": _count(name, kql(measure.where + measure.whole), measure.shift, {}),
        f"{key}X1": _count(name, kql(measure.whole), measure.shift, {}),
        f"{key}X2": base
        | {
            "label": name,
            "operationType": "math",
            "params": {"tinymathAst": ast},
            "references": [f"{key}X0", f"{key}X1"],
        },
    }


def lens(panel: Panel, names: Names, views: Mapping[bool, str], *, among_events: bool) -> Json:
    """The attributes of a Lens chart.

    ``views``: id of the data view of the events (True) and of the posts (False). ``among_events``: the
    dashboard's filters are about events.
    """
    layers = [columns(_titled(panel, layer), number) for number, layer in enumerate(panel.layers)]
    states: Json = {}
    references = []
    for layer, made in zip(panel.layers, layers, strict=True):
        states[made.layer] = {
            "columnOrder": made.order,
            "columns": made.json,
            "incompleteColumns": {},
            # The posts' filters name fields that events lack: with them an events panel would be empty.
            "ignoreGlobalFilters": layer.events and not among_events,
        }
        references.append(
            {
                "type": "index-pattern",
                "id": views[layer.events],
                "name": f"indexpattern-datasource-layer-{made.layer}",
            }
        )
    type_, visualization = _visualization(panel, layers, names)
    where = {kql(layer.where) for layer in panel.layers}
    assert len(where) == 1, f"{panel.id}: Lens has one query for all layers of a chart"
    return {
        "title": panel.title,
        "description": panel.note,
        "visualizationType": type_,
        "type": "lens",
        "references": references,
        "state": {
            "datasourceStates": {"formBased": {"layers": states}},
            "visualization": visualization,
            "query": {"language": "kuery", "query": where.pop()},
            "filters": [],
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _titled(panel: Panel, layer: Layer) -> Layer:
    """A metric shows its first measure's name where other charts have the panel's title."""
    if panel.chart is not Chart.METRIC:
        return layer
    first, *others = layer.measures
    return replace(layer, measures=(replace(first, label=panel.title), *others))


def _visualization(panel: Panel, layers: list[Columns], names: Names) -> tuple[str, Json]:
    made = layers[0]
    head: Json = {"layerId": made.layer, "layerType": "data"}
    match panel.chart:
        case Chart.METRIC:
            first, *second = made.measures
            state: Json = head | {"metricAccessor": first}
            if second:
                state["secondaryMetricAccessor"] = second[0]
            colour = panel.layers[0].measures[0].colour or PLAIN
            return "lnsMetric", state | {"color": colour, "subtitle": panel.note}
        case Chart.TABLE:
            shown = [{"columnId": key, "isTransposed": False} for key in (*made.buckets, *made.measures)]
            return "lnsDatatable", head | {"columns": shown, "paging": {"size": 10, "enabled": True}}
        case Chart.DONUT | Chart.TREEMAP:
            return "lnsPie", {"shape": panel.chart.value, "layers": [head | _slices(panel, made, names)]}
        case Chart.CLOUD:
            return "lnsTagcloud", head | {
                "tagAccessor": made.buckets[0],
                "valueAccessor": made.measures[0],
                "maxFontSize": 42,
                "minFontSize": 14,
                "orientation": "single",
                "showLabel": False,
            }
        case Chart.HEAT:
            return "lnsHeatmap", head | _heat(made)
        case _:
            return "lnsXY", _xy(panel, layers, names)


def _slices(panel: Panel, made: Columns, names: Names) -> Json:
    return {
        "primaryGroups": list(made.buckets),
        "metrics": [made.measures[0]],
        "numberDisplay": "percent",
        "percentDecimals": 1,
        "categoryDisplay": "default",
        "legendDisplay": "show" if panel.chart is Chart.DONUT else "hide",
        "legendPosition": "right",
        "nestedLegend": False,
        "colorMapping": colour_mapping(panel, panel.layers[0], names),
    }


def _heat(made: Columns) -> Json:
    rows, across = made.buckets
    return {
        "shape": "heatmap",
        "xAccessor": across,
        "yAccessor": rows,
        "valueAccessor": made.measures[0],
        "legend": {"isVisible": True, "position": "right", "type": "heatmap_legend"},
        "gridConfig": {
            "type": "heatmap_grid",
            "isCellLabelVisible": True,
            "isYAxisLabelVisible": True,
            "isXAxisLabelVisible": True,
            "isYAxisTitleVisible": False,
            "isXAxisTitleVisible": False,
        },
        "palette": {
            "type": "palette",
            "name": "custom",
            "accessor": made.measures[0],
            "params": {
                "name": "custom",
                "reverse": False,
                "rangeType": "percent",
                "rangeMin": 0,
                "rangeMax": None,
                "continuity": "above",
                "progression": "fixed",
                "steps": len(RAMP),
                "colorStops": [
                    {"color": colour, "stop": 100 * step // len(RAMP)} for step, colour in enumerate(RAMP)
                ],
                "stops": [
                    {"color": colour, "stop": 100 * (step + 1) // len(RAMP)}
                    for step, colour in enumerate(RAMP)
                ],
            },
        },
    }


def _xy(panel: Panel, layers: list[Columns], names: Names) -> Json:
    drawn = []
    for layer, made in zip(panel.layers, layers, strict=True):
        state: Json = {
            "layerId": made.layer,
            "layerType": "data",
            "seriesType": layer.shape or panel.chart.value,
            "accessors": list(made.measures),
        }
        if made.buckets:
            # The innermost bucket is the axis; one above it splits into series.
            state["xAccessor"] = made.buckets[-1]
        if len(made.buckets) > 1:
            state["splitAccessor"] = made.buckets[0]
            state["colorMapping"] = colour_mapping(panel, layer, names)
        else:
            state["yConfig"] = [
                {"forAccessor": key, "color": measure.colour}
                for key, measure in zip(made.measures, layer.measures, strict=True)
                if measure.colour
            ]
        drawn.append(state)
    return {
        "legend": {"isVisible": True, "position": "bottom", "showSingleSeries": False},
        "valueLabels": "show" if panel.chart is Chart.ACROSS else "hide",
        "preferredSeriesType": panel.chart.value,
        "fittingFunction": "None",
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": False, "yRight": False},
        "layers": drawn,
    }


def colours_of(panel: Panel, field: str, names: Names, *, events: bool) -> dict[str, str]:
    """Value → colour: fixed ones, else those of ``words.SERIES`` in the order of the field's known values."""
    if panel.colours in COLOURS:
        return COLOURS[panel.colours]
    known = words_of(kind_of(field, events=events), names)
    return {value: SERIES[number % len(SERIES)] for number, value in enumerate(known)}


def colour_mapping(panel: Panel, layer: Layer, names: Names) -> Json:
    """Kibana's way to tie colours to values (the form of 8.12 to 8.18; later versions convert it on reading)."""
    split = layer.buckets[0]
    assigned = colours_of(panel, split.field, names, events=layer.events)
    return {
        "assignments": [
            {
                "rule": {"type": "matchExactly", "values": [value]},
                "color": {"type": "colorCode", "colorCode": colour},
                "touched": False,
            }
            for value, colour in assigned.items()
        ],
        "specialAssignments": [{"rule": {"type": "other"}, "color": {"type": "loop"}, "touched": False}],
        "paletteId": "eui_amsterdam_color_blind",
        "colorMode": {"type": "categorical"},
    }
