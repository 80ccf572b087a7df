"""One YAML file as plain values, with the line of every key and value.

Read with PyYAML's safe parser and a narrower set of scalars than YAML 1.1, because people edit these
files: ``22:30``, ``2026-11-22``, ``yes`` and ``000001`` are text and not 1350, a date, a truth value
and 1. Size, nesting, aliases and the number of values are bounded before anything is built, so that
no file, however hostile, costs more than a moment.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from config.problems import Problem

MAX_BYTES = 512 * 1024
MAX_DEPTH = 16
MAX_VALUES = 50_000

Key = str | int
Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]

_Parser: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?")
_TRUTH = {"true": True, "True": True, "false": False, "False": False}
_NULL = ("", "~", "null", "Null")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))


class _Loader(_Parser):  # type: ignore[misc]
    """Resolves nothing by itself: plain scalars are read by ``_plain``."""

    yaml_implicit_resolvers: dict[str, list[object]] = {}  # noqa: RUF012 - PyYAML's own protocol


@dataclass(kw_only=True, slots=True)
class Document:
    """What a file holds, and where."""

    file: str
    value: Value = None
    lines: dict[tuple[Key, ...], int] = field(default_factory=dict)
    """Line of the key (or list item) at a path."""
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: tuple[Key, ...]) -> int:
        """Line of a path, or of the nearest thing that holds it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def report(self, path: tuple[Key, ...], message: str, suggestion: str = "") -> None:
        """Note a problem at a path."""
        self.problems.append(
            Problem(
                file=self.file,
                line=self.line(path),
                key=dotted(path),
                message=message,
                suggestion=suggestion,
            )
        )


def dotted(path: tuple[Key, ...]) -> str:
    """``("routes", 0, "level")`` as ``routes[0].level``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out[:200]


def read(path: Path) -> Document:
    """Read and parse a file; whatever is wrong with it is in ``problems``, nothing is raised."""
    document = Document(file=str(path))
    text = _text(path, document)
    if text is None:
        return document
    try:
        node = _compose(text, document)
    except yaml.MarkedYAMLError as error:
        _syntax(document, error)
        return document
    except yaml.YAMLError as error:
        document.problems.append(
            Problem(file=document.file, line=0, key="", message=f"不是有效的 YAML：{_one_line(str(error))}")
        )
        return document
    if node is None:
        if not document.problems:
            document.problems.append(Problem(file=document.file, line=0, key="", message="文件是空的"))
        return document
    _Builder(document).build(node)
    return document


def _text(path: Path, document: Document) -> str | None:
    message = ""
    try:
        if path.is_dir():
            message = "应该是文件，却是文件夹"
        elif not path.exists():
            message = "文件不存在"
        elif not path.is_file():
            message = "不是普通文件"
        else:
            with path.open("rb") as stream:
                raw = stream.read(MAX_BYTES + 1)
            if len(raw) <= MAX_BYTES:
                return raw.decode("utf-8-sig")
            message = f"文件太大，上限 {MAX_BYTES // 1024} KiB"
    except PermissionError:
        message = "没有读取权限"
    except UnicodeDecodeError as error:
        message = f"不是 UTF-8 编码（第 {error.start} 字节起）"
    except (OSError, ValueError) as error:
        message = f"读不了：{_one_line(str(error))}"
    document.problems.append(Problem(file=document.file, line=0, key="", message=message))
    return None


def _compose(text: str, document: Document) -> yaml.Node | None:
    """Parse into nodes, after a first pass over the flat events that bounds nesting and number."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_VALUES:
            what = f"嵌套超过 {MAX_DEPTH} 层" if depth > MAX_DEPTH else f"超过 {MAX_VALUES} 个值"
            mark = event.start_mark
            document.problems.append(
                Problem(file=document.file, line=mark.line + 1 if mark else 0, key="", message=what)
            )
            return None
    return yaml.compose(text, Loader=_Loader)


def _syntax(document: Document, error: yaml.MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    document.problems.append(
        Problem(
            file=document.file,
            line=mark.line + 1 if mark else 0,
            key="",
            message=f"YAML 语法错误：{_one_line(error.problem or error.context or '看不懂')}",
        )
    )


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text.replace("\n", " "))[:200]


class _TooMuch(Exception):
    """Aliases unfolded into more values than a file may hold."""


class _Builder:
    """Nodes to plain values; notes the line of everything on the way."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._left = MAX_VALUES

    def build(self, node: yaml.Node) -> None:
        try:
            self._document.value = self._value(node, ())
        except _TooMuch as error:
            self._document.value = None
            self._document.report((), str(error))

    def _value(self, node: yaml.Node, path: tuple[Key, ...]) -> Value:
        self._left -= 1
        if self._left < 0 or len(path) > MAX_DEPTH:
            raise _TooMuch("引用（*别名）展开后太大或成环")
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in _TAGS:
            self._document.report(path, f"不允许的标签 {_one_line(node.tag)}")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: tuple[Key, ...]) -> dict[str, Value]:
        out: dict[str, Value] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._document.report(path, "键必须是一个词")
                continue
            key = _one_line(key_node.value)
            here = (*path, key)
            line = key_node.start_mark.line + 1
            if key in out:
                first = self._document.lines[here]
                self._document.problems.append(
                    Problem(
                        file=self._document.file,
                        line=line,
                        key=dotted(here),
                        message=f"键重复，第 {first} 行已经写过",
                    )
                )
                continue
            self._document.lines[here] = line
            out[key] = self._value(value_node, here)
        return out

    def _scalar(self, node: yaml.ScalarNode, path: tuple[Key, ...]) -> Value:
        text: str = node.value
        if _CONTROL.search(text):
            self._document.report(path, "含有控制字符")
            return _CONTROL.sub("", text)
        return _plain(text) if not node.style and node.tag.endswith(":str") else text


def _plain(text: str) -> Value:
    """An unquoted scalar: null, truth, number, else text."""
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
