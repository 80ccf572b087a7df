"""The files that come with the program, and the page that explains them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from config.environment import VARIABLES, shipped
from config.files import BrandsFile, ClockEntry, PlanFile, RoutesFile, SourcesFile, TaskEntry, TopicsFile
from config.load import load
from config.settings import (
    Baselines,
    Brand,
    Detection,
    LevelThresholds,
    Limits,
    QuietHours,
    Route,
    Rules,
    Schedules,
    Source,
    Topic,
)
from domain.alert import Level
from domain.plan import ROLES, PlanTask

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"
TOPICS = [
    "withdrawal_difficulty",
    "absconding",
    "liquidity_crisis",
    "illegal_fundraising",
    "abusive_collection",
    "usury",
    "false_advertising",
    "data_breach",
    "service_outage",
    "fraud",
    "regulatory_action",
    "executive_misconduct",
    "layoffs_arrears",
    "customer_complaint",
    "product_licence",
    "compliance_breach",
    "rumor",
]
FILES = [path.relative_to(shipped()) for path in sorted(shipped().rglob("*.yaml"))]
SHAPES: dict[str, list[type[BaseModel]]] = {
    "brands.yaml": [BrandsFile, Brand, Limits],
    "sources.yaml": [SourcesFile, Source],
    "topics.yaml": [TopicsFile, Topic],
    "rules.yaml": [Rules, Baselines, Detection, LevelThresholds],
    "routes.yaml": [RoutesFile, Route, QuietHours],
    "service.yaml": [Schedules],
    "plans/*.yaml": [PlanFile, TaskEntry, ClockEntry],
}
"""Every model that a file is made of, by its heading in the documentation."""


@pytest.fixture(scope="module")
def settings():
    return load(shipped())


def keys_with_lines(node: yaml.Node, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], int]]:
    """Every key of a document by its path without list positions, with its 0-based line."""
    if isinstance(node, yaml.MappingNode):
        return [
            found
            for key, value in node.value
            for found in [
                ((*path, key.value), key.start_mark.line),
                *keys_with_lines(value, (*path, key.value)),
            ]
        ]
    if isinstance(node, yaml.SequenceNode):
        return [found for child in node.value for found in keys_with_lines(child, path)]
    return []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_field_has_a_chinese_comment_where_it_first_occurs(file: Path) -> None:
    text = (shipped() / file).read_text(encoding="utf-8")
    lines = text.splitlines()
    first: dict[tuple[str, ...], int] = {}
    for path, line in keys_with_lines(yaml.compose(text, Loader=yaml.SafeLoader)):
        first.setdefault(path, line)
    bare = [
        ".".join(path)
        for path, line in first.items()
        if not re.match(r"\s*#.*[\u4e00-\u9fff]", lines[line - 1])
        and not re.search(r"\s#.*[\u4e00-\u9fff]", lines[line])
    ]
    assert bare == []


@pytest.mark.parametrize("file", ["brands.yaml", "sources.yaml", "routes.yaml", "plans/data_breach.yaml"])
def test_every_field_that_exists_is_shown_in_the_shipped_file(file: str) -> None:
    """People copy what they see: a field that no example uses would stay unknown."""
    text = (shipped() / file).read_text(encoding="utf-8")
    heading = "plans/*.yaml" if file.startswith("plans") else file
    missing = [
        f"{shape.__name__}.{field}"
        for shape in SHAPES[heading]
        for field in shape.model_fields
        if not re.search(rf"^\s*(- )?{field}:", text, re.M)
    ]
    assert missing == []


def test_the_topics_are_the_agreed_ones_each_with_its_plan(settings) -> None:
    assert [topic.id for topic in settings.topics] == TOPICS
    assert set(settings.plans) == {topic.plan for topic in settings.topics}
    assert settings.plans["withdrawal_difficulty"].level == Level.RED


def test_real_sites_are_opt_in(settings) -> None:
    assert [source.id for source in settings.sources if source.enabled] == []


def test_own_brand_alerts_and_competitors_do_not(settings) -> None:
    assert [brand.name for brand in settings.brands if brand.alerts] == ["云桥金融"]
    assert len(settings.brands) > 3
    assert settings.brands[0].limits is not None
    assert all(value is not None for value in settings.brands[0].limits.model_dump().values())


@pytest.mark.parametrize("topic", TOPICS)
def test_plan_follows_the_clock_of_a_crisis(settings, topic: str) -> None:
    """T+5 acknowledge, 15 verify, 30 level, 60 statement, 4 h facts, 24 h remedy, 72 h proof, review."""
    plan = settings.plans[settings.topic(topic).plan]
    due = {task.id: task.due_min for task in plan.tasks}
    clock = ["acknowledge", "verify-posts", "declare-level", "holding-statement", "user-notice"]
    clock += ["first-facts", "cause-remedy", "proof-of-remedy", "review"]
    assert [due[id_] for id_ in clock] == [5, 15, 30, 60, 120, 240, 1440, 4320, 14400]
    assert list(due.values()) == sorted(due.values())
    assert {task.role for task in plan.tasks} <= set(ROLES)
    assert len({task.role for task in plan.tasks}) >= 7
    own = [task for task in plan.tasks if task.id not in COMMON]
    assert len(own) >= 5, "a plan is more than the common clock"
    assert all(task.detail for task in plan.tasks)


COMMON = {
    "acknowledge",
    "start-log",
    "verify-posts",
    "internal-facts",
    "declare-level",
    "freeze-marketing",
    "regulator-call",
    "holding-statement",
    "service-script",
    "written-report",
    "user-notice",
    "media-calls",
    "rumor-list",
    "first-facts",
    "cause-remedy",
    "proof-of-remedy",
    "review",
}


@pytest.mark.parametrize("topic", TOPICS)
def test_higher_levels_have_more_to_do(settings, topic: str) -> None:
    plan = settings.plans[settings.topic(topic).plan]

    def at(level: Level) -> set[PlanTask]:
        return {task for task in plan.tasks if task.from_level <= level}

    for lower, higher in pairwise((Level.YELLOW, Level.ORANGE)):
        assert at(lower) < at(higher)
    assert at(Level.BLUE), "a yellow incident starts with something"


@pytest.mark.parametrize("topic", TOPICS)
def test_holding_statement_gives_no_cause_guess_or_blame(settings, topic: str) -> None:
    statement = settings.plans[settings.topic(topic).plan].statement
    for needed in ("{company}", "{time}", "{facts}", "{actions}", "{advice}", "{contact}", "{next_update}"):
        assert needed in statement
    for word in [
        "因为",
        "由于",
        "原因",
        "可能",
        "或许",
        "估计",
        "造谣",
        "恶意",
        "个别",
        "竞争对手",
        "追究",
        "保证",
        "绝对",
        "绝不",
        "谣言",
    ]:
        assert word not in statement


def test_legal_clocks_have_a_source_and_await_counsel(settings) -> None:
    clocks = [clock for plan in settings.plans.values() for clock in plan.clocks]
    assert len(clocks) > 15
    assert all(clock.source for clock in clocks)
    assert {clock.standing for clock in clocks} == {"未核实，待法务确认"}, "nobody looked into the law"


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize(
    ("level", "proposed"), [(Level.BLUE, False), (Level.YELLOW, True), (Level.RED, True)]
)
def test_any_incident_is_proposed_its_plan(settings, topic: str, level: Level, proposed: bool) -> None:
    plan = settings.plan_for(topic, level)
    assert (plan is not None) == proposed
    assert plan is None or plan.id == topic
    assert settings.plan_for("unheard-of", level) is None


def section(heading: str) -> str:
    """The text under a second-level heading of the documentation."""
    return DOCS.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]


@pytest.mark.parametrize("heading", SHAPES)
def test_documentation_lists_every_field_and_no_other(heading: str) -> None:
    fields = {field for shape in SHAPES[heading] for field in shape.model_fields}
    text = section(heading)
    documented = set()
    for row in re.findall(r"^\| (`[^|]+`) \|", text, re.M):
        documented |= set(re.findall(r"`([^`]+)`", row))
    documented |= set(re.findall(r"^`(\w+)`(?: \(|:)", text, re.M))
    documented |= set(re.findall(r"^`(\w+)` are", text, re.M))
    assert fields == documented


def test_documentation_lists_every_variable() -> None:
    assert set(VARIABLES) == set(re.findall(r"^\| `(YUJING_\w+)` \|", section("Environment"), re.M))


@pytest.mark.parametrize("topic", TOPICS)
def test_strategy_says_whose_responsibility_it_is(settings, topic: str) -> None:
    strategy = settings.plans[settings.topic(topic).plan].strategy
    assert any(word in strategy for word in ("无辜受害", "过失", "可以避免"))
