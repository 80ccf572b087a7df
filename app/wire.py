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
from domain.errors import ModelError

if TYPE_CHECKING:
    from alerts.channels.mail import MailChannel
    from alerts.outbox import Deliverer
    from alerts.pipeline import Pipeline
    from app.corrections import Corrector
    from app.mirror import Mirror
    from app.models import Models, Pending
    from app.switch import Switch
    from app.worker import Worker
    from monitor.watch import Watch
    from nlp.analyzer import Analyzer
    from nlp.runtime import Runtime
    from nlp.segment import Segmenter
    from nlp.stories import Stories
    from response.incidents import Desk
    from store.inbox import Inbox
    from store.ledger import Ledger
    from store.posts import Posts


class _Closes(Protocol):
    def close(self) -> None: ...


Closing = TypeVar("Closing", bound=_Closes)

MOST_REGROUPINGS = 5
"""Runs of the pipeline in a row: each takes back what hangs together with the mails of the one before."""
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
    """One wired application. ``close`` releases what was opened.

    ``patience_s``: how long opening the posts and asking them waits for an engine that does not answer; None: as long
    as a service does. A person who asks what is wrong waits for nothing.
    """

    def __init__(self, environment: Environment, clock: Clock, *, patience_s: float | None = None) -> None:
        self.environment = environment
        self.clock = clock
        self._patience_s = patience_s
        self._opened = ExitStack()
        self._loaded: tuple[Path, Runtime, Analyzer] | None = None

    @classmethod
    def from_environment(cls, variables: Mapping[str, str], *, patience_s: float | None = None) -> App:
        """The application that the environment describes. Raises ``ConfigError``."""
        return cls(read_environment(variables), Clock.from_environment(variables), patience_s=patience_s)

    @property
    def home(self) -> Path:
        """Where everything embedded lives."""
        return self.environment.home

    @property
    def rejects(self) -> Path:
        """Folder for what could not become a post."""
        return self.home / "rejects"

    @cached_property
    def settings(self) -> Settings:
        """All of ``config/``. Raises ``ConfigError``."""
        from config.load import load

        return load(self.environment.config)

    @cached_property
    def inbox(self) -> Inbox:
        """The queue before the classifier."""
        from store.inbox import open_inbox

        return self._open(open_inbox(self.environment.inbox_url, self.environment.inbox_access))

    @cached_property
    def segmenter(self) -> Segmenter:
        """jieba with the finance words, the brands' names and the topics' words."""
        from nlp.segment import Segmenter

        names = [name for b in self.settings.brands for name in (b.name, *b.aliases, *b.products)]
        return Segmenter([*names, *(word for topic in self.settings.topics for word in topic.words)])

    def cut(self, text: str) -> list[str]:
        """The words of a text for its index; a store that cuts none waits for no configuration."""
        return self.segmenter.parted(text)

    @cached_property
    def posts(self) -> Posts:
        """The judged posts."""
        from store.posts import open_posts

        given = self.environment
        return self._open(
            open_posts(given.posts_url, given.posts_access, segment=self.cut, patience_s=self._patience_s)
        )

    @cached_property
    def ledger(self) -> Ledger:
        """Decisions and state."""
        from store.ledger import open_ledger

        return self._open(open_ledger(self.environment.ledger_url, self.environment.ledger_access))

    @cached_property
    def mirror(self) -> Mirror | None:
        """Ledger → what Kibana sees; None where posts are embedded, for there is no Kibana then."""
        from app.mirror import Mirror
        from crawlers.privacy import mask
        from store.events import open_events

        given = self.environment
        events = open_events(given.posts_url, given.posts_access, patience_s=self._patience_s)
        if events is None:
            return None
        return Mirror(events=self._open(events), ledger=self.ledger, inbox=self.inbox, mask=mask)

    @cached_property
    def models(self) -> Models:
        """The models that are installed, and which one is in use."""
        from app.models import Models

        return Models(self.home, given=self.environment.model)

    @property
    def runtime(self) -> Runtime:
        """The model in use: another one as soon as it was switched in. Raises ``ModelError``."""
        directory = self.models.in_use()
        if self._loaded is None or self._loaded[0] != directory:
            runtime = self._load(directory)
            self._loaded = (directory, runtime, self._analyzer(runtime, self._stories))
        return self._loaded[1]

    def _load(self, directory: Path) -> Runtime:
        """Raises ``ModelError``, with the way out where there is one."""
        from nlp.runtime import Runtime

        try:
            return Runtime.load(directory)
        except ModelError as error:
            if self.models.given or len(self.models.lines()) < 2:
                raise
            raise ModelError(f"{error}；运行 yujing train --rollback 可退回上一个模型") from error

    @property
    def analyzer(self) -> Analyzer:
        """The classifier with the model in use. Raises ``ModelError``."""
        assert self.runtime and self._loaded
        return self._loaded[2]

    def analyzer_of(self, directory: Path) -> Analyzer:
        """The classifier with another model. Raises ``ModelError``."""
        from nlp.runtime import Runtime

        return self._analyzer(Runtime.load(directory), self._stories)

    @cached_property
    def analyzer_apart(self) -> Analyzer:
        """The classifier with the model in use, for a replay: its stories are its own, and forgotten with it.

        Raises ``ModelError``.
        """
        from nlp.stories import Stories
        from store.stories.sqlite import SqliteStories

        # The service's stories go by the id of a post: under the ids of a file they would be those of other texts.
        return self._analyzer(self._load(self.models.in_use()), self._open(Stories(SqliteStories(None))))

    @cached_property
    def _stories(self) -> Stories:
        from nlp.stories import Stories
        from store.stories import open_stories

        given = self.environment
        # Workers on several hosts must agree on the stories: they share the ledger's server where there is one.
        shared = given.ledger_url.startswith("postgresql")
        url = given.ledger_url if shared else f"sqlite:///{self.home}/stories.sqlite3"
        return self._open(Stories(open_stories(url, given.ledger_access)))

    @cached_property
    def owned(self) -> Mapping[str, str]:
        """Id of each source that belongs to one brand → that brand."""
        return {source.id: source.brand for source in self.settings.sources if source.brand}

    def _analyzer(self, runtime: Runtime, stories: Stories) -> Analyzer:
        from nlp.analyzer import Analyzer

        settings = self.settings
        return Analyzer(
            runtime=runtime,
            segmenter=self.segmenter,
            brands=settings.brands,
            stories=stories,
            about=self.owned,
            risk_words={word for topic in settings.topics for word in topic.words},
        )

    @cached_property
    def corrector(self) -> Corrector:
        """People's corrections over judgements."""
        from app.corrections import Corrector
        from nlp.brands import BrandMatcher

        return Corrector(self.ledger.corrections, BrandMatcher(self.settings.brands).brand_of)

    def erased(self) -> Mapping[str, object]:
        """The keys of the authors whose posts are not stored."""
        from store.ledger import ERASED

        return self.ledger.states.load(ERASED)

    @cached_property
    def switch(self) -> Switch:
        """From one model to another."""
        from app.switch import Switch

        return Switch(
            models=self.models,
            posts=lambda: self.posts,
            corrected=self.corrector.over,
            load=self.analyzer_of,
            recount=lambda now, why: self.watch.recount(now, why=why),
            record=self._record_switch,
            erased=self.erased,
        )

    def _record_switch(self, now: datetime, switched: Pending, rejudged: int) -> None:
        from store.ledger import AuditEntry

        name = switched.lines[-1]
        reason = f"从 {switched.before} 换成 {name}，重判 {rejudged} 条"
        self.ledger.audit.record(
            AuditEntry(at=now, actor=switched.by, action="model", subject=name, reason=reason)
        )

    @cached_property
    def worker(self) -> Worker:
        """Inbox → classifier → posts."""
        from app.worker import Worker
        from nlp.analyzer import influence

        return Worker(
            inbox=self.inbox,
            posts=self.posts,
            assessor=lambda: self.analyzer,
            influence=influence,
            corrected=self.corrector.over,
            erased=self.erased,
            own=self.owned.keys(),
            settled=self.switch.settled,
        )

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
        from alerts.muting import mute_watch
        from alerts.outbox import Deliverer
        from alerts.routes import night_watch

        channels = {"email": mail_channel(self.environment.smtp)}
        return Deliverer(
            self.ledger.outbox,
            channels,
            states=self.ledger.states,
            holds=(night_watch(self.settings.routes), mute_watch(self.ledger)),
        )

    def handle_alerts(self, now: datetime, *, wait: bool = True) -> None:
        """Open or join incidents for alerts that nobody has handled, and put their mails in the outbox.

        ``wait=False`` does not hold an alert back for others of its brand to join it in one mail.
        """
        from response.mails import sweep

        # Taken back before it is asked what is pending, and regrouped at once: no mail is left unwritten until a
        # next run, which may never come.
        sweep(self.ledger, now=now)
        for _ in range(MOST_REGROUPINGS):
            pending = self.ledger.alerts.pending()
            for alert in pending:
                self.desk.on_alert(alert, now=now)
            if not self.pipeline.run(pending, now=now, wait=wait).regroups:
                break

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
