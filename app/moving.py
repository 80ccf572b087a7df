"""Posts copied from one store to another (``yujing migrate posts``): resumable, and compared one by one at the end.

Both stores are walked side by side by post id; what the target lacks or holds otherwise is written. A pass that
wrote nothing is the proof that both hold the same, so a kill, a full disk or a target that lost something needs no
care of its own: the next pass puts it right. Only where the first pass was is remembered, to save its time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from app.whole_files import write_whole
from domain.errors import StoreError
from store.codec import dumps_value, encode
from store.posts import Posts, Record

BATCH = 500
"""Posts read or written at once."""
REMEMBERED = 10_000
"""Written posts that a repeated pass remembers."""
PASSES = 4
"""Full passes at most: a service that goes on writing would keep us busy without end."""


class Say(Protocol):
    """How far a pass is."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What is remembered of a migration, in a file of the home."""

    source: str
    target: str
    """Addresses without secrets."""
    after: str = ""
    """The first pass is through up to this post id, or nearly."""


class Notebook:
    """Keeps the progress of migrations, a file for each way."""

    def __init__(self, folder: Path, *, source: str, target: str) -> None:
        key = hashlib.sha256(f"posts\n{source}\n{target}".encode()).hexdigest()[:16]
        self._path = folder / f"posts-{key}.json"
        self._fresh = Progress(source=source, target=target)

    def read(self) -> Progress | None:
        """None when nothing was moved this way before. Raises ``StoreError`` for a file that is not ours."""
        try:
            read = json.loads(self._path.read_text("utf-8"))
            return replace(self._fresh, after=str(read["after"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"迁移进度 {self._path} 读不了：删掉它，清空目标，再运行一次") from error

    def write(self, after: str) -> None:
        """Remember. Raises ``StoreError`` when the disk refuses."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(
                self._path, json.dumps(asdict(replace(self._fresh, after=after)), ensure_ascii=False) + "\n"
            )
        except OSError as error:
            raise StoreError(
                f"写不了迁移进度 {self._path}（{error.strerror or error}）：腾出空间后再运行一次即继续",
                permanent=False,
            ) from error


@dataclass(kw_only=True)
class Pass:
    """What one walk over both stores saw."""

    posts: int = 0
    """In the source."""
    missing: int = 0
    """Not in the target before."""
    different: int = 0
    """In the target otherwise."""
    extra: int = 0
    """In the target alone."""
    examples: list[str] = field(default_factory=list)
    """Ids of some that differ in any of these ways."""
    written: dict[str, bytes] = field(default_factory=dict)
    """Digests of the first of what a repeated pass wrote, by post id."""
    _source: Any = field(default_factory=hashlib.sha256)
    _target: Any = field(default_factory=hashlib.sha256)

    @property
    def same(self) -> bool:
        """Both stores hold the same."""
        return not (self.missing or self.different or self.extra)

    @property
    def digests(self) -> tuple[str, str]:
        """Of all that was read, in order, from the source and from the target."""
        return self._source.hexdigest(), self._target.hexdigest()

    def compare(self, ours: Record | None, theirs: Record | None) -> bool:
        """Count one post; whether it is to be written."""
        here, there = (digest(each) if each else b"" for each in (ours, theirs))
        self._source.update(here)
        self._target.update(there)
        self.posts += ours is not None
        if here == there:
            return False
        self.missing += theirs is None
        self.extra += ours is None
        self.different += bool(ours and theirs)
        if len(self.examples) < 3 and (either := ours or theirs):
            self.examples.append(either.judged.post.id)
        return ours is not None


class Mover:
    """Copies ``source`` to ``target``. ``tidy`` deletes from the target what the service deletes for its age."""

    def __init__(
        self, source: Posts, target: Posts, notebook: Notebook, *, tidy: Callable[[], object], say: Say
    ) -> None:
        self._source, self._target, self._notebook = source, target, notebook
        self._tidy, self._say = tidy, say

    def verify(self) -> Pass:
        """Compare, and write nothing. Raises ``StoreError``."""
        return self._walk("核对", write=False)

    def copy(self) -> tuple[int, Pass]:
        """Bring over what the target lacks; returns how many were written, and the last pass.

        The last pass is not ``same`` only when a service went on writing. Raises ``StoreError``.
        """
        known = self._notebook.read()
        held = self._target.size()
        if known is None and held:
            raise StoreError(
                f"目标里已经有 {held} 条帖子，不是从这里迁移过去的：请换一个空的目标（或先清空它）"
            )
        after = known.after if known and held else ""
        self._notebook.write(after)
        last = self._walk("复制", after=after)
        written, tidied = last.missing + last.different, False
        for _ in range(PASSES):
            before, last = last, self._walk("核对")
            self._refuse_a_mangling_target(before, last)
            written += last.missing + last.different
            if last.same:
                return written, last
            if last.extra and not tidied:
                self._tidy()
                tidied = True
        if last.extra:
            raise StoreError(
                f"目标里有 {last.extra} 条帖子是源里没有的（例如 {last.examples[0]}）：迁移期间在源里删掉了，"
                "或有别的程序在写目标；请清空目标再运行一次"
            )
        return written, last

    def _walk(self, what: str, *, after: str = "", write: bool = True) -> Pass:
        seen, waiting, total = Pass(), [], self._source.size()
        repeated = what == "核对"
        for ours, theirs in side_by_side(
            records(self._source, after=after), records(self._target, after=after)
        ):
            if seen.compare(ours, theirs) and ours and write:
                waiting.append(ours)
                if repeated and len(seen.written) < REMEMBERED:
                    seen.written[ours.judged.post.id] = digest(ours)
            if ours and seen.posts % BATCH == 0:
                self._flush(waiting, "" if repeated else ours.judged.post.id)
                self._say(what, seen.posts, total)
        self._flush(waiting, "")
        self._say(what, seen.posts, total)
        return seen

    def _flush(self, waiting: list[Record], after: str) -> None:
        if waiting:
            self._target.restore(waiting)
            waiting.clear()
        if after:
            self._notebook.write(after)

    @staticmethod
    def _refuse_a_mangling_target(before: Pass, last: Pass) -> None:
        """What was written and is to be written again, though it is the same as then, was not stored as given."""
        again = [id_ for id_, written in last.written.items() if before.written.get(id_) == written]
        if again:
            raise StoreError(
                f"目标没有原样存下 {len(again)} 条帖子（例如 {again[0]}）：不要启用它，请报告这个问题"
            )


def records(posts: Posts, *, after: str = "") -> Iterator[Record]:
    """All records of a store in order of post id, from after an id on."""
    while batch := posts.walk(after=after, limit=BATCH):
        yield from batch
        after = batch[-1].judged.post.id


def side_by_side(
    ours: Iterator[Record], theirs: Iterator[Record]
) -> Iterator[tuple[Record | None, Record | None]]:
    """Two ordered walks as one: both records of an id, or the one that there is."""
    one, other = next(ours, None), next(theirs, None)
    while one or other:
        here, there = (each.judged.post.id if each else None for each in (one, other))
        take_one = here is not None and (there is None or here <= there)
        take_other = there is not None and (here is None or there <= here)
        yield (one if take_one else None), (other if take_other else None)
        if take_one:
            one = next(ours, None)
        if take_other:
            other = next(theirs, None)


def digest(record: Record) -> bytes:
    """Of everything that a record holds."""
    text = dumps_value(
        [
            encode(record.judged.post),
            encode(record.judged.assessment),
            [[at.timestamp(), encode(engagement)] for at, engagement in record.versions],
        ]
    )
    return hashlib.sha256(text.encode()).digest()
