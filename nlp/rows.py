"""``yujing analyze``: JSON Lines in, JSON Lines out, in the same order, whatever the rows hold."""

from __future__ import annotations

import json
import math
import os
import re
import select
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from nlp.analyzer import topic_judgements
from nlp.entities import EntityFinder
from nlp.judgement import Item, Judgement
from nlp.labels import SENTIMENTS
from nlp.runtime import Runtime
from nlp.terms import Terms

CHUNK = 512
"""Rows read at one time; what is in memory."""
PART = 128
"""Rows judged together. While the network reads one part, another is taken apart or written down."""
PARTS = 3
"""Parts on the way at one time."""
CHUNK_BYTES = 4_000_000
LONGEST_LINE = 64_000_000
"""Bytes of one line; a longer one is a bad row."""
PAUSE_S = 0.02
"""Seconds without a new line on a pipe after which the lines so far are judged."""
DEEPEST = 500
"""Brackets of a row within each other: what every thread's stack can read and write again."""
MOST_ENTITIES = 10_000
"""Companies that a row may name; each of them costs time, and ten times as many would cost seconds."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Strings, the last one closed or not: to look for its end again at every quote in it would take its square."""


class BadRow(ValueError):
    """A row that cannot be judged; ``id`` is echoed where it could be read."""

    def __init__(self, reason: str, id_: Any = None) -> None:
        super().__init__(reason)
        self.id = id_


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A good row."""

    id: Any
    item: Item
    given: bool
    """The row names its entities itself."""


class Pipe:
    """Lines of a pipe or terminal, and whether the next one is there. Owns nothing: the descriptor stays open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = bytearray()

    def readline(self, most: int) -> bytes:
        """The next line, or its first ``most`` bytes; b"" at the end."""
        seen = 0
        while (end := self._kept.find(b"\n", seen, most) + 1) == 0 and len(self._kept) < most:
            seen = len(self._kept)
            if not (more := os.read(self._descriptor, 1 << 16)):
                break
            self._kept += more
        line = bytes(self._kept[: end or most])
        del self._kept[: len(line)]
        return line

    def waits(self) -> bool:
        """Whether reading a line now would mean waiting for somebody to write it."""
        return b"\n" not in self._kept and not select.select([self._descriptor], [], [], PAUSE_S)[0]


def lines(stream: BinaryIO | Pipe, *, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """Lines of a stream; of a line beyond ``longest`` bytes only so much is kept, plus one byte that betrays it.

    Before a wait for the writer of a pipe comes b"": what was read so far should be answered first.
    """
    while True:
        if isinstance(stream, Pipe) and stream.waits():
            yield b""
        if not (line := stream.readline(longest + 1)):
            return
        if len(line) > longest and not line.endswith(b"\n"):
            while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                continue
        yield line


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} 不是 JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"数字 {text[:20]} 太大")
    return value


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:  # Python's own bound, against quadratic time
        raise ValueError(f"整数 {digits[:20]}… 太长") from error


def parse(line: bytes | str) -> Row:
    """One row. Raises ``BadRow`` with one clear sentence."""
    if len(line) > LONGEST_LINE:
        raise BadRow(f"这一行超过 {LONGEST_LINE // 1_000_000} MB")
    try:
        text = line.decode("utf-8-sig") if isinstance(line, bytes) else line.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadRow(f"不是 UTF-8:第 {error.start + 1} 个字节") from error
    if _depth(text) > DEEPEST:
        raise BadRow(f"JSON 嵌套超过 {DEEPEST} 层")
    try:
        row = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise BadRow(f"不是合法的 JSON:第 {error.pos + 1} 个字符起读不懂") from error
    except ValueError as error:
        raise BadRow(f"不是合法的 JSON:{error}") from error
    if not isinstance(row, dict):
        raise BadRow(f"应是 JSON 对象,得到 {_kind(row)}")
    return _row(row)


