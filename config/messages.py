"""pydantic's findings in the words of the people who edit the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

_TYPES = {
    "string_type": "需要文本（数字样子的文本请加引号）",
    "int_type": "需要整数",
    "int_parsing": "需要整数",
    "int_from_float": "需要整数",
    "float_type": "需要数字",
    "float_parsing": "需要数字",
    "finite_number": "需要有限的数字",
    "bool_type": "需要 true 或 false",
    "bool_parsing": "需要 true 或 false",
    "tuple_type": "需要列表（用 [ ] 或每行一个 - ）",
    "list_type": "需要列表（用 [ ] 或每行一个 - ）",
    "model_type": "需要一组“键: 值”",
    "model_attributes_type": "需要一组“键: 值”",
    "dict_type": "需要一组“键: 值”",
    "missing": "缺少必填项",
    "extra_forbidden": "不认识的键",
}
_BOUNDS = {
    "greater_than": ("gt", "必须大于 {}"),
    "greater_than_equal": ("ge", "不能小于 {}"),
    "less_than": ("lt", "必须小于 {}"),
    "less_than_equal": ("le", "不能大于 {}"),
    "multiple_of": ("multiple_of", "必须是 {} 的倍数"),
}
_PATTERNS = {
    r"^[a-z0-9][a-z0-9_\-]{0,63}$": "只能用小写字母、数字、下划线和连字符，以字母或数字开头，最多 64 个字符",
    r"^([01]\d|2[0-3]):[0-5]\d$": "需要 HH:MM 形式的时刻，例如 22:30",
}
_VALUES = {
    "must be an http:// or https:// address": "需要 http:// 或 https:// 开头的网址",
    "must hold no user and no password": "网址里不能有用户名和密码：抓取时不会用它们登录",
    "unknown role": "不认识的角色",
}


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    name, template = _BOUNDS[kind]
    value = context.get(name)
    return template.format(f"{value:g}" if isinstance(value, float) else value)


def _value(context: Mapping[str, Any], message: str) -> str:
    text = str(context.get("error", message))
    if "isoformat" in text or "day is out of range" in text or "month must be" in text:
        return "需要日期，例如 2026-11-22"
    return _VALUES.get(text, text)


_DETAILED: dict[str, Callable[[Mapping[str, Any], str], str]] = {
    "string_too_short": lambda _context, _: "不能为空",
    "string_too_long": lambda context, _: f"太长，最多 {context.get('max_length')} 个字符",
    "too_short": lambda context, _: f"至少要有 {context.get('min_length')} 项",
    "too_long": lambda context, _: f"最多 {context.get('max_length')} 项",
    "literal_error": lambda context, _: "只能是 " + str(context.get("expected", "")).replace(" or ", "、"),
    "enum": lambda context, _: "只能是 " + str(context.get("expected", "")).replace(" or ", "、"),
    "string_pattern_mismatch": lambda context, _: _PATTERNS.get(
        str(context.get("pattern")), f"不符合 {context.get('pattern')}"
    ),
    "value_error": _value,
}


def chinese(error: ErrorDetails) -> str:
    """One clause for one finding; pydantic's own words when the kind is new to us."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in _BOUNDS:
        return _bound(kind, context)
    if kind in _DETAILED:
        return _DETAILED[kind](context, error["msg"])
    return error["msg"]


def choices(error: ErrorDetails) -> list[str]:
    """The values that a field takes, where it takes only some."""
    if error["type"] not in ("literal_error", "enum"):
        return []
    expected = str(error.get("ctx", {}).get("expected", ""))
    return [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]
