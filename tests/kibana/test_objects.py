"""What is generated: the committed file, the installation's own names, fixed colours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from deploy.kibana import shipped
from deploy.kibana.dashboards import dashboards
from deploy.kibana.lint import lint, mapped
from deploy.kibana.objects import ndjson, placed
from deploy.kibana.panels import Names
from deploy.kibana.words import COLOURS


def _objects(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["type"], each["id"]): each for each in map(json.loads, text.splitlines())}


def test_the_committed_file_is_what_the_generator_makes(own_names: Names) -> None:
    assert ndjson(own_names) == shipped().read_text("utf-8"), (
        "run: yujing kibana --out deploy/kibana/yujing.ndjson"
    )


def test_a_prefix_is_in_every_id_and_every_link(own_names: Names) -> None:
    text = ndjson(own_names, prefix="acme")
    assert all(id_.startswith("acme-") for _, id_ in _objects(text))
    assert "yujing-" not in text
    assert lint(text, posts=mapped(events=False), events=mapped(events=True)) == []


def test_own_brands_and_hostile_names_arrive_whole(own_names: Names) -> None:
    name = "云\"桥'</script>\n金融"
    text = ndjson(replace(own_names, brands={"own": name, **own_names.brands}))
    assert lint(text, posts=mapped(events=False), events=mapped(events=True)) == []
    view = _objects(text)["index-pattern", "yujing-posts"]
    entries = json.loads(view["attributes"]["fieldFormatMap"])["brand.id"]["params"]["lookupEntries"]
    assert entries[0] == {"key": "own", "value": name}


def test_no_brands_no_crash() -> None:
    text = ndjson(Names())
    assert len(_objects(text)) == 18


def test_every_dashboard_has_its_filters_and_its_posts(own_names: Names) -> None:
    found = _objects(ndjson(own_names))
    for dashboard in dashboards(own_names):
        saved = found["dashboard", f"yujing-{dashboard.id}"]["attributes"]
        controls = json.loads(saved["controlGroupInput"]["panelsJSON"]).values()
        controls = sorted(controls, key=lambda each: each["order"])
        assert [each["explicitInput"]["fieldName"] for each in controls] == list(dashboard.controls)
        panels = json.loads(saved["panelsJSON"])
        # The sources' records obey no filter for posts: they are a chart, and a search of their own.
        assert any(panel["type"] == "search" for panel in panels) or dashboard.id == "sources"
        for panel in panels:
            if panel["type"] == "lens":
                (event,) = panel["embeddableConfig"]["enhancements"]["dynamicActions"]["events"]
                assert event["action"]["factoryId"] == "OPEN_IN_DISCOVER_DRILLDOWN"


def test_events_among_posts_do_not_obey_filters_that_they_lack(own_names: Names) -> None:
    found = _objects(ndjson(own_names))
    for id_, wanted in (("overview", {False, True}), ("response", {False})):
        panels = json.loads(found["dashboard", f"yujing-{id_}"]["attributes"]["panelsJSON"])
        ignoring = {
            layer["ignoreGlobalFilters"]
            for panel in panels
            if panel["type"] == "lens"
            for layer in panel["embeddableConfig"]["attributes"]["state"]["datasourceStates"]["formBased"][
                "layers"
            ].values()
        }
        assert ignoring == wanted


def test_a_sentiment_looks_the_same_everywhere(own_names: Names) -> None:
    text = ndjson(own_names)
    for value, colour in COLOURS["sentiment"].items():
        for found in _mappings(text, value):
            assert found == colour
    assert list(_mappings(text, "negative"))


def _mappings(text: str, value: str) -> Any:
    for (type_, _), found in _objects(text).items():
        if type_ != "dashboard":
            continue
        for panel in json.loads(found["attributes"]["panelsJSON"]):
            visualization = (
                panel["embeddableConfig"].get("attributes", {}).get("state", {}).get("visualization", {})
            )
            for layer in visualization.get("layers", []):
                for assigned in layer.get("colorMapping", {}).get("assignments", []):
                    if assigned["rule"]["values"] == [value]:
                        yield assigned["color"]["colorCode"]


def test_panels_fill_rows_of_48_columns(own_names: Names) -> None:
    for dashboard in dashboards(own_names):
        rows: dict[int, int] = {}
        for _, place in placed(dashboard):
            rows[place["y"]] = rows.get(place["y"], 0) + place["w"]
        assert set(rows.values()) == {48}, dashboard.id