def _depth(text: str) -> int:
    """How many brackets stand within each other."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return 0
    depth = most = 0
    for char in _STRING.sub("", text):
        if char in "[{":
            depth += 1
            most = max(most, depth)
        elif char in "]}":
            depth -= 1
    return most


def _row(row: dict[str, Any]) -> Row:
    id_ = row.get("id")
    if "text" not in row:
        raise BadRow("缺 text", id_)
    if not isinstance(row["text"], str):
        raise BadRow(f"text 应是字符串,得到 {_kind(row['text'])}", id_)
    title = row.get("title")
    if title is not None and not isinstance(title, str):
        raise BadRow(f"title 应是字符串,得到 {_kind(title)}", id_)
    entities = row.get("entities")
    if entities is not None and not (
        isinstance(entities, list) and all(isinstance(e, str) for e in entities)
    ):
        raise BadRow("entities 应是字符串的列表", id_)
    if entities is not None and len(entities) > MOST_ENTITIES:
        raise BadRow(f"entities 有 {len(entities)} 个，最多 {MOST_ENTITIES} 个", id_)
    item = Item(text=row["text"], title=title or "", entities=tuple(entities or ()))
    return Row(id=id_, item=item, given=entities is not None)


def _kind(value: Any) -> str:
    names = {dict: "对象", list: "列表", str: "字符串", bool: "布尔值", int: "数字", float: "数字"}
    return names.get(type(value), "null")


def analyze_rows(
    rows: Iterable[bytes | str], *, runtime: Runtime, terms: Terms, finder: EntityFinder | None = None
) -> Iterator[dict[str, Any]]:
    """Judge rows in chunks. A bad row becomes ``{"id", "error"}`` and the run goes on; blank lines are skipped."""
    finder = finder or EntityFinder()

    def answers(part: list[bytes | str]) -> list[dict[str, Any]]:
        return list(_part(part, runtime, terms, finder))

    with ThreadPoolExecutor(PARTS, thread_name_prefix="rows") as pool:
        for chunk in _chunks(rows):
            parts = [chunk[start : start + PART] for start in range(0, len(chunk), PART)]
            for made in pool.map(answers, parts) if len(parts) > 1 else map(answers, parts):
                yield from made


def _chunks(rows: Iterable[bytes | str]) -> Iterator[list[bytes | str]]:
    chunk: list[bytes | str] = []
    size = 0
    for row in rows:
        if row and not row.isspace():
            chunk.append(row)
            size += len(row)
        if chunk and (not row or len(chunk) == CHUNK or size > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _part(
    part: list[bytes | str], runtime: Runtime, terms: Terms, finder: EntityFinder
) -> Iterator[dict[str, Any]]:
    parsed: list[Row | BadRow] = []
    for line in part:
        try:
            row = parse(line)
            parsed.append(row if row.given else _named(row, finder))
        except BadRow as bad:
            parsed.append(bad)
    good = [row for row in parsed if isinstance(row, Row)]
    judged = iter(_judge(good, runtime.judge))
    for one in parsed:
        answer: Judgement | BadRow = one if isinstance(one, BadRow) else next(judged)
        if isinstance(answer, BadRow):
            yield {"id": answer.id, "error": str(answer)}
        elif isinstance(one, Row):
            yield _answered(one, answer, runtime.name, terms)


def _named(row: Row, finder: EntityFinder) -> Row:
    """The row with the companies that its text names. Raises ``BadRow``."""
    item = row.item
    try:
        found = finder.find(f"{item.title}\n{item.text}")
    except Exception as error:
        raise _unjudged(row, error) from error
    return Row(
        id=row.id, item=Item(text=item.text, title=item.title, entities=tuple(found), found=True), given=False
    )


def _answered(row: Row, judged: Judgement, model: str, terms: Terms) -> dict[str, Any]:
    try:
        return answer_of(row, judged, model, terms)
    except Exception as error:
        return {"id": row.id, "error": str(_unjudged(row, error))}


def _unjudged(row: Row, error: Exception) -> BadRow:
    """Whatever is wrong with one row, the others are answered."""
    return BadRow(f"这一行无法研判({type(error).__name__})", row.id)


def _judge(rows: list[Row], judge: Callable[[list[Item]], list[Judgement]]) -> list[Judgement | BadRow]:
    """All at once; when that fails each alone, so that one row cannot take its neighbours down."""
    try:
        return list(judge([row.item for row in rows]))
    except Exception:
        answers: list[Judgement | BadRow] = []
        for row in rows:
            try:
                answers += judge([row.item])
            except Exception as error:
                answers.append(_unjudged(row, error))
        return answers


def answer_of(row: Row, judged: Judgement, model: str, terms: Terms) -> dict[str, Any]:
    """The output of one row, as the command-line contract says."""
    return {
        "id": row.id,
        "sentiment": judged.best,
        "probabilities": {name: round(p, 6) for name, p in zip(SENTIMENTS, judged.sentiment, strict=True)},
        "topics": [
            {"id": t.id, "stance": t.stance.value, "probability": round(t.probability, 6)}
            for t in topic_judgements(judged)
        ],
        "entities": [
            {"name": name, "sentiment": SENTIMENTS[int(np.argmax(p))], "probability": round(max(p), 6)}
            for name, p in zip(row.item.entities, judged.entities, strict=True)
        ],
        "ad": judged.is_ad,
        "ad_probability": round(judged.ad, 6),
        "keywords": list(terms.keywords(judged.read, row.item.entities)),
        "model": model,
    }


def dump(row: dict[str, Any]) -> bytes:
    """One output line, valid UTF-8; lone surrogates of the input come back as JSON escapes."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    if _SURROGATE.search(text):
        text = json.dumps(row, allow_nan=False)
    return text.encode() + b"\n"
