"""Saved objects for Kibana's import, one JSON object a line, always the same bytes for the same input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from deploy.kibana.dashboards import dashboards
from deploy.kibana.lens import lens
from deploy.kibana.panels import Chart, Dashboard, Names, Panel, Posts, Search, kql
from deploy.kibana.searches import SEARCHES
from deploy.kibana.words import EVENT_FIELDS, FIELDS, field_format, label

Json = dict[str, Any]
VERSIONS = {"index-pattern": "8.0.0", "search": "8.0.0", "dashboard": "8.9.0", "tag": "8.0.0"}
"""Type → migration version of the form written here; Kibana brings it up to its own on import."""
CORE = "8.8.0"
COLUMNS = 48
_WIDTHS = {"post.text": 480, "post.title": 200, "alert.explanation": 520, "source.detail": 360}


def ndjson(names: Names, *, prefix: str = "yujing") -> str:
    """Everything to import; ``prefix`` is that of the index names, and of every id."""
    return "".join(
        json.dumps(each, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
        for each in objects(names, prefix=prefix)
    )


def objects(names: Names, *, prefix: str = "yujing") -> Iterator[Json]:
    """The saved objects, what is referred to before what refers to it."""
    tag = f"{prefix}-tag"
    yield _object("tag", tag, {"name": "舆警", "description": "由 yujing kibana 生成", "color": "#C8372D"})
    for events in (False, True):
        yield _view(names, prefix, events=events)
    for search in SEARCHES:
        yield _search(search, prefix, tag)
    everything = dashboards(names)
    for dashboard in everything:
        yield _dashboard(dashboard, everything, names, prefix, tag)


def _object(type_: str, id_: str, attributes: Json, references: list[Json] | None = None) -> Json:
    return {
        "type": type_,
        "id": id_,
        "attributes": attributes,
        "references": references or [],
        "coreMigrationVersion": CORE,
        "typeMigrationVersion": VERSIONS[type_],
        "managed": False,
    }


def view_id(prefix: str, *, events: bool) -> str:
    """Id of a data view, which is also the alias it reads."""
    return f"{prefix}-{'events' if events else 'posts'}"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _view(names: Names, prefix: str, *, events: bool) -> Json:
    fields = EVENT_FIELDS if events else FIELDS
    formats = {name: made for name, (_, kind) in fields.items() if (made := field_format(kind, names))}
    title = view_id(prefix, events=events)
    return _object(
        "index-pattern",
        title,
        {
            "title": title,
            "name": "舆警 处理记录" if events else "舆警 帖子",
            "timeFieldName": "@timestamp",
            "allowNoIndex": True,
            "fields": "[]",
            "fieldAttrs": _text({name: {"customLabel": text} for name, (text, _) in fields.items()}),
            "fieldFormatMap": _text(formats),
            "runtimeFieldMap": "{}",
            "sourceFilters": "[]",
            "typeMeta": "{}",
        },
    )


def _search(search: Search, prefix: str, tag: str) -> Json:
    source = {
        "highlightAll": True,
        "version": True,
        "query": {"language": "kuery", "query": kql(search.where)},
        "filter": [],
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
    }
    return _object(
        "search",
        f"{prefix}-{search.id}",
        {
            "title": f"舆警 · {search.title}",
            "description": search.purpose,
            "columns": list(search.columns),
            "sort": [[search.sort, "desc"]],
            "grid": {
                "columns": {name: {"width": _WIDTHS[name]} for name in search.columns if name in _WIDTHS}
            },
            "hideChart": True,
            "isTextBasedQuery": False,
            "rowHeight": 2,
            "timeRestore": True,
            "timeRange": {"from": search.since, "to": "now"},
            "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
        },
        [
            {
                "type": "index-pattern",
                "id": view_id(prefix, events=search.events),
                "name": "kibanaSavedObjectMeta.searchSourceJSON.index",
            },
            {"type": "tag", "id": tag, "name": f"tag-ref-{tag}"},
        ],
    )


def _dashboard(
    dashboard: Dashboard, everything: tuple[Dashboard, ...], names: Names, prefix: str, tag: str
) -> Json:
    panels, references = [_head(dashboard, everything, prefix)], []
    for panel, place in placed(dashboard):
        made, wanted = (
            _posts(panel, place, prefix)
            if isinstance(panel, Posts)
            else _chart(panel, place, names, prefix, among_events=dashboard.events)
        )
        panels.append(made)
        references += wanted
    controls, wanted = _controls(dashboard, prefix)
    references += [*wanted, {"type": "tag", "id": tag, "name": f"tag-ref-{tag}"}]
    return _object(
        "dashboard",
        f"{prefix}-{dashboard.id}",
        {
            "title": dashboard.title,
            "description": dashboard.question,
            "timeRestore": True,
            "timeFrom": f"now-{dashboard.days - 1}d/d",
            "timeTo": "now",
            "refreshInterval": {"pause": True, "value": 60000},
            "controlGroupInput": controls,
            "kibanaSavedObjectMeta": {
                "searchSourceJSON": _text({"query": {"language": "kuery", "query": ""}, "filter": []})
            },
            "optionsJSON": _text(
                {
                    "useMargins": True,
                    "syncColors": False,
                    "syncCursor": True,
                    "syncTooltips": False,
                    "hidePanelTitles": False,
                }
            ),
            "panelsJSON": _text(panels),
        },
        references,
    )


HEAD_HEIGHT = 4


def placed(dashboard: Dashboard) -> Iterator[tuple[Panel | Posts, Json]]:
    """Each panel with its place, below the head: left to right, a row as high as its highest panel."""
    x, y, row = 0, HEAD_HEIGHT, 0
    for panel in dashboard.panels:
        if x + panel.width > COLUMNS:
            x, y, row = 0, y + row, 0
        yield panel, {"x": x, "y": y, "w": panel.width, "h": panel.height, "i": panel.id}
        x, row = x + panel.width, max(row, panel.height)


def _head(dashboard: Dashboard, everything: tuple[Dashboard, ...], prefix: str) -> Json:
    """The dashboard's question, and the way to the others."""
    links = " · ".join(
        f"**{other.title.partition(' · ')[2]}**"
        if other is dashboard
        else f"[{other.title.partition(' · ')[2]}](#/view/{prefix}-{other.id})"
        for other in everything
    )
    return {
        "type": "visualization",
        "panelIndex": "head",
        "gridData": {"x": 0, "y": 0, "w": COLUMNS, "h": HEAD_HEIGHT, "i": "head"},
        "embeddableConfig": {
            "hidePanelTitles": True,
            "enhancements": {},
            "savedVis": {
                "title": "",
                "description": "",
                "type": "markdown",
                "params": {
                    "fontSize": 12,
                    "openLinksInNewTab": False,
                    "markdown": f"{links}\n\n{dashboard.question}",
                },
                "uiState": {},
                "data": {"aggs": [], "searchSource": {}},
            },
        },
    }


