"""Where a page of a search ended, as a text that means nothing to anybody else."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import Any

from domain.errors import UsageError

BAD_CURSOR = "翻页标记无效：请从第一页重新查询"


def cursor_of(*key: object) -> str:
    """The cursor of a key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def key_of(text: str, *kinds: type | tuple[type, ...]) -> list[Any]:
    """The key of a cursor. Raises ``UsageError`` for one that ``cursor_of`` cannot have made of such values."""
    try:
        key = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        if len(key) == len(kinds) and all(map(_is, key, kinds)):
            return list(key)
    except (ValueError, TypeError, binascii.Error, RecursionError, OverflowError):
        key = None
    raise UsageError(BAD_CURSOR)


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    # What no column holds is no key: neither infinity nor an integer of more than 64 bits.
    return not isinstance(value, int | float) or (math.isfinite(value) and -(1 << 63) <= value < 1 << 63)
