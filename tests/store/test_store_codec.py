"""Nouns survive the way to JSON and back."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.alert import Alert
from domain.assessment import Assessment
from domain.errors import StoreError
from domain.incident import Incident, TimelineEvent
from domain.plan import Plan, TaskRun
from domain.post import Post
from domain.signal import Signal
from domain.source_run import SourceRun
from store.codec import clean, document, dumps, dumps_value, loads

LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    int: st.integers(0, 10**20),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    object: st.one_of(st.none(), st.booleans(), st.integers(), st.text("甲a", max_size=3)),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return st.lists(values(parts[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values(str), values(parts[1]), max_size=3)
    if type(None) in parts:
        return st.none() | values(parts[0])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    return nouns(hint) if dataclasses.is_dataclass(hint) else LEAVES[hint]


def nouns(kind: Any) -> st.SearchStrategy[Any]:
    """Any noun of a kind; each field at its default now and then."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: values(hints[field.name]) for field in dataclasses.fields(kind)}
    optional = {
        field.name
        for field in dataclasses.fields(kind)
        if dataclasses.MISSING is not field.default or dataclasses.MISSING is not field.default_factory
    }
    return st.fixed_dictionaries(
        {name: strategy for name, strategy in fields.items() if name not in optional},
        optional={name: strategy for name, strategy in fields.items() if name in optional},
    ).map(lambda chosen: kind(**chosen))


NOUNS = (Post, Assessment, Alert, Signal, Incident, TimelineEvent, TaskRun, SourceRun, Plan)


@pytest.mark.parametrize("kind", NOUNS)
@settings(max_examples=25, deadline=None, database=None)
@given(data=st.data())
def test_a_noun_comes_back_equal(kind: type, data: st.DataObject) -> None:
    noun = data.draw(nouns(kind))
    text = dumps(noun)
    assert loads(kind, text) == noun
    assert json.loads(text)["v"] == 1


@settings(max_examples=50, deadline=None, database=None)
@given(text=st.text(st.characters(categories=["Cs", "Cc", "L"], include_characters='\\u0"')))
def test_what_is_written_is_plain_unicode(text: str) -> None:
    written = dumps_value({text: [text, {"x": (text,)}]})
    assert json.loads(written.encode()) == {clean(text): [clean(text), {"x": [clean(text)]}]}
    assert not any(0xD800 <= ord(character) <= 0xDFFF or character == "\0" for character in clean(text))
    assert len(clean(text)) == len(text)


def test_a_number_without_end_comes_back(alert) -> None:
    noun = alert(score=math.inf, numbers={"tail": -math.inf, "share": math.nan})
    back = loads(Alert, dumps(noun))
    assert (back.score, back.numbers["tail"]) == (math.inf, -math.inf)
    assert math.isnan(back.numbers["share"])


def test_a_newer_document_is_refused_and_an_unknown_field_ignored(post) -> None:
    newer = document(post()) | {"v": 2}
    with pytest.raises(StoreError, match="升级"):
        loads(Post, json.dumps(newer))
    assert loads(Post, json.dumps(document(post()) | {"mood": 1})) == post()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"id": "x"}', '{"published_at": "yesterday"}', "[" * 99999]
)
def test_what_cannot_be_read_is_a_store_error(text: str) -> None:
    with pytest.raises(StoreError):
        loads(Post, text)


@pytest.mark.parametrize("value", [{"x": math.nan}, {"x": object()}, {"x": {1, 2}}])
def test_what_json_cannot_hold_is_a_store_error(value: object) -> None:
    with pytest.raises(StoreError):
        dumps_value(value)
