"""The dashboards' questions, asked of Elasticsearch as Kibana would ask them.

A shifted measure is asked in the same request, over both spans, as Lens does: buckets hold the documents of
both, a filter for each span inside tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.kibana.objects import view_id
from deploy.kibana.panels import Bucket, Layer, Measure, Operation, Panel, Search, Time, query

Json = dict[str, Any]
Ask = Callable[[str, Json], Json]
"""(index, body of a search) → Elasticsearch's answer."""

WEEK = timedelta(weeks=1)
ZONE = timedelta(hours=8)
"""Asia/Shanghai, which knows no summer time."""
STEPS = {"1d": timedelta(days=1), "1h": timedelta(hours=1)}
_METRICS = {
    Operation.UNIQUE: "cardinality",
    Operation.SUM: "sum",
    Operation.MIN: "min",
    Operation.MAX: "max",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The answer to one layer: keys of the buckets, then the measures, a row each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    """Times are aware UTC; a last value is a list; what has no value is None."""


def replay(panel: Panel, ask: Ask, *, since: datetime, until: datetime, prefix: str) -> list[Table]:
    """The tables that the panel draws, one a layer, for [since, until) or for the days of its own."""
    if panel.days:
        since = until - timedelta(days=panel.days)
    tables = []
    for layer in panel.layers:
        answer = ask(view_id(prefix, events=layer.events), body(layer, since=since, until=until))
        tables.append(read(layer, answer, since=since, until=until))
    return tables


def body(layer: Layer, *, since: datetime, until: datetime) -> Json:
    """The search that answers a layer."""
    spans = _spans(layer, since, until)
    aggregations: Json = {
        name: {"filter": span, "aggs": _measures(layer, shifted=name == "before")}
        for name, span in spans.items()
    }
    for bucket in reversed(layer.buckets):
        aggregations = {
            "bucket": _bucket(bucket, layer) | {"aggs": aggregations | _order(bucket, layer, spans)}
        }
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {
            "bool": {
                "filter": [query(layer.where), {"bool": {"should": list(spans.values())}}],
            }
        },
        "aggs": aggregations,
    }


def _spans(layer: Layer, since: datetime, until: datetime) -> dict[str, Json]:
    spans = {"now": _span(since, until)}
    if any(measure.shift for measure in layer.measures):
        spans["before"] = _span(since - WEEK, until - WEEK)
    return spans


def _span(since: datetime, until: datetime) -> Json:
    return {"range": {"@timestamp": {"gte": since.isoformat(), "lt": until.isoformat()}}}


def _bucket(bucket: Bucket, layer: Layer) -> Json:
    if isinstance(bucket, Time):
        return {
            "date_histogram": {
                "field": bucket.field,
                "calendar_interval": bucket.every,
                "time_zone": "Asia/Shanghai",
                "min_doc_count": 1,
            }
        }
    if bucket.by == "significance":
        return {"significant_terms": {"field": bucket.field, "size": bucket.size, "shard_size": 1000}}
    measure = layer.measures[int(bucket.by)]
    plain = measure.operation is Operation.COUNT and not measure.where
    # Ties are broken by the key, here and in Kibana.
    order = [{"order" if plain else "order>by": "asc" if bucket.ascending else "desc"}, {"_key": "asc"}]
    return {"terms": {"field": bucket.field, "size": bucket.size, "order": order, "shard_size": 1000}}


def _order(bucket: Bucket, layer: Layer, spans: Json) -> Json:
    """What terms are ordered by stands beside what is inside them."""
    if isinstance(bucket, Time) or bucket.by == "significance":
        return {}
    return {"order": {"filter": spans["now"], "aggs": _measure("by", layer.measures[int(bucket.by)])}}


def _measures(layer: Layer, *, shifted: bool) -> Json:
    made: Json = {}
    for number, measure in enumerate(layer.measures):
        if bool(measure.shift) is shifted:
            made |= _measure(f"m{number}", measure)
    return made


def _measure(name: str, measure: Measure) -> Json:
    if measure.operation is Operation.SHARE:
        return {
            f"{name}part": {"filter": query(measure.where + measure.whole)},
            f"{name}whole": {"filter": query(measure.whole)},
        }
    if measure.operation is Operation.COUNT:
        return {name: {"filter": query(measure.where)}} if measure.where else {}
    metric = _metric(measure)
    if measure.where:
        return {name: {"filter": query(measure.where), "aggs": {"inner": metric}}}
    return {name: metric}


