"""A home with quiet weeks in it, two stub models, and a switch between them that can be killed at any step.

As a program: ``switching.py HOME FUSE`` switches and kills itself (SIGKILL) before its FUSE-th step; 0: never.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from app import rejudge, switch
from app.corrections import Corrector
from app.models import Models, Pending
from app.switch import Switch
from config.settings import Baselines, Rules
from domain.assessment import Assessment, Sentiment
from domain.post import Post
from monitor.watch import Watch
from store.ledger import AuditEntry, Ledger, open_ledger
from store.posts import Posts, open_posts

OLD, NEW = "test", "new@1"
PAST = timedelta(days=28)


def scene() -> ModuleType:
    """The posts of the watch's tests."""
    if "monitor_scene" not in sys.modules:
        path = Path(__file__).parents[1] / "monitor" / "conftest.py"
        spec = importlib.util.spec_from_file_location("monitor_scene", path)
        assert spec and spec.loader
        sys.modules["monitor_scene"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["monitor_scene"])
    return sys.modules["monitor_scene"]


class Stern:
    """A model that calls many more posts negative than the one before, the same ones whenever it is asked."""

    model = NEW
    background = "brands-of-today"

    def __init__(self, share: float = 0.3) -> None:
        self._share = share
        self.asked = 0

    def again(self, posts: Sequence[Post], before: Sequence[Assessment]) -> list[Assessment]:
        self.asked += len(posts)
        return [self._judge(post, old) for post, old in zip(posts, before, strict=True)]

    def stands(self, post: Post, assessment: Assessment) -> bool:
        return assessment.model == self.model

    def _judge(self, post: Post, old: Assessment) -> Assessment:
        bad = int(hashlib.sha256(post.id.encode()).hexdigest()[:8], 16) / 2**32 < self._share
        sentiment = Sentiment.NEGATIVE if bad or old.sentiment is Sentiment.NEGATIVE else old.sentiment
        entities = tuple(
            replace(e, sentiment=sentiment, negative=float(sentiment is Sentiment.NEGATIVE))
            for e in old.entities
        )
        return replace(old, model=self.model, sentiment=sentiment, entities=entities, story="", influence=0.0)


class Home:
    """Stores, models and a watch of one folder."""

    def __init__(self, folder: Path, judge: Any = None) -> None:
        self.stack = ExitStack()
        self.posts: Posts = open_posts(f"sqlite:///{folder}/posts.sqlite3", segment=list)
        self.ledger: Ledger = open_ledger(f"sqlite:///{folder}/ledger.sqlite3")
        self.stack.callback(self.posts.close)
        self.stack.callback(self.ledger.close)
        self.models = Models(folder)
        self.models.folder.mkdir(exist_ok=True)
        (self.models.folder / NEW).mkdir(exist_ok=True)
        self.judge = judge or Stern()
        self.watch = self.new_watch()
        self.recount: Callable[..., None] = lambda now, why: self.watch.recount(now, why=why)
        self.switch = Switch(
            models=self.models,
            posts=lambda: self.posts,
            corrected=Corrector(self.ledger.corrections, lambda name: name).over,
            load=lambda _: self.judge,
            recount=self._recount,
            record=self._record,
        )

    def _recount(self, now: datetime, why: str) -> None:
        self.recount(now, why)

    def _record(self, now: datetime, switched: Pending, rejudged: int) -> None:
        reason = f"{switched.before} → {switched.lines[-1]}"
        entry = AuditEntry(at=now, actor=switched.by, action="model", subject=NEW, reason=reason)
        self.ledger.audit.record(entry)

    def new_watch(self) -> Watch:
        """A watch as another process has it."""
        world = scene()
        return Watch(
            posts=self.posts,
            ledger=self.ledger,
            brands=world.BRANDS,
            topics=world.TOPICS,
            plans=world.PLANS,
            rules=Rules(baselines=Baselines(rebuild_days=14)),
        )

    def go(self, lines: tuple[str, ...] = ("shipped", NEW)) -> int:
        """Switch."""
        now = scene().NOW
        return self.switch.to(
            lines, now=lambda: now, past=PAST, by="王芳", progress=lambda done, total: None
        )[1]

    def judged_by(self) -> set[str]:
        """The models behind the stored judgements."""
        from store.posts import Query

        return {each.assessment.model for each in self.posts.search(Query(limit=10_000)).found}

    def stamp(self) -> dict[str, Any]:
        """Which baselines are stored."""
        return dict(self.ledger.states.load("baseline_stamp"))

    def close(self) -> None:
        self.stack.close()


def armed(home: Home, fuse: int) -> None:
    """Kill this process before its ``fuse``-th step."""
    left = [fuse]

    def burning(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return step

    home.judge.again = burning(home.judge.again)
    home.posts.put = burning(home.posts.put)  # type: ignore[method-assign]
    home.recount = burning(home.recount)
    for name in ("decide", "switch", "settled"):
        setattr(home.models, name, burning(getattr(home.models, name)))


if __name__ == "__main__":
    rejudge.BATCH = switch.BATCH = 150
    opened = Home(Path(sys.argv[1]))
    armed(opened, int(sys.argv[2]))
    opened.switch.finish(now=scene().NOW)
    if opened.models.lines()[-1] != NEW:
        opened.go()
    opened.close()
