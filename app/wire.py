"""The only wiring: which part gets which other part.

Everything is opened when it is first asked for, and its room imported then: ``yujing check`` waits for no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from app.clock import Clock
from config.environment import read_environment
from config.settings import Environment, Settings, Smtp

if TYPE_CHECKING:
    from alerts.channels.mail import MailChannel
    from alerts.outbox import Deliverer
    from alerts.pipeline import Outcome, Pipeline
    from app.worker import Worker
    from monitor.watch import Watch
    from nlp.analyzer import Analyzer
    from nlp.segment import Segmenter
    from response.incidents import Desk
    from store.inbox import Inbox
    from store.ledger import Ledger
    from store.posts import Posts


class _Closes(Protocol):
    def close(self) -> None: ...


Closing = TypeVar("Closing", bound=_Closes)

PLATFORMS = {
    "weibo": "微博",
    "guba": "股吧",
    "heimao": "黑猫投诉",
    "news": "新闻",
    "notice": "公告",
    "tieba": "贴吧",
    "zhihu": "知乎",
    "comment": "评论区",
    "complaint": "投诉平台",
    "app_review": "应用商店",
    "bilibili": "B站",
    "douyin": "抖音",
    "forum": "论坛",
    "kuaishou": "快手",
    "toutiao": "今日头条",
    "wechat": "微信公众号",
    "xiaohongshu": "小红书",
    "xueqiu": "雪球",
    "import": "导入",
}
"""Names of platforms that people know by another word than their id."""


class App:
    """One wired application. ``close`` releases what was opened."""

    def __init__(self, environment: Environment, clock: Clock) -> None:
        self.environment = environment
        self.clock = clock
        self._opened = ExitStack()

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> App:
        """The application that the environment describes. Raises ``ConfigError``."""
        return cls(read_environment(variables), Clock.from_environment(variables))

    @property
    def home(self) -> Path:
        """Where everything embedded lives."""
        return self.environment.home

    @cached_property
    def settings(self) -> Settings:
        """All of ``config/``. Raises ``ConfigError``."""
        from config.load import load

        return load(self.environment.config)

    @cached_property
    def inbox(self) -> Inbox:
        """The queue before the classifier."""
        from store.inbox import open_inbox

        return self._open(open_inbox(self.environment.inbox_url))

    @cached_property
    def segmenter(self) -> Segmenter:
        """jieba with the finance words, the brands' names and the topics' words."""
        from nlp.segment import Segmenter

        names = [name for b in self.settings.brands for name in (b.name, *b.aliases, *b.products)]
        return Segmenter([*names, *(word for topic in self.settings.topics for word in topic.words)])

    @cached_property
    def posts(self) -> Posts:
        """The judged posts."""
        from store.posts import open_posts

        return self._open(open_posts(self.environment.posts_url, segment=self.segmenter.tokens))

    @cached_property
    def ledger(self) -> Ledger:
        """Decisions and state."""
        from store.ledger import open_ledger

        return self._open(open_ledger(self.environment.ledger_url))

    @cached_property
    def analyzer(self) -> Analyzer:
        """The classifier. Raises ``ModelError``."""
        from nlp.analyzer import Analyzer
        from nlp.bundle import shipped
        from nlp.runtime import Runtime
        from nlp.stories import Stories

        settings = self.settings
        return Analyzer(
            runtime=Runtime.load(self.environment.model or shipped()),
            segmenter=self.segmenter,
            brands=settings.brands,
            stories=self._open(Stories(self.home / "stories.sqlite3")),
            about={source.id: source.brand for source in settings.sources if source.brand},
            risk_words={word for topic in settings.topics for word in topic.words},
        )

    @cached_property
    def worker(self) -> Worker:
        """Inbox → classifier → posts."""
        from app.worker import Worker
        from nlp.analyzer import influence

        return Worker(inbox=self.inbox, posts=self.posts, assessor=lambda: self.analyzer, influence=influence)

    @cached_property
    def watch(self) -> Watch:
        """Counts → signals → alerts."""
        from monitor.series import StoredCounts
        from monitor.watch import Watch

        return Watch(
            counts=StoredCounts(self.posts),
            posts=self.posts,
            ledger=self.ledger,
            brands=self.settings.brands,
            topics=self.settings.topics,
            plans=self.settings.plans,
            sources=self.settings.sources,
            rules=self.settings.rules,
        )

    @cached_property
    def desk(self) -> Desk:
        """Incidents and plans."""
        from response.incidents import Desk

        return Desk(ledger=self.ledger, plans=self.settings.plans, plan_for=self.settings.plan_for)

    @cached_property
    def pipeline(self) -> Pipeline:
        """Alerts → outbox."""
        from alerts.evidence import Evidence
        from alerts.pipeline import Pipeline
        from alerts.render import Writer

        settings = self.settings
        plans = {topic.id: topic.plan for topic in settings.topics}
        return Pipeline(
            ledger=self.ledger,
            routes=settings.routes,
            plan_of=lambda topic: plans.get(topic, ""),
            evidence=Evidence(
                posts=self.posts,
                ledger=self.ledger,
                band=self.watch.band,
                plan_for=settings.plan_for,
                brands={brand.id: brand.name for brand in settings.brands},
                brand_words={b.id: (b.name, *b.aliases, *b.products) for b in settings.brands},
                topics={topic.id: topic.name for topic in settings.topics},
                sources={source.id: source.name for source in settings.sources},
                platforms=PLATFORMS,
            ),
            writer=Writer(sender=self.environment.smtp.sender),
        )

    @cached_property
    def deliverer(self) -> Deliverer:
        """Outbox → channels."""
        from alerts.outbox import Deliverer
        from alerts.routes import night_watch

        channels = {"email": mail_channel(self.environment.smtp)}
        return Deliverer(
            self.ledger.outbox, channels, states=self.ledger.states, hold=night_watch(self.settings.routes)
        )

    def handle_alerts(self, now: datetime, *, wait: bool = True) -> Outcome:
        """Open or join incidents for alerts that nobody has handled, and put their mails in the outbox.

        ``wait=False`` does not hold an alert back for others of its brand to join it in one mail.
        """
        from response.mails import sweep

        pending = self.ledger.alerts.pending()
        for alert in pending:
            self.desk.on_alert(alert, now=now)
        sweep(self.ledger, now=now)
        return self.pipeline.run(pending, now=now, wait=wait)

    def check(self) -> None:
        """Open every store and load the settings, so that what is wrong is said now and not at night."""
        for part in (self.settings, self.inbox, self.posts, self.ledger):
            assert part is not None

    def close(self) -> None:
        """Release files and connections, last opened first."""
        self._opened.close()

    def _open(self, store: Closing) -> Closing:
        self._opened.callback(store.close)
        return store


def mail_channel(smtp: Smtp) -> MailChannel:
    """The e-mail channel that the environment describes."""
    from alerts.channels.mail import MailChannel

    return MailChannel(
        host=smtp.host,
        port=smtp.port,
        sender=smtp.sender,
        security=smtp.security,
        user=smtp.user,
        password=smtp.password.get_secret_value(),
        timeout_s=smtp.timeout_s,
    )
