"""What a dashboard shows, said once: Lens JSON, replayed questions and previews are all made from this.

A layer is one question: which documents, cut into which buckets, measured how. A chart draws the answers of
one or more layers. Nothing here knows Kibana's format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One thing that a document must have."""

    field: str
    any_of: tuple[str, ...] = ()
    """Values, one of which it has; empty (and no ``at_least``): it has any value."""
    at_least: float | None = None

    def kql(self) -> str:
        """As Kibana's query language; the values are our own words, never somebody's text."""
        if self.at_least is not None:
            return f"{self.field} >= {self.at_least:g}"
        if not self.any_of:
            return f"{self.field}: *"
        values = " or ".join(f'"{value}"' for value in self.any_of)
        return f"{self.field}: {values}" if len(self.any_of) == 1 else f"{self.field}: ({values})"

    def query(self) -> dict[str, object]:
        """As Elasticsearch's, the same documents."""
        if self.at_least is not None:
            return {"range": {self.field: {"gte": self.at_least}}}
        if not self.any_of:
            return {"exists": {"field": self.field}}
        return {"terms": {self.field: list(self.any_of)}}


Where = tuple[Condition, ...]
"""All of these; empty: every document."""


def one_of(name: str, *values: str) -> Condition:
    """The field has one of the values."""
    return Condition(field=name, any_of=values)


def present(name: str) -> Condition:
    """The field has a value."""
    return Condition(field=name)


def at_least(name: str, value: float) -> Condition:
    """The field is a number of at least ``value``."""
    return Condition(field=name, at_least=value)


def kql(where: Where) -> str:
    """All conditions as Kibana's query language; empty for none."""
    return " and ".join(condition.kql() for condition in where)


def query(where: Where) -> dict[str, object]:
    """All conditions as a query of Elasticsearch."""
    return {"bool": {"filter": [condition.query() for condition in where]}}


class Operation(StrEnum):
    """How documents become a number (or, for ``LAST``, a value)."""

    COUNT = "count"
    SHARE = "share"
    """Documents that match, divided by those that match ``whole``."""
    UNIQUE = "unique_count"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    PERCENTILE = "percentile"
    LAST = "last_value"
    """Of the newest document."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One number of each bucket."""

    label: str
    operation: Operation = Operation.COUNT
    field: str = ""
    """Empty for ``COUNT`` and ``SHARE``."""
    where: Where = ()
    whole: Where = ()
    percentile: int = 0
    shift: str = ""
    """Empty, or ``1w``: of the same span a week earlier."""
    colour: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Time:
    """Buckets of time in Asia/Shanghai."""

    every: str = "1d"
    """``1d`` or ``1h``."""
    field: str = "@timestamp"


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """A bucket for each of the most frequent values."""

    field: str
    size: int = 10
    by: int | str = 0
    """Number of the measure that orders them; ``significance``: those that stand out from the whole store."""
    ascending: bool = False
    label: str = ""
    """Empty: the field's own."""


Bucket = Time | Terms


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One question."""

    measures: tuple[Measure, ...]
    buckets: tuple[Bucket, ...] = ()
    """Outermost first."""
    where: Where = ()
    events: bool = False
    """Asks the events index, past the dashboard's filters for posts; else the posts."""
    shape: str = ""
    """For this layer alone, when it is drawn otherwise than the chart: ``line``."""


class Chart(StrEnum):
    """How answers are drawn."""

    METRIC = "metric"
    """One number; a second measure stands below it for comparison."""
    BARS = "bar_stacked"
    LINE = "line"
    ACROSS = "bar_horizontal"
    ACROSS_STACKED = "bar_horizontal_stacked"
    DONUT = "donut"
    TREEMAP = "treemap"
    TABLE = "table"
    CLOUD = "cloud"
    HEAT = "heat"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One chart."""

    id: str
    """Unique in its dashboard; its references are named after it."""
    title: str
    chart: Chart
    layers: tuple[Layer, ...]
    width: int
    """Of 48 columns."""
    height: int
    """In rows of 20 px."""
    note: str = ""
    """What a reader must know, shown under the title's (i)."""
    colours: str = ""
    """Name of the fixed colours of its series in ``words.COLOURS``."""
    days: int = 0
    """So many days up to now, whatever the dashboard shows: what is open may be old. 0: the dashboard's."""


def panel(
    chart: Chart,
    id_: str,
    title: str,
    size: tuple[int, int],
    *layers: Layer,
    note: str = "",
    colours: str = "",
    days: int = 0,
) -> Panel:
    """A panel on few lines; ``size`` is (columns, rows)."""
    width, height = size
    return Panel(
        id=id_,
        title=title,
        chart=chart,
        layers=layers,
        width=width,
        height=height,
        note=note,
        colours=colours,
        days=days,
    )


def asked(
    *buckets: Bucket, of: tuple[Measure, ...], where: Where = (), events: bool = False, shape: str = ""
) -> Layer:
    """A layer on few lines: buckets from the outermost in, and what is measured."""
    return Layer(buckets=buckets, measures=of, where=where, events=events, shape=shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Posts:
    """A saved search below the charts: the documents behind the numbers."""

    id: str
    search: str
    """Id of the search."""
    height: int
    width: int = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class Dashboard:
    """One dashboard; panels flow from left to right and wrap at 48 columns."""

    id: str
    title: str
    question: str
    """What it answers, one line; stands at its head."""
    panels: tuple[Panel | Posts, ...]
    days: int = 7
    controls: tuple[str, ...] = ("brand.id", "post.platform", "assessment.sentiment", "topic.id")
    """Fields that a reader filters by."""
    events: bool = False
    """The controls and panels are about events, not posts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """A saved search."""

    id: str
    title: str
    purpose: str
    columns: tuple[str, ...]
    sort: str = "@timestamp"
    """Field, highest first."""
    where: Where = ()
    events: bool = False
    since: str = "now-7d/d"
    """Start of its own time range, in Kibana's date mathematics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What this installation calls its brands, topics, sources and platforms: id → name, in order."""

    brands: dict[str, str] = field(default_factory=dict)
    topics: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    platforms: dict[str, str] = field(default_factory=dict)
