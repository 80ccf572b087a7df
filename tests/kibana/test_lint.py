"""The linter finds nothing in what is shipped, and each mistake that is put into it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from deploy.kibana import shipped
from deploy.kibana.lint import fields_of, lint, mapped

Json = dict[str, Any]
LINES = shipped().read_text("utf-8").splitlines()


def _lint(lines: list[str]) -> list[str]:
    return lint("\n".join(lines), posts=mapped(events=False), events=mapped(events=True))


def test_what_is_shipped_has_no_problem() -> None:
    assert _lint(LINES) == []


def _changed(type_: str, id_: str, change: Callable[[Json], None]) -> list[str]:
    lines = []
    for line in LINES:
        found = json.loads(line)
        if (found["type"], found["id"]) == (type_, id_):
            change(found)
        lines.append(json.dumps(found, ensure_ascii=False))
    assert [json.loads(line) for line in LINES] != [json.loads(line) for line in lines]
    return lines


def _inside(key: str, change: Callable[[Any], None]) -> Callable[[Json], None]:
    """A change inside of an attribute that is JSON in a string."""

    def changed(found: Json) -> None:
        value = json.loads(found["attributes"][key])
        change(value)
        found["attributes"][key] = json.dumps(value)

    return changed


def _panel(panels: list[Json], index: str) -> Json:
    return next(panel for panel in panels if panel["panelIndex"] == index)


def _state(panels: list[Json], index: str = "volume") -> Json:
    return _panel(panels, index)["embeddableConfig"]["attributes"]["state"]


def _layer(panels: list[Json], index: str = "volume", layer: str = "layer0") -> Json:
    return _state(panels, index)["datasourceStates"]["formBased"]["layers"][layer]


OVERVIEW = ("dashboard", "yujing-overview")
MISTAKES: list[tuple[str, tuple[str, str], Callable[[Json], Any], str]] = [
    ("no version", OVERVIEW, lambda o: o.pop("typeMigrationVersion"), "keys typeMigrationVersion"),
    ("another version", OVERVIEW, lambda o: o.update(typeMigrationVersion="8.0.0"), "is '8.0.0', not 8.9.0"),
    ("another core", OVERVIEW, lambda o: o.update(coreMigrationVersion="7.0.0"), "coreMigrationVersion"),
    ("unknown type", ("tag", "yujing-tag"), lambda o: o.update(type="canvas"), "unknown type 'canvas'"),
    ("unknown key", OVERVIEW, lambda o: o["attributes"].update(extra=1), "unknown attributes extra"),
    ("lost reference", OVERVIEW, lambda o: o["references"].pop(0), "no reference is named"),
    ("strange reference", OVERVIEW, lambda o: o["references"][0].update(name="x"), "nothing asks for"),
    ("dangling reference", OVERVIEW, lambda o: o["references"][0].update(id="gone"), "which is not here"),
    ("doubled reference", OVERVIEW, lambda o: o["references"].append(o["references"][0]), "two references"),
    ("broken string", OVERVIEW, lambda o: o["attributes"].update(optionsJSON="{"), "cannot be parsed"),
    ("no string", OVERVIEW, lambda o: o["attributes"].update(optionsJSON={}), "is no JSON string"),
    ("panels overlap", OVERVIEW, _inside("panelsJSON", lambda p: p[2]["gridData"].update(x=0)), "overlap"),
    (
        "unknown key of a panel",
        OVERVIEW,
        _inside("panelsJSON", lambda p: p[1].update(extra=1)),
        "unknown keys extra",
    ),
    (
        "unmapped field",
        OVERVIEW,
        _inside("panelsJSON", lambda p: _layer(p)["columns"]["l0c0"].update(sourceField="assessment.mood")),
        "terms of assessment.mood, which is not mapped",
    ),
    (
        "text cannot be cut into terms",
        OVERVIEW,
        _inside("panelsJSON", lambda p: _layer(p)["columns"]["l0c0"].update(sourceField="post.text")),
        "which is text",
    ),
    (
        "keyword cannot be summed",
        ("dashboard", "yujing-spread"),
        _inside(
            "panelsJSON",
            lambda p: _layer(p, "engagement")["columns"]["l0m0"].update(sourceField="author.key"),
        ),
        "sum of author.key, which is keyword",
    ),
    (
        "column lost from the order",
        OVERVIEW,
        _inside("panelsJSON", lambda p: _layer(p)["columnOrder"].pop()),
        "columnOrder",
    ),
    (
        "ordered by nothing",
        OVERVIEW,
        _inside(
            "panelsJSON",
            lambda p: _layer(p)["columns"]["l0c0"]["params"]["orderBy"].update(columnId="l0m9"),
        ),
        "ordered by l0m9",
    ),
    (
        "chart of a column that is not there",
        OVERVIEW,
        _inside("panelsJSON", lambda p: _state(p)["visualization"]["layers"][0].update(accessors=["l9m9"])),
        "draws l9m9",
    ),
    (
        "formula on nothing",
        OVERVIEW,
        _inside("panelsJSON", lambda p: _layer(p, "share")["columns"]["l0m0"].update(references=["gone"])),
        "rests on gone",
    ),
    (
        "formula of an unmapped field",
        OVERVIEW,
        _inside(
            "panelsJSON",
            lambda p: _layer(p, "share")["columns"]["l0m0"]["params"].update(
                formula="count(kql='assessment.mood: \"bad\"') / count()"
            ),
        ),
        "asks for assessment.mood",
    ),
    (
        "filter on an unmapped field",
        OVERVIEW,
        _inside(
            "panelsJSON",
            lambda p: _layer(p, "negatives")["columns"]["l0m0"]["filter"].update(query="mood: 1"),
        ),
        "asks for mood",
    ),
    (
        "records counted by a field",
        OVERVIEW,
        _inside("panelsJSON", lambda p: _layer(p, "posts")["columns"]["l0m0"].update(sourceField="post.id")),
        "counts post.id",
    ),
    (
        "unknown operation",
        OVERVIEW,
        _inside("panelsJSON", lambda p: _layer(p)["columns"]["l0c0"].update(operationType="guess")),
        "unknown operation guess",
    ),
    (
        "control of a text",
        OVERVIEW,
        lambda o: o["attributes"]["controlGroupInput"].update(
            panelsJSON=o["attributes"]["controlGroupInput"]["panelsJSON"].replace('"brand.id"', '"post.text"')
        ),
        "offers post.text",
    ),
    (
        "column of a search",
        ("search", "yujing-today"),
        lambda o: o["attributes"]["columns"].append("post.mood"),
        "column post.mood",
    ),
    (
        "search sorted by text",
        ("search", "yujing-today"),
        lambda o: o["attributes"].update(sort=[["post.text", "desc"]]),
        "cannot be sorted by post.text",
    ),
    (
        "label of nothing",
        ("index-pattern", "yujing-posts"),
        _inside("fieldAttrs", lambda a: a.update({"post.mood": {"customLabel": "心情"}})),
        "post.mood is labelled or formatted, but not mapped",
    ),
    (
        "field without a label",
        ("index-pattern", "yujing-posts"),
        _inside("fieldAttrs", lambda a: a.pop("post.text")),
        "post.text is mapped, but has no label",
    ),
    (
        "time that is none",
        ("index-pattern", "yujing-posts"),
        lambda o: o["attributes"].update(timeFieldName="post.id"),
        "timeFieldName is no date",
    ),
]


@pytest.mark.parametrize(
    ("target", "change", "told"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_a_mistake_is_told(target: tuple[str, str], change: Callable, told: str) -> None:
    problems = _lint(_changed(*target, change))
    assert any(told in problem for problem in problems), problems


def test_a_taken_id_and_a_broken_line_are_told() -> None:
    problems = _lint([*LINES, LINES[0], "{"])
    assert any("the id is taken" in problem for problem in problems)
    assert any(re.search(r"line \d+: the line cannot be parsed", problem) for problem in problems)


def test_nested_and_unindexed_fields_cannot_be_asked() -> None:
    assert fields_of(
        {
            "a": {"type": "keyword", "fields": {"b": {"type": "text"}}},
            "c": {"properties": {"d": {"type": "date"}}},
            "e": {"type": "nested", "properties": {"f": {"type": "keyword"}}},
            "g": {"type": "keyword", "index": False},
            "h": {"type": "object", "enabled": False},
        }
    ) == {"a": "keyword", "a.b": "text", "c.d": "date"}
