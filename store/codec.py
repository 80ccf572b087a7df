"""Nouns to JSON and back, the one place that knows how.

A document is ``{"v": 1, …fields}``: enums as their values (levels as their names), times as ISO 8601 in UTC,
tuples as arrays, fields at their default left out. A field that this version does not know is ignored, one
that is missing takes its default; a greater ``v`` is refused. What no store can hold everywhere (NUL and lone
surrogates: PostgreSQL and Elasticsearch refuse them) is replaced by U+FFFD on the way in.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
import typing
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from domain.alert import Level
from domain.errors import RefusedError, StoreError

VERSION = 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NOUN = TypeVar("_NOUN")
_Convert = Callable[[Any], Any]


def clean(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def dumps(noun: object) -> str:
    """A dataclass as one line of JSON. Raises ``RefusedError`` for a value that JSON cannot hold."""
    return dumps_value(document(noun))


def document(noun: object) -> dict[str, Any]:
    """A dataclass as JSON values with the version, for a column that holds JSON."""
    return {"v": VERSION, **encode(noun)}


def loads(kind: type[_NOUN], text: str) -> _NOUN:
    """The dataclass that ``dumps`` wrote. Raises ``StoreError`` when it cannot be read."""
    try:
        return decode(kind, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"存储中的 {kind.__name__} 无法解读：{type(error).__name__} {error}") from error


def _kind(noun: object) -> Any:
    return type(noun)


def dumps_value(value: object) -> str:
    """JSON values as text that every store can hold. Raises ``RefusedError`` for what JSON cannot hold."""
    try:
        text = _ENCODER(value)
        return text if _storable(text) else _ENCODER(_cleaned(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise RefusedError(f"无法存成 JSON：{error}") from error


def encode(noun: object) -> dict[str, Any]:
    """A dataclass as JSON values, fields at their default left out."""
    result = {}
    for name, default, convert in _encoder(_kind(noun)):
        value = getattr(noun, name)
        if value != default:
            result[name] = convert(value) if convert else value
    return result


def decode(kind: type[_NOUN], document: dict[str, Any]) -> _NOUN:
    """The dataclass of JSON values. Raises ``StoreError`` for a document of a newer version."""
    if document.get("v", VERSION) > VERSION:
        raise StoreError(f"存储中的 {kind.__name__} 由更新的版本写成：请升级")
    known: Any = kind  # a class is hashable, whatever its instances are
    fields = _decoder(known)
    values = {}
    for name, value in document.items():
        if name in fields:
            convert = fields[name]
            values[name] = value if convert is None else convert(value)
    return kind(**values)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_MISSING = object()


def _storable(text: str) -> bool:
    """Cheap, and wrong at most towards cleaning what is clean (a text that spells out a NUL's escape)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in text


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key) if isinstance(key, str) else key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


@cache
def _encoder(kind: Any) -> tuple[tuple[str, Any, _Convert | None], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((field.name, _default(field), _writer(hints[field.name])) for field in _fields(kind))


@cache
def _decoder(kind: Any) -> dict[str, _Convert | None]:
    hints = typing.get_type_hints(kind)
    return {field.name: _reader(hints[field.name]) for field in _fields(kind)}


def _fields(kind: Any) -> tuple[dataclasses.Field[Any], ...]:
    if not dataclasses.is_dataclass(kind):
        raise StoreError(f"{kind.__name__} 不是可以存储的名词")
    return dataclasses.fields(kind)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return _MISSING


def _writer(hint: Any) -> _Convert | None:
    """How a value of a type becomes JSON; None when it is JSON already."""
    hint = _present(hint)
    origin = typing.get_origin(hint)
    if origin is tuple:
        return _each(_writer(typing.get_args(hint)[0]), list)
    if origin is dict:
        return _values(_writer(typing.get_args(hint)[1]))
    if hint is datetime:
        return _optional(_from_time)
    if hint is float:
        return _from_float
    if hint is Level:
        return _from_level
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _optional(_from_enum)
    return _optional(encode) if dataclasses.is_dataclass(hint) else None


def _reader(hint: Any) -> _Convert | None:
    """How JSON becomes a value of a type; None when it is one already."""
    hint = _present(hint)
    origin = typing.get_origin(hint)
    if origin is tuple:
        return _each(_reader(typing.get_args(hint)[0]), tuple)
    if origin is dict:
        return _values(_reader(typing.get_args(hint)[1]))
    if hint is datetime:
        return _optional(datetime.fromisoformat)
    if hint is float:
        return float
    if hint is Level:
        return Level.of
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _optional({member.value: member for member in hint}.__getitem__)
    return _optional(_nested(hint)) if dataclasses.is_dataclass(hint) else None


def _each(convert: _Convert | None, gather: _Convert) -> _Convert:
    return (lambda value: gather([convert(each) for each in value])) if convert else gather


def _values(convert: _Convert | None) -> _Convert | None:
    return (lambda value: {key: convert(each) for key, each in value.items()}) if convert else None


def _present(hint: Any) -> Any:
    """``X`` of ``X | None``."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def _nested(kind: Any) -> _Convert:
    return lambda value: decode(kind, value)


def _optional(convert: _Convert) -> _Convert:
    return lambda value: None if value is None else convert(value)


def _from_time(value: datetime) -> str:
    try:
        return value.astimezone(UTC).isoformat()
    except OverflowError as error:
        raise RefusedError(f"时间 {value.isoformat()} 超出可存储的范围") from error


def _from_float(value: float) -> float | str:
    # JSON has no infinity; float() reads the word back.
    return value if math.isfinite(value) else str(value)


def _from_level(value: Level) -> str:
    return value.id


def _from_enum(value: Enum) -> Any:
    return value.value
