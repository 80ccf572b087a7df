"""Brands and topics as people name them on the command line: by id or by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from config.problems import near
from domain.errors import InputError


class Named(Protocol):
    """A brand or a topic of the configuration."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...


def id_of(given: str, named: Sequence[Named]) -> str:
    """The id of what goes by this id or name; what nothing goes by stays: a retired id still finds what it left."""
    return next((each.id for each in named if given in (each.id, each.name)), given)


def known(what: str, given: str, named: Sequence[Named]) -> str:
    """The id of what goes by this id or name; empty stays empty. Raises ``InputError`` when nothing does."""
    found = id_of(given, named)
    if found and found not in {each.id for each in named}:
        hint = near(given, [word for each in named for word in (each.id, each.name)])
        raise InputError(f"没有{what} {given}" + (f"（是不是想写 {hint}？）" if hint else ""))
    return found
