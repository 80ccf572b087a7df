"""One run of the demo: the background, then the event in compressed time, then what came of it."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from app.clock import VARIABLE, Clock, wall
from app.demo import configuration
from app.demo.cast import Cast, cast
from app.demo.crawls import Crawls
from app.demo.narrator import Narrator
from app.demo.play import Play
from app.demo.result import Result, collect
from app.sandbox.mailbox import Mailbox
from app.sandbox.rows import Rows
from app.sandbox.web import Web
from app.stopping import Stop
from app.wire import App
from domain.errors import UsageError, YujingError
from domain.local_time import spoken

BUDGET_S = 150.0
"""Real seconds for everything up to the end of the event, also on a slow machine."""
QUICKEST_S, SLOWEST_S = 75.0, 115.0
"""Bounds of the real seconds in which the event is played."""
ROUND = timedelta(minutes=9)
"""Scenario time that one crawl should take at most, where the bounds allow it."""

_STORES = ("YUJING_INBOX_", "YUJING_POSTS_", "YUJING_LEDGER_")
_HEAVY = ("alerts.render", "matplotlib.backends.backend_agg", "matplotlib.figure")


@dataclass(frozen=True, kw_only=True)
class Script:
    """What to play."""

    crisis: Rows | None = None
    calm: Rows | None = None
    campaign: bool = False
    """Calm days with a positive campaign in them, and no crisis."""
    engines: bool = False
    """On the stores that the environment names, which must be empty, instead of embedded ones."""


@dataclass
class _Hand:
    """The clock that the sites read: it is changed for a faster one when the event begins."""

    clock: Clock

    def now(self) -> datetime:
        return self.clock.now()


class Demo:
    """Plays a script in a folder; everything it makes lies there."""

    def __init__(self, folder: Path, script: Script, narrator: Narrator, stop: Stop) -> None:
        self._folder, self._script, self._narrator, self._stop = folder, script, narrator, stop
        self._began = time.monotonic()

    def run(self) -> Result:
        """Play to the end; children are ended, come what may.

        Raises ``YujingError`` when a part cannot do its work, ``Interrupted`` soon after it was asked to stop.
        """
        narrator = self._narrator
        with ExitStack() as stack:
            cast_, script = self._cast(), self._script
            scenario = cast_.scenario
            clock = Clock(scenario.live, wall(), 1.0)
            hand = _Hand(clock)
            web = stack.enter_context(Web(scenario, configuration.directory(cast_.brands), hand.now))
            mailbox = stack.enter_context(Mailbox(self._folder / "mail"))
            every = configuration.every_min(scenario.ends - scenario.live)
            configuration.write(self._folder / "config", cast_, web.urls, every)
            variables = stack.enter_context(environment(self._folder, mailbox.url, clock, script.engines))
            app = stack.enter_context(_opened(variables))
            if script.engines:
                must_be_empty(app)
            narrator.say(f"虚构的站点：{'  '.join(f'{kind} {url}' for kind, url in web.urls.items())}")
            narrator.say(f"本机邮箱：{mailbox.url}")
            crawls = Crawls(app, configuration.MOST_CRAWLS, self._stop)
            self._background(app, crawls)
            pace = self._rehearsal(app, crawls)
            seconds = play_seconds(
                scenario.ends - scenario.live, pace=pace, spent=time.monotonic() - self._began
            )
            real = wall()
            hand.clock = app.clock = Clock.reaching_present(
                app.clock.at(real), wall_start=real, seconds=seconds
            )
            os.environ[VARIABLE] = str(app.clock)
            Play(app, cast_, crawls, mailbox, narrator, self._stop).run()
            return collect(
                app,
                brand=cast_.lead,
                onset=scenario.onset,
                emails=tuple(mailbox.mails),
                seconds=time.monotonic() - self._began,
            )

    def _cast(self) -> Cast:
        script, narrator = self._script, self._narrator
        narrator.stage("搭台：虚构的网站、本机邮箱和一份配置")
        made = cast(
            known=configuration.shipped().brands,
            crisis=script.crisis,
            calm=script.calm,
            campaign=script.campaign,
            ends=wall() + timedelta(seconds=BUDGET_S),
        )
        for line in made.skipped[:5]:
            narrator.warn(f"跳过 {line}")
        if len(made.skipped) > 5:
            narrator.warn(f"一共跳过 {len(made.skipped)} 行")
        if made.scenario.left_out:
            narrator.warn(f"{made.scenario.left_out} 条的时间在演练的范围以外（开始后最多 24 小时），没有演")
        event = "正面活动" if script.campaign else "危机"
        narrator.say(
            f"监测「{made.lead.name}」等 {len(made.brands)} 个品牌；{event}从 {spoken(made.scenario.onset)} 开始"
        )
        return made

    def _background(self, app: App, crawls: Crawls) -> None:
        """Crawl, judge and learn the days before."""
        narrator = self._narrator
        narrator.stage("背景：抓取过去 14 天，逐条研判，学习平时的水平")
        began = time.monotonic()
        crawl = crawls.begin()
        assert crawl is not None
        judged = 0
        with crawls.ending():
            # What takes long to load is loaded while the crawl runs: later it would cost hours of the scenario.
            model = app.analyzer.model
            for heavy in _HEAVY:
                self._stop.check()
                importlib.import_module(heavy)
            crawling = True
            while crawling:
                crawling = crawl.is_alive()
                self._stop.check()
                judged += self._drain(app)
                waiting = app.inbox.depth(now=app.clock.now()).waiting
                narrator.advance("研判", judged, max(judged + waiting, 1), f"{judged} 条")
                self._stop.wait(0.1)
        narrator.done()
        for words in crawls.complaints():
            narrator.warn(words)
        narrator.say(f"抓取并研判 {judged} 条，用了 {time.monotonic() - began:.0f} 秒（模型 {model}）")
        dead = app.inbox.depth(now=app.clock.now()).dead
        if dead:
            narrator.warn(f"{dead} 条无法研判，留在死信里：{app.inbox.dead(limit=1)[0].reason}")
        if not app.posts.size():
            raise YujingError("背景里没有一条帖子入库，演练无法继续")
        app.watch.rebuild(app.clock.now())
        self._stop.check()

    def _rehearsal(self, app: App, crawls: Crawls) -> float:
        """Crawl once more, and return how many real seconds a crawl takes that finds nearly nothing new."""
        began = time.monotonic()
        crawls.run()
        seconds = time.monotonic() - began
        self._drain(app)
        self._stop.check()
        return seconds

    def _drain(self, app: App) -> int:
        """Judge what waits; returns how many posts left the inbox."""
        return app.worker.drain(now=app.clock.now, stop=lambda: self._stop.asked).done


def play_seconds(length: timedelta, *, pace: float, spent: float) -> float:
    """Real seconds in which to play a length of scenario time, when a crawl takes ``pace`` of them.

    A slow machine gets more of them, so that its crawls do not see the event too late, within the budget.
    """
    wanted = length / ROUND * pace
    return max(QUICKEST_S, min(wanted, SLOWEST_S, BUDGET_S - spent))


@contextmanager
def environment(home: Path, smtp: str, clock: Clock, engines: bool) -> Iterator[Mapping[str, str]]:
    """The environment of a run, for this process and its children; the user's own is put back afterwards.

    Only the model is taken over from the user, and the stores when he asks for it: a demo must not write into his
    own or send his mail.
    """
    before = dict(os.environ)
    kept = ("YUJING_MODEL", *(_STORES if engines else ()))
    for name in [name for name in os.environ if name.startswith("YUJING_") and not name.startswith(kept)]:
        del os.environ[name]
    os.environ.update(
        {
            "YUJING_HOME": str(home),
            "YUJING_SMTP_URL": smtp,
            "YUJING_MAIL_FROM": "yujing@example.test",
            VARIABLE: str(clock),
        }
    )
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        # Thirty crawls would compile Scrapy thirty times; its compiled form goes into our own folder instead.
        os.environ["PYTHONPYCACHEPREFIX"] = str(home / "pycache")
    try:
        yield os.environ
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _opened(variables: Mapping[str, str]) -> Iterator[App]:
    app = App.from_environment(variables)
    try:
        app.check()
        yield app
    finally:
        app.close()


def must_be_empty(app: App) -> None:
    """A demo's invented crisis never gets among real posts. Raises ``UsageError``."""
    depth = app.inbox.depth(now=app.clock.now())
    used = {
        "收件队列": depth.waiting + depth.leased + depth.dead,
        "帖子库": app.posts.size(),
        "台账": len(app.ledger.alerts.find(limit=1)) + len(app.ledger.source_runs.last()),
    }
    for name, holds in used.items():
        if holds:
            raise UsageError(f"{name}不是空的：演练不会写进用过的库，请给它一个新的地址（前缀、库名或编号）")
