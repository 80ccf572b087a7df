"""Documents against the typed shapes: every fault noted, and what can be saved for the cross-checks."""

from __future__ import annotations

import copy
import json
import typing
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.document import Document, Key, Value
from config.messages import chinese, choices
from config.problems import near
from domain.plan import ROLES

Shape = TypeVar("Shape", bound=BaseModel)


def validate(document: Document, shape: type[Shape]) -> Shape | None:
    """The typed file; None, with its problems noted in the document, when it is not of that shape."""
    if document.value is None and document.problems:
        return None
    try:
        return _strictly(document.value, shape)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            _note(document, shape, found)
        return None


def salvage(value: Value, shape: type[Shape]) -> Shape | None:
    """The typed value without its faulty fields; None when what is left is too little.

    The cross-checks use it, so that one mistyped field does not hide another problem beside it.
    """
    value = copy.deepcopy(value)
    for _ in range(4):
        try:
            return _strictly(value, shape)
        except ValidationError as error:
            if not sum(_drop(value, found["loc"]) for found in error.errors(include_url=False)):
                return None
    return None


def entries(document: Document, key: str, shape: type[Shape]) -> dict[int, Shape]:
    """The items of a file's list that can be checked further, by their place in it."""
    found = {index: salvage(item, shape) for index, item in items(document, key).items()}
    return {index: model for index, model in found.items() if model is not None}


def written(document: Document, key: str, field: str) -> dict[int, str]:
    """One text field of every item of a file's list, whether or not the item is otherwise right."""
    found = {index: item.get(field) for index, item in items(document, key).items()}
    return {index: value for index, value in found.items() if isinstance(value, str)}


def items(document: Document, key: str) -> dict[int, dict[str, Value]]:
    """The items of a file's list that are mappings, by their place in it, right or not."""
    found = document.value.get(key) if isinstance(document.value, dict) else None
    if not isinstance(found, list):
        return {}
    return {index: item for index, item in enumerate(found) if isinstance(item, dict)}


def words(item: dict[str, Value], field: str) -> dict[int, str]:
    """The texts of a field that holds a list of them, by their place in it."""
    found = item.get(field)
    if not isinstance(found, list):
        return {}
    return {index: word for index, word in enumerate(found) if isinstance(word, str)}


def _strictly(value: Value, shape: type[Shape]) -> Shape:
    # JSON's strictness is what people expect of a file: a list may become a tuple, but
    # "5" does not become 5, nor true become 1.
    return shape.model_validate_json(json.dumps(value), strict=True)


def _drop(value: Value, path: Sequence[Key]) -> bool:
    """Remove the field at a path (the whole list, when it is an item of a list of words)."""
    holder: Value = value
    last: tuple[dict[str, Value], str] | None = None
    for part in path:
        if isinstance(holder, dict) and isinstance(part, str) and part in holder:
            last = (holder, part)
            holder = holder[part]
        elif isinstance(holder, list) and isinstance(part, int) and part < len(holder):
            holder = holder[part]
        else:
            return False
    if last is None:
        return False
    del last[0][last[1]]
    return True


def _note(document: Document, shape: type[BaseModel], error: ErrorDetails) -> None:
    path = tuple(error["loc"])
    given = error["input"]
    suggestion = ""
    if error["type"] == "extra_forbidden":
        suggestion = near(str(path[-1]), _fields(shape, path[:-1]))
    elif choices(error) and isinstance(given, str):
        suggestion = near(given, choices(error))
    elif error["type"] == "string_type" and isinstance(given, int | float):
        suggestion = json.dumps(str(given).lower())
    elif path[-1:] == ("role",) and isinstance(given, str):
        suggestion = near(given, ROLES)
    document.report(path, chinese(error), suggestion)


def _fields(shape: type[BaseModel], path: Sequence[Key]) -> list[str]:
    """Names of the fields of the model at a path."""
    for part in path:
        if isinstance(part, str) and part in shape.model_fields:
            inner = _model_in(shape.model_fields[part].annotation)
            if inner is None:
                return []
            shape = inner
    return list(shape.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model inside ``tuple[Model, ...]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        inner = _model_in(argument)
        if inner is not None:
            return inner
    return None