def _chart(
    panel: Panel, place: Json, names: Names, prefix: str, *, among_events: bool
) -> tuple[Json, list[Json]]:
    views = {events: view_id(prefix, events=events) for events in (False, True)}
    attributes = lens(panel, names, views, among_events=among_events)
    made = {
        "type": "lens",
        "panelIndex": panel.id,
        "gridData": place,
        "title": panel.title,
        "embeddableConfig": {
            "attributes": attributes,
            "description": panel.note,
            "hidePanelTitles": panel.chart is Chart.METRIC,
            **({"timeRange": {"from": f"now-{panel.days}d", "to": "now"}} if panel.days else {}),
            "enhancements": {"dynamicActions": {"events": [_drilldown(panel)]}},
        },
    }
    return made, [ref | {"name": f"{panel.id}:{ref['name']}"} for ref in attributes["references"]]


def _drilldown(panel: Panel) -> Json:
    """A click opens the documents behind it in Discover: basic licence (a drill-down to a URL wants gold)."""
    return {
        "eventId": f"{panel.id}-posts",
        "triggers": ["FILTER_TRIGGER"],
        "action": {
            "factoryId": "OPEN_IN_DISCOVER_DRILLDOWN",
            "name": "查看背后的记录",
            "config": {"openInNewTab": True},
        },
    }


def _posts(panel: Posts, place: Json, prefix: str) -> tuple[Json, list[Json]]:
    made = {
        "type": "search",
        "panelIndex": panel.id,
        "panelRefName": f"panel_{panel.id}",
        "gridData": place,
        "embeddableConfig": {"enhancements": {}},
    }
    return made, [
        {"type": "search", "id": f"{prefix}-{panel.search}", "name": f"{panel.id}:panel_{panel.id}"}
    ]


def _controls(dashboard: Dashboard, prefix: str) -> tuple[Json, list[Json]]:
    panels: Json = {}
    references = []
    for number, name in enumerate(dashboard.controls):
        id_ = name.replace(".", "-")
        panels[id_] = {
            "type": "optionsListControl",
            "order": number,
            "grow": True,
            "width": "medium",
            "explicitInput": {
                "id": id_,
                "fieldName": name,
                "title": label(name, events=dashboard.events),
                "searchTechnique": "prefix",
                "selectedOptions": [],
                "enhancements": {},
            },
        }
        references.append(
            {
                "type": "index-pattern",
                "id": view_id(prefix, events=dashboard.events),
                "name": f"controlGroup_{id_}:optionsListDataView",
            }
        )
    settings = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    return {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "ignoreParentSettingsJSON": _text(settings),
        "panelsJSON": _text(panels),
    }, references