def _metric(measure: Measure) -> Json:
    if measure.operation in (Operation.MEDIAN, Operation.PERCENTILE):
        percent = 50 if measure.operation is Operation.MEDIAN else measure.percentile
        return {"percentiles": {"field": measure.field, "percents": [percent]}}
    if measure.operation is Operation.LAST:
        return {
            "top_hits": {
                "size": 1,
                "sort": [{"@timestamp": "desc"}],
                "fields": [measure.field],
                "_source": False,
            }
        }
    return {_METRICS[measure.operation]: {"field": measure.field}}


def read(layer: Layer, answer: Json, *, since: datetime, until: datetime) -> Table:
    """An answer as rows; an empty bucket of time is a row of its own."""
    found = dict(_walk(layer, layer.buckets, answer["aggregations"], ()))
    rows = []
    for key in _keys(layer, found, since, until):
        row = [
            found.get(_earlier(layer, key) if measure.shift else key, {}).get(number, _nothing(measure))
            for number, measure in enumerate(layer.measures)
        ]
        rows.append((*key, *row))
    columns = [*(bucket.field for bucket in layer.buckets), *(measure.label for measure in layer.measures)]
    return Table(columns=tuple(columns), rows=tuple(rows))


Key = tuple[Any, ...]


def _walk(
    layer: Layer, buckets: tuple[Bucket, ...], at: Json, key: Key
) -> Iterator[tuple[Key, dict[int, Any]]]:
    if not buckets:
        yield key, _values(layer, at)
        return
    for found in at["bucket"]["buckets"]:
        value = found["key"]
        if isinstance(buckets[0], Time):
            value = datetime.fromtimestamp(value / 1000, UTC)
        yield from _walk(layer, buckets[1:], found, (*key, value))


def _values(layer: Layer, at: Json) -> dict[int, Any]:
    return {
        number: _value(f"m{number}", measure, at["before" if measure.shift else "now"])
        for number, measure in enumerate(layer.measures)
    }


def _value(name: str, measure: Measure, span: Json) -> Any:
    if measure.operation is Operation.SHARE:
        whole = span[f"{name}whole"]["doc_count"]
        return span[f"{name}part"]["doc_count"] / whole if whole else None
    if measure.operation is Operation.COUNT:
        return span[name]["doc_count"] if measure.where else span["doc_count"]
    got = span[name]["inner"] if measure.where else span[name]
    if "values" in got:
        return next(iter(got["values"].values()))
    if "hits" in got:
        hits = got["hits"]["hits"]
        return hits[0].get("fields", {}).get(measure.field) if hits else None
    value = got["value"]
    if value is not None and measure.field == "@timestamp":
        return datetime.fromtimestamp(value / 1000, UTC)
    return value


def _keys(layer: Layer, found: dict[Key, Any], since: datetime, until: datetime) -> Iterator[Key]:
    """The rows of a table in order: terms as they came, every step of time."""
    innermost = layer.buckets[-1] if layer.buckets else None
    if not isinstance(innermost, Time):
        yield from found
        return
    step = STEPS[innermost.every]
    first = since - (since + ZONE - datetime.min.replace(tzinfo=UTC)) % step
    for outer in dict.fromkeys(key[:-1] for key in found) or ([()] if len(layer.buckets) == 1 else []):
        at = first
        while at < until:
            yield (*outer, at)
            at += step


def _earlier(layer: Layer, key: Key) -> Key:
    return tuple(
        part - WEEK if isinstance(bucket, Time) else part
        for bucket, part in zip(layer.buckets, key, strict=True)
    )


def _nothing(measure: Measure) -> Any:
    return 0 if measure.operation is Operation.COUNT else None


def found(
    search: Search, ask: Ask, *, since: datetime, until: datetime, prefix: str, limit: int
) -> list[Json]:
    """The first documents of a saved search: field → values."""
    answer = ask(
        view_id(prefix, events=search.events),
        {
            "size": limit,
            "query": {"bool": {"filter": [query(search.where), _span(since, until)]}},
            "sort": [{search.sort: "desc"}, {"@timestamp": "desc"}],
            "fields": ["@timestamp", *search.columns],
            "_source": False,
        },
    )
    return [hit.get("fields", {}) for hit in answer["hits"]["hits"]]
