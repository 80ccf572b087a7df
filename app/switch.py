"""Another model is put to use: history judged anew, baselines learnt anew, then the switch. A kill loses nothing.

    stage     the last weeks judged by the new model into a file   minutes; the old model goes on working
    decide    one small file is written                            from here on there is no way back but forward
    finish    judgements over the store, baselines, ``current``    seconds; everybody else waits

Until ``decide`` nothing that anybody reads has changed, and the old model is in use. After it the switch is
finished by whoever comes next: the same command, a worker's batch, a tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from app.models import Models, Pending
from app.rejudge import BATCH, Progress, Staged, put, stage
from app.storing import Erased
from domain.assessment import Assessment
from domain.errors import ModelError
from domain.post import Post
from store.posts import Judged, Posts


class Judge(Protocol):
    """A loaded model as the switch sees it."""

    @property
    def model(self) -> str:
        """``NAME@VERSION``."""

    @property
    def background(self) -> str:
        """What else its judgements depend on (``nlp.analyzer.background``)."""

    def again(self, posts: Sequence[Post], before: Sequence[Assessment]) -> list[Assessment]:
        """Judge posts that were judged before."""

    def stands(self, post: Post, assessment: Assessment) -> bool:
        """Whether a judgement of this text is what would be made now."""


class Switch:
    """Switches models. ``load`` opens a model directory; ``recount`` learns baselines anew and says why; ``record``
    enters a switch into the audit, with the number of posts that were judged anew: before the switch counts as done,
    so that one which was killed is entered too, at worst twice. ``erased``: see ``app.storing``.
    """

    def __init__(
        self,
        *,
        models: Models,
        posts: Callable[[], Posts],
        corrected: Callable[[Sequence[Judged]], list[Judged]],
        load: Callable[[Path], Judge],
        recount: Callable[[datetime, str], None],
        record: Callable[[datetime, Pending, int], None],
        erased: Erased = frozenset,
    ) -> None:
        self._models, self._posts, self._corrected = models, posts, corrected
        self._load, self._recount, self._record, self._erased = load, recount, record, erased

    def to(
        self,
        lines: tuple[str, ...],
        *,
        directory: Path | None = None,
        now: Callable[[], datetime],
        past: timedelta,
        by: str,
        progress: Progress,
    ) -> tuple[str, int]:
        """Make the last of ``lines`` the model in use; returns its ``NAME@VERSION`` and how many posts it rejudged.

        ``directory``: where it lies, when not where ``lines`` say.

        Killed before it is decided, the old model stays in use and the next call goes on where this one was.
        Raises ``ModelError`` or ``StoreError``.
        """
        judge = self._load(directory or self._models.directory(lines[-1]))
        # What an interrupted call judged under other brands is of no use.
        path = self._models.folder / f"{judge.model}.{judge.background}.rejudged"
        for abandoned in self._models.folder.glob("*.rejudged"):
            if abandoned != path:
                abandoned.unlink()
        staged = Staged(path)
        posts, since = self._posts(), now() - past

        def catch_up() -> int:
            return stage(
                posts, staged, stands=judge.stands, again=judge.again, since=since, progress=progress
            )

        # The old model goes on judging meanwhile: pass after pass there is less to catch up with.
        while catch_up() > BATCH:
            continue
        with self._models.alone():
            catch_up()
            before = self._models.lines()[-1]
            self._models.decide(Pending(lines=lines, staged=staged.path.name, before=before, by=by))
            return judge.model, self._finish(now())

    def finish(self, *, now: datetime) -> bool:
        """Finish a switch that was decided and interrupted; False when there is none."""
        if self._models.pending() is None:
            return False
        with self._models.alone():
            self._finish(now)
        return True

    @contextmanager
    def settled(self, now: datetime) -> Iterator[None]:
        """Judge, count or alert in here: no switch is under way or half done. Raises ``ModelError``."""
        while True:
            with self._models.looking():
                if self._models.pending() is None:
                    yield
                    return
            self.finish(now=now)

    def _finish(self, now: datetime) -> int:
        """What was decided, step by step; each may be done twice. The caller is alone."""
        pending = self._models.pending()
        if pending is None:  # somebody else was first
            return 0
        path = self._models.folder / pending.staged
        if not path.exists():
            self._models.settled()
            raise ModelError(
                f"换模型所需的研判结果 {path} 不见了：没有切换，仍用原来的模型；请重新运行 yujing train"
            )
        staged = Staged(path)
        replaced = put(self._posts(), staged, self._corrected, self._erased)
        self._recount(now, pending.lines[-1])
        self._models.switch(pending.lines)
        self._record(now, pending, replaced)
        self._models.settled()
        path.unlink(missing_ok=True)
        return replaced
