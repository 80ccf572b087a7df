"""Stored posts judged anew by another model: first into a file beside the store, later all at once over it.

Judging takes minutes and may be interrupted; replacing takes seconds and is finished by whoever comes next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from app.storing import Erased, store
from domain.assessment import Assessment
from domain.correction import text_mark
from domain.errors import StoreError
from domain.post import Post
from store.codec import dumps, loads
from store.posts import Judged, Posts, Query, Sort

BATCH = 256
"""Posts judged, and posts replaced, at once."""

Again = Callable[[Sequence[Post], Sequence[Assessment]], list[Assessment]]
"""Judges posts that were judged before; see ``nlp.analyzer.Analyzer.again``."""
Stands = Callable[[Post, Assessment], bool]
"""Whether a judgement is what would be made now; see ``nlp.analyzer.Analyzer.stands``."""
Progress = Callable[[int, int], None]
"""Posts looked at so far, and how many there are."""


class Staged:
    """Judgements in a file, a line each: the mark of the text, then the assessment. A later line of a post wins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._places: dict[str, tuple[str, int]] = {}
        """Post → mark of its text, and where its line begins."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._index()

    def _index(self) -> None:
        """Find what is there; from a line on that a kill cut short, it is cut off."""
        with self.path.open("r+b") as file:
            end = 0
            for line in file:
                if not line.endswith(b"\n") or line.count(b" ") < 2:
                    break
                mark, post = line.split(b" ", 2)[:2]
                self._places[post.decode()] = (mark.decode(), end)
                end += len(line)
            file.truncate(end)

    def __len__(self) -> int:
        return len(self._places)

    def holds(self, post: Post) -> bool:
        """This very text of the post was judged."""
        return self._places.get(post.id, ("",))[0] == text_mark(post)

    def add(self, posts: Sequence[Post], assessments: Sequence[Assessment]) -> None:
        """Append judgements; they have reached the disk when this returns. Raises ``StoreError``."""
        try:
            with self.path.open("ab") as file:
                for post, assessment in zip(posts, assessments, strict=True):
                    mark = text_mark(post)
                    self._places[post.id] = (mark, file.tell())
                    file.write(f"{mark} {post.id} {dumps(assessment)}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"写不了 {self.path}：{error.strerror or error}", permanent=False) from error

    def read(self) -> Iterator[list[tuple[str, str, Assessment]]]:
        """Post id, mark and judgement of all, some at a time."""
        places = sorted((at, post, mark) for post, (mark, at) in self._places.items())
        if not places:
            return
        with self.path.open("rb") as file:
            for start in range(0, len(places), BATCH):
                part = []
                for at, post, mark in places[start : start + BATCH]:
                    file.seek(at)
                    body = file.readline().split(b" ", 2)[2].decode()
                    part.append((post, mark, loads(Assessment, body)))
                yield part


def stage(
    posts: Posts, staged: Staged, *, stands: Stands, again: Again, since: datetime, progress: Progress
) -> int:
    """Judge every post since a time of which neither the store nor the file has what stands; returns how many."""
    judged, seen = 0, 0
    for page, total in _pages(posts, since):
        old = [
            each for each in page if not stands(each.post, each.assessment) and not staged.holds(each.post)
        ]
        if old:
            found = [each.post for each in old]
            staged.add(found, again(found, [each.assessment for each in old]))
        judged += len(old)
        seen += len(page)
        progress(seen, total)
    return judged


def _pages(posts: Posts, since: datetime) -> Iterator[tuple[Sequence[Judged], int]]:
    after = ""
    while True:
        page = posts.search(Query(since=since, sort=Sort.OLDEST, limit=BATCH, after=after))
        yield page.found, page.total
        if not page.next:
            return
        after = page.next


def put(
    posts: Posts, staged: Staged, corrected: Callable[[Sequence[Judged]], list[Judged]], erased: Erased
) -> int:
    """Put the judgements over the stored ones, people's corrections over both; returns how many were replaced.

    Story, suspicion and influence are of the post, not of the model, and stay. A post that was forgotten or edited
    meanwhile is left alone. Done twice is as done once.
    """
    replaced = 0
    for part in staged.read():
        known = posts.known([post for post, _, _ in part])
        batch = []
        for post, mark, made in part:
            old = known.get(post)
            if old and text_mark(old.post) == mark:
                kept = old.assessment
                batch.append(
                    Judged(
                        post=old.post,
                        assessment=replace(
                            made,
                            story=kept.story,
                            coordination=kept.coordination,
                            influence=kept.influence,
                        ),
                    )
                )
        if batch:
            store(posts, corrected(batch), erased)
        replaced += len(batch)
    return replaced
