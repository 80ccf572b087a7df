"""Checks saved objects before anybody imports them: Kibana itself finds most of this only when a chart stays empty."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from deploy.kibana.lens import RECORDS
from deploy.kibana.objects import COLUMNS, CORE, VERSIONS

Json = dict[str, Any]
Fields = Mapping[str, str]
"""Field → type, as mapped."""

_KEYS = {"type", "id", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion", "managed"}
_ATTRIBUTES = {
    "tag": "name description color",
    "index-pattern": "title name timeFieldName allowNoIndex fields fieldAttrs fieldFormatMap runtimeFieldMap "
    "sourceFilters typeMeta",
    "search": "title description columns sort grid hideChart isTextBasedQuery rowHeight timeRestore timeRange "
    "kibanaSavedObjectMeta",
    "dashboard": "title description timeRestore timeFrom timeTo refreshInterval controlGroupInput "
    "kibanaSavedObjectMeta optionsJSON panelsJSON",
}
"""What may stand in ``attributes``; Kibana refuses a dashboard with any other."""
_PANEL = "type panelIndex panelRefName gridData title embeddableConfig"
_NUMBERS = {"long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float"}
_SUITS = {
    "terms": {"keyword", "boolean", "ip", *_NUMBERS},
    "date_histogram": {"date"},
    "unique_count": {"keyword", "boolean", "date", *_NUMBERS},
    "sum": _NUMBERS,
    "median": _NUMBERS,
    "percentile": _NUMBERS,
    "min": {"date", *_NUMBERS},
    "max": {"date", *_NUMBERS},
    "last_value": {"keyword", "boolean", "date", *_NUMBERS},
}
"""Operation → types of field that it can be asked of."""
_REFERRING = {"formula", "math"}
_FIELD = re.compile(r"([@\w.]+)\s*(?::|>=|<=|>|<)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def mapped(*, events: bool) -> dict[str, str]:
    """The fields of our own mapping (``deploy/elasticsearch``), and their types."""
    folder = files("deploy").joinpath("elasticsearch", *(["events"] if events else []))
    found: dict[str, str] = {}
    for file in sorted(_jsons(folder), key=lambda each: each.name):
        document = json.loads(file.read_text("utf-8"))
        mappings = document.get("mappings") or document.get("template", {}).get("mappings", {})
        found |= fields_of(mappings.get("properties", {}))
    return found


def _jsons(folder: Traversable) -> Iterator[Traversable]:
    if folder.is_dir():
        yield from (each for each in folder.iterdir() if each.name.endswith(".json"))


def fields_of(properties: Json, above: str = "") -> dict[str, str]:
    """Leaves of a mapping; what is not indexed or hidden in nested documents cannot be asked and is left out."""
    found: dict[str, str] = {}
    for name, given in properties.items():
        path, type_ = f"{above}{name}", given.get("type", "object")
        if type_ == "nested" or given.get("index") is False or given.get("enabled") is False:
            continue
        if "properties" in given:
            found |= fields_of(given["properties"], f"{path}.")
        elif type_ != "object":
            found[path] = type_
            found |= fields_of(given.get("fields", {}), f"{path}.")
    return found


def lint(text: str, *, posts: Fields, events: Fields) -> list[str]:
    """Everything wrong with the lines of an import, in order; empty: nothing was found."""
    linter = _Linter(posts=posts, events=events)
    linter.file(text)
    return linter.problems


@dataclass
class _Linter:
    posts: Fields
    events: Fields
    problems: list[str] = field(default_factory=list)
    objects: dict[tuple[str, str], Json] = field(default_factory=dict)
    where: str = ""

    def say(self, problem: str) -> None:
        self.problems.append(f"{self.where}: {problem}")

    def file(self, text: str) -> None:
        for number, line in enumerate(text.splitlines(), 1):
            self.where = f"line {number}"
            found = self.parsed(line, "the line")
            if isinstance(found, dict) and self.head(found):
                self.objects[found["type"], found["id"]] = found
        for (type_, id_), found in self.objects.items():
            self.where = f"{type_} {id_}"
            self.references(found)
            unknown = set(found["attributes"]) - set(_ATTRIBUTES[type_].split())
            if unknown:
                self.say(f"unknown attributes {', '.join(sorted(unknown))}")
            getattr(self, f"check_{type_.replace('-', '_')}")(found)

    def parsed(self, text: object, what: str) -> Any:
        try:
            return json.loads(text) if isinstance(text, str) else self.say(f"{what} is no JSON string")
        except ValueError as error:
            return self.say(f"{what} cannot be parsed ({error})")

    def head(self, found: Json) -> bool:
        type_, id_ = found.get("type"), found.get("id")
        if type_ not in VERSIONS or not isinstance(id_, str) or not id_:
            self.say(f"unknown type {type_!r} or no id")
            return False
        self.where = f"{type_} {id_}"
        if set(found) != _KEYS:
            self.say(f"keys {', '.join(sorted(set(found) ^ _KEYS))} missing or unknown")
        if found.get("typeMigrationVersion") != VERSIONS[type_]:
            self.say(f"typeMigrationVersion is {found.get('typeMigrationVersion')!r}, not {VERSIONS[type_]}")
        if found.get("coreMigrationVersion") != CORE:
            self.say(f"coreMigrationVersion is {found.get('coreMigrationVersion')!r}, not {CORE}")
        if (type_, id_) in self.objects:
            self.say("the id is taken")
        return isinstance(found.get("attributes"), dict) and isinstance(found.get("references"), list)

    def references(self, found: Json) -> None:
        names = Counter(reference["name"] for reference in found["references"])
        for name in [name for name, times in names.items() if times > 1]:
            self.say(f"two references are named {name}")
        for reference in found["references"]:
            if (reference["type"], reference["id"]) not in self.objects:
                self.say(
                    f"{reference['name']} refers to {reference['type']} {reference['id']}, which is not here"
                )

    def used(self, found: Json, names: list[str]) -> None:
        """The references are those that the object itself asks for, and tags."""
        given = {each["name"] for each in found["references"] if not each["name"].startswith("tag-ref-")}
        for name in sorted(set(names) - given):
            self.say(f"no reference is named {name}")
        for name in sorted(given - set(names)):
            self.say(f"nothing asks for the reference {name}")

    def fields(self, view: str) -> Fields:
        return self.events if view.endswith("-events") else self.posts

    def kql(self, text: str, fields: Fields, what: str) -> None:
        for name in _FIELD.findall(_QUOTED.sub("", text)):
            if name not in fields:
                self.say(f"{what} asks for {name}, which is not mapped")

    def check_tag(self, found: Json) -> None:
        self.used(found, [])

    def check_index_pattern(self, found: Json) -> None:
        self.used(found, [])
        fields, attributes = self.fields(found["id"]), found["attributes"]
        for name in ("fields", "sourceFilters", "runtimeFieldMap", "typeMeta"):
            self.parsed(attributes.get(name), name)
        labels = self.parsed(attributes.get("fieldAttrs"), "fieldAttrs") or {}
        formats = self.parsed(attributes.get("fieldFormatMap"), "fieldFormatMap") or {}
        for name in sorted({*labels, *formats} - set(fields)):
            self.say(f"{name} is labelled or formatted, but not mapped")
        for name in sorted(set(fields) - set(labels)):
            self.say(f"{name} is mapped, but has no label")
        if fields.get(attributes.get("timeFieldName", "")) != "date":
            self.say("timeFieldName is no date")

    def check_search(self, found: Json) -> None:
        attributes = found["attributes"]
        source = self.parsed(attributes["kibanaSavedObjectMeta"].get("searchSourceJSON"), "searchSourceJSON")
        if not isinstance(source, dict):
            return
        self.used(found, [source.get("indexRefName", "")])
        fields = self.fields(self.view_of(found, source.get("indexRefName", "")))
        self.kql(source["query"]["query"], fields, "the query")
        for name in attributes["columns"]:
            if name not in fields:
                self.say(f"column {name} is not mapped")
        for name, direction in attributes["sort"]:
            if fields.get(name, "text") == "text" or direction not in ("asc", "desc"):
                self.say(f"cannot be sorted by {name} {direction}")

    def view_of(self, found: Json, name: str) -> str:
        return next((str(each["id"]) for each in found["references"] if each["name"] == name), "")

    def check_dashboard(self, found: Json) -> None:
        attributes = found["attributes"]
        self.parsed(attributes.get("optionsJSON"), "optionsJSON")
        self.parsed(attributes["kibanaSavedObjectMeta"].get("searchSourceJSON"), "searchSourceJSON")
        names = self.controls(found, attributes["controlGroupInput"])
        panels = self.parsed(attributes.get("panelsJSON"), "panelsJSON") or []
        self.grid(panels)
        for panel in panels:
            index = panel["panelIndex"]
            self.where = f"dashboard {found['id']} panel {index}"
            if unknown := set(panel) - set(_PANEL.split()):
                self.say(f"unknown keys {', '.join(sorted(unknown))}")
            match panel["type"]:
                case "lens":
                    names += self.lens(panel["embeddableConfig"]["attributes"], found, index)
                case "search":
                    names.append(f"{index}:{panel.get('panelRefName')}")
                case "visualization":
                    pass
                case other:
                    self.say(f"unknown type of panel {other}")
        self.where = f"dashboard {found['id']}"
        self.used(found, names)

    def controls(self, found: Json, group: Json) -> list[str]:
        self.parsed(group.get("ignoreParentSettingsJSON"), "ignoreParentSettingsJSON")
        names = []
        for id_, control in (self.parsed(group.get("panelsJSON"), "controls") or {}).items():
            names.append(f"controlGroup_{id_}:optionsListDataView")
            name = control["explicitInput"]["fieldName"]
            if self.fields(self.view_of(found, names[-1])).get(name) != "keyword":
                self.say(f"control {id_} offers {name}, which is no keyword")
        return names

    def grid(self, panels: list[Json]) -> None:
        taken: dict[tuple[int, int], str] = {}
        for panel in panels:
            index, place = panel["panelIndex"], panel["gridData"]
            if place["i"] != index or place["x"] + place["w"] > COLUMNS:
                self.say(f"panel {index} is misplaced")
            for cell in (
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            ):
                if taken.setdefault(cell, index) != index:
                    self.say(f"panels {taken[cell]} and {index} overlap")
                    break

    def lens(self, attributes: Json, dashboard: Json, index: str) -> list[str]:
        state, names, known = attributes["state"], [], set()
        for id_, layer in state["datasourceStates"]["formBased"]["layers"].items():
            inner = f"indexpattern-datasource-layer-{id_}"
            names.append(f"{index}:{inner}")
            view = self.view_of(dashboard, names[-1])
            if view != next((each["id"] for each in attributes["references"] if each["name"] == inner), None):
                self.say(f"layer {id_} names another data view inside than outside")
            fields = self.fields(view)
            self.kql(state["query"]["query"], fields, "the query")
            columns = layer["columns"]
            known |= {id_, *columns}
            if sorted(layer["columnOrder"]) != sorted(columns):
                self.say(f"columnOrder of {id_} is not its columns")
            for key, column in columns.items():
                self.column(key, column, columns, fields)
        for key in _accessors(state["visualization"]):
            if key not in known:
                self.say(f"the chart draws {key}, which is no column")
        return names

    def column(self, key: str, column: Json, columns: Json, fields: Fields) -> None:
        operation, source = column.get("operationType"), column.get("sourceField")
        if "filter" in column:
            self.kql(column["filter"]["query"], fields, key)
        if column.get("timeShift", "1w") != "1w":
            self.say(f"{key} is shifted by {column['timeShift']}")
        for reference in column.get("references", []):
            if reference not in columns:
                self.say(f"{key} rests on {reference}, which is no column")
        if operation in _REFERRING:
            if operation == "formula":
                self.kql(column["params"]["formula"].replace("kql=", ""), fields, key)
        elif operation == "count":
            if source != RECORDS:
                self.say(f"{key} counts {source}, not {RECORDS}")
        elif operation not in _SUITS:
            self.say(f"{key} has the unknown operation {operation}")
        elif fields.get(source or "") not in _SUITS[operation]:
            self.say(f"{key}: {operation} of {source}, which is {fields.get(source or '', 'not mapped')}")
        order = column.get("params", {}).get("orderBy", {})
        if order.get("type") == "column" and order.get("columnId") not in columns:
            self.say(f"{key} is ordered by {order.get('columnId')}, which is no column")


def _accessors(visualization: Json) -> Iterator[str]:
    """Every column or layer that a chart names, whatever it is called there."""
    for name, value in visualization.items():
        if name.endswith(("Accessor", "layerId", "columnId")) or name == "accessor":
            yield value
        elif name in ("accessors", "primaryGroups", "metrics"):
            yield from value
        elif isinstance(value, dict):
            yield from _accessors(value)
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    yield from _accessors(each)
