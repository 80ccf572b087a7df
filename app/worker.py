"""Inbox → classifier → posts → acknowledged: the only order in which a kill loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from app.storing import Erased, store
from domain.assessment import Assessment
from domain.errors import RefusedError, StoreError, YujingError
from domain.post import Post, joined
from store.inbox import Inbox, Leased
from store.posts import Judged, Posts


class Assessor(Protocol):
    """The classifier as the worker sees it."""

    def assess(self, posts: Sequence[Post]) -> list[Assessment]:
        """Judgements in the order of the posts."""

    def again(self, posts: Sequence[Post], before: Sequence[Assessment]) -> list[Assessment]:
        """Judgements of texts that were judged before, whose stories stay."""

    def stands(self, post: Post, assessment: Assessment) -> bool:
        """Whether a judgement of this text is what would be made now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Worked:
    """What one batch came to."""

    judged: int = 0
    refreshed: int = 0
    """Known texts whose counters were brought up to date without asking the model."""
    buried: int = 0
    dropped: int = 0
    """Posts of erased authors."""

    def __add__(self, other: Worked) -> Worked:
        return Worked(
            judged=self.judged + other.judged,
            refreshed=self.refreshed + other.refreshed,
            buried=self.buried + other.buried,
            dropped=self.dropped + other.dropped,
        )

    @property
    def done(self) -> int:
        """Posts that left the inbox."""
        return self.judged + self.refreshed + self.buried + self.dropped


class Worker:
    """Takes batches from the inbox until it is empty or told to stop.

    ``influence`` recomputes a post's influence from its counters, for posts whose text was judged before.
    ``corrected`` puts people's corrections over judgements; ``erased`` tells the keys of authors whose posts are not
    stored; ``own`` names the sources that belong to one brand (``domain.post.joined``); ``settled`` is entered for
    each batch and lets no model be switched meanwhile.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        posts: Posts,
        assessor: Callable[[], Assessor],
        influence: Callable[[Post], float],
        corrected: Callable[[Sequence[Judged]], list[Judged]] = list,
        erased: Erased = frozenset,
        own: Collection[str] = frozenset(),
        settled: Callable[[datetime], AbstractContextManager[None]] = lambda _: nullcontext(),
        batch: int = 128,
        lease: timedelta = timedelta(minutes=5),
        tries: int = 3,
    ) -> None:
        self._inbox = inbox
        self._posts = posts
        self._assessor = assessor
        self._influence = influence
        self._corrected = corrected
        self._erased = erased
        self._own = own
        self._settled = settled
        self._batch = batch
        self._lease = lease
        self._tries = tries

    def once(self, *, now: datetime) -> Worked:
        """Work on one batch.

        Raises ``StoreError`` or ``ModelError`` when the stores or the model fail; the batch then waits as before.
        Any other failure, ``RefusedError`` too, is some post's own: that post is buried with its reason.
        """
        with self._settled(now):
            return self._once(now)

    def _once(self, now: datetime) -> Worked:
        leased = self._inbox.lease(self._batch, now=now, lease=self._lease)
        poisoned = [item for item in leased if item.tries > self._tries]
        for item in poisoned:
            self._inbox.bury(item.token, reason=f"处理 {item.tries - 1} 次仍未完成", now=now)
        fresh = self._apart([item for item in leased if item.tries <= self._tries])
        try:
            worked = self._work(fresh, now)
        except YujingError:
            self._give_back(fresh)
            raise
        return worked + Worked(buried=len(poisoned))

    def _work(self, items: Sequence[Leased], now: datetime) -> Worked:
        try:
            return self._process(items)
        except Exception as error:
            if isinstance(error, YujingError) and not isinstance(error, RefusedError):
                raise
            # One bad post must not hold up its neighbours: go through them singly and bury the one that fails.
            return sum((self._single(item, now) for item in items), Worked())

    def _apart(self, items: Sequence[Leased]) -> Sequence[Leased]:
        """All of them, or only the first at whose side a worker died: its neighbours must not pay with their tries."""
        suspect = next((item for item in items if item.tries > 1), None)
        if suspect is None:
            return items
        self._inbox.give_back([item for item in items if item is not suspect])
        return [suspect]

    def _give_back(self, items: Sequence[Leased]) -> None:
        """Leasing counts as a try: a model that is broken for an hour must not use up the tries of all that waits."""
        # When the inbox fails as well, the lease runs out by itself, and what is told is what failed first.
        with suppress(StoreError):
            self._inbox.give_back(items)

    def drain(self, *, now: Callable[[], datetime], stop: Callable[[], bool] = lambda: False) -> Worked:
        """Work until nothing waits."""
        total = Worked()
        while not stop():
            worked = self.once(now=now())
            if not worked.done:
                break
            total += worked
        return total

    def _single(self, item: Leased, now: datetime) -> Worked:
        try:
            return self._process([item])
        except Exception as error:
            if isinstance(error, YujingError) and not isinstance(error, RefusedError):
                raise
            self._inbox.bury(item.token, reason=f"{type(error).__name__}: {error}"[:500], now=now)
            return Worked(buried=1)

    def _process(self, items: Sequence[Leased]) -> Worked:
        if not items:
            return Worked()
        erased = self._erased()
        wanted = [item for item in items if item.post.author.key not in erased]
        worked = self._store(wanted) if wanted else Worked()
        self._inbox.acknowledge([item.token for item in items])
        return worked + Worked(dropped=len(items) - len(wanted))

    def _store(self, items: Sequence[Leased]) -> Worked:
        arrived: dict[str, Post] = {}
        for item in items:
            held = arrived.get(item.post.id)
            arrived[item.post.id] = joined(held, item.post, own=self._own) if held else item.post
        assessor = self._assessor()
        known = self._posts.known(list(arrived))
        same, new, again = [], [], []
        for came in arrived.values():
            old = known.get(came.id)
            post = joined(old.post, came, own=self._own) if old else came
            if old is None or old.post.whole != post.whole:
                new.append(post)
            elif assessor.stands(post, old.assessment):
                same.append(
                    Judged(post=post, assessment=replace(old.assessment, influence=self._influence(post)))
                )
            else:
                again.append(post)
        made = assessor.assess(new) if new else []
        if again:
            made += assessor.again(again, [known[post.id].assessment for post in again])
        judged = [Judged(post=p, assessment=a) for p, a in zip([*new, *again], made, strict=True)]
        store(self._posts, self._corrected([*judged, *same]), self._erased)
        return Worked(judged=len(judged), refreshed=len(items) - len(judged))
