"""Typed, frozen settings: the shape of every file in ``config/`` and of the environment.

``config.load`` reads and checks the files; nothing here touches the disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from domain.alert import Level
from domain.plan import Plan
from domain.post import Tier

LevelName = Literal["blue", "yellow", "orange", "red"]
Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]
# Every number has an upper bound, above which it can only be a mistake: time reckoned with it would leave the calendar.
Minutes = Annotated[int, Field(gt=0, le=60 * 24 * 31)]
Hours = Annotated[float, Field(gt=0, le=24 * 366)]
Days = Annotated[float, Field(gt=0, le=3660)]
Count = Annotated[int, Field(gt=0, le=1_000_000)]


def _http(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if "@" in parts.netloc:
        raise ValueError("must hold no user and no password")
    return value


HttpUrl = Annotated[str, AfterValidator(_http)]


class Frozen(BaseModel):
    """Base of all settings: unknown keys are errors, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Limits(Frozen):
    """Fixed limits beside the learned ones; each absent until set."""

    volume: Count | None = None
    """Negative posts in an hour above which to signal."""
    share: Share | None = None
    """Negative share of an hour above which to signal …"""
    share_posts: Count = 10
    """… when at least so many posts were counted."""
    verified_red: bool = False
    """Signal any negative post on a topic whose plan is red from a verified medium."""


class Brand(Frozen):
    """A company whose name is watched (``brands.yaml``)."""

    id: Id
    name: str = Field(min_length=1)
    aliases: tuple[str, ...] = ()
    """Other spellings; matched after normalisation, longest first."""
    not_followed_by: tuple[str, ...] = ()
    """Words that, right after an alias, make it mean something else."""
    not_in: tuple[str, ...] = ()
    """Longer words that contain an alias and must not match."""
    products: tuple[str, ...] = ()
    """Product names; naming one names the brand."""
    kind: Literal["own", "competitor"] = "own"
    """Own brands alert; competitors are only counted, unless ``alert`` says otherwise."""
    alert: bool | None = None
    limits: Limits | None = None
    """This brand's fixed limits; absent: none."""

    @property
    def alerts(self) -> bool:
        """Whether a crisis of this brand raises an alert."""
        return self.kind == "own" if self.alert is None else self.alert


class Source(Frozen):
    """One place that is crawled (``sources.yaml``)."""

    id: Id
    kind: Literal["feed", "weibo", "guba", "heimao"]
    """Which spider reads it."""
    name: str
    """Shown to people."""
    base_url: HttpUrl
    """Scheme and host; the code knows no other address."""
    platform: str
    """Platform of its posts."""
    brand: str = ""
    """Brand id that all posts of this source are about (a company's own board), named in them or not."""
    enabled: bool = True
    every_min: Minutes = 10
    """Minutes between crawls."""
    queries: tuple[str, ...] = ()
    """Search words (weibo)."""
    paths: tuple[str, ...] = ()
    """Feed paths (feed), board codes (guba), company ids (heimao)."""
    pages: int = Field(default=3, gt=0, le=100)
    """Result pages to walk; more while most on them is new."""
    tier: Tier = Tier.USER
    """Tier of an author of whom nothing else is known."""
    delay_s: float = Field(default=1.0, ge=0, le=3600)
    """Least seconds between two requests."""
    concurrency: int = Field(default=2, gt=0, le=16)
    timeout_s: float = Field(default=20.0, gt=0, le=600)
    """Seconds for one page."""
    limit_s: float = Field(default=300.0, gt=0, le=86_400)
    """Seconds for the whole crawl."""
    obey_robots: bool = True
    cookie_env: str = ""
    """Name of the environment variable (or its ``_FILE``) that holds this source's cookie."""
    blind_after_min: Minutes = 60
    """Minutes without a seeing crawl after which the source counts as blind."""


class Topic(Frozen):
    """A crisis topic (``topics.yaml``)."""

    id: Id
    name: str
    words: tuple[str, ...]
    """Words of real posts; they teach jieba and mark text, they do not decide."""
    weight: float = Field(ge=0, le=20)
    """Points of topic sensitivity in the level's score."""
    plan: Id
    """Plan proposed for it."""


class Baselines(Frozen):
    """How the usual is learned (monitor/baseline.py)."""

    level_days: Days = 7
    shrink_hours: Hours = 72
    weekly_after_days: Days = 28
    reread_hours: float = Field(default=6, gt=0, le=24 * 31)
    """A tick rereads so much; older buckets are absorbed."""
    rebuild_days: int = Field(default=28, gt=0, le=3660)


class Detection(Frozen):
    """When a count is a finding (monitor/detectors.py)."""

    tick_min: int = Field(default=5, gt=0, le=60 * 24)
    tail: float = Field(default=3.0, gt=0, le=300)
    """A = −log10 P at which to fire."""
    share_z: float = Field(default=2.0, ge=0, le=100)
    min_negatives: Count = 5
    """Least negatives in the last hour."""
    slow_burn: float = Field(default=8.0, gt=0, le=1000)
    """CUSUM height in standard deviations at which the slow burn fires."""
    new_high_hours: Hours = 24
    """What was told longer ago than this no longer hides a new high."""
    min_history_hours: Hours = 72
    """Less history than this is said to be thin (数据不足)."""


class LevelThresholds(Frozen):
    """Scores at which a level begins, and what keeps it (monitor/levels.py)."""

    blue: float = Field(default=30, gt=0, le=100)
    yellow: float = Field(default=50, gt=0, le=100)
    orange: float = Field(default=70, gt=0, le=100)
    red: float = Field(default=85, gt=0, le=100)
    downgrade_after_hours: float = Field(default=6, ge=0, le=24 * 366)
    """Hours below a level's threshold before it may be lowered."""
    distinct_authors: Count = 5
    """Distinct asserting authors that a hard trigger resting on posts needs."""


class Rules(Frozen):
    """``rules.yaml``."""

    baselines: Baselines = Baselines()
    detection: Detection = Detection()
    levels: LevelThresholds = LevelThresholds()


class QuietHours(Frozen):
    """Local time of night in which only grave alerts are sent."""

    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    from_level: LevelName = "orange"
    """At night nothing below this level is sent; it waits for the morning."""


class Route(Frozen):
    """Who gets what from which level (``routes.yaml``)."""

    name: str
    level: LevelName
    """From this level up."""
    brands: tuple[str, ...] = ()
    """Brand ids; empty: all."""
    topics: tuple[str, ...] = ()
    """Topic ids; empty: all."""
    plans: tuple[str, ...] = ()
    """Only topics with one of these plans; empty: all."""
    operator: bool = False
    """Gets operator alerts (blind sources, whatever ``level`` says) instead of reputation alerts."""
    channel: Literal["email"] = "email"
    to: tuple[str, ...] = Field(min_length=1)
    """E-mail addresses."""
    quiet_hours: QuietHours | None = None
    cooldown_min: Minutes = 60
    """At most one mail per incident in so many minutes unless the level rises."""
    group_wait_s: float = Field(default=30, ge=0, le=86_400)
    """Seconds to wait for alerts of the same brand to come together in one mail."""


class Schedules(Frozen):
    """Crons of the service (``service.yaml``)."""

    retention: str = "17 4 * * *"
    """Cron (five fields, Asia/Shanghai) of the clean-up."""
    retention_days: int = Field(default=180, gt=0, le=36_500)
    """Raw text older than this is deleted."""
    deliver_every_s: float = Field(default=10, gt=0, le=3600)
    work_every_s: float = Field(default=2, gt=0, le=3600)


class Settings(Frozen):
    """All of ``config/``, checked."""

    folder: Path
    brands: tuple[Brand, ...]
    sources: tuple[Source, ...]
    topics: tuple[Topic, ...]
    rules: Rules
    routes: tuple[Route, ...]
    service: Schedules
    plans: dict[str, Plan]
    """By plan id."""

    def brand(self, id_: str) -> Brand:
        """The brand of an id. Raises ``KeyError``."""
        return {brand.id: brand for brand in self.brands}[id_]

    def topic(self, id_: str) -> Topic:
        """The topic of an id. Raises ``KeyError``."""
        return {topic.id: topic for topic in self.topics}[id_]

    def plan_for(self, topic: str, level: Level) -> Plan | None:
        """The plan proposed for a topic at a level; None for an unknown topic or below ``propose_from``."""
        for known in self.topics:
            if known.id == topic:
                plan = self.plans[known.plan]
                return plan if level >= plan.propose_from else None
        return None


class Smtp(Frozen):
    """How mail leaves (environment: ``YUJING_SMTP_URL``, ``YUJING_SMTP_PASSWORD``, ``YUJING_MAIL_FROM``)."""

    host: str = "127.0.0.1"
    port: int = Field(default=25, gt=0, lt=65536)
    security: Literal["none", "starttls", "tls"] = "none"
    user: str = ""
    password: SecretStr = SecretStr("")
    sender: str = "yujing@localhost"
    timeout_s: float = 20.0


class Access(Frozen):
    """What opens an engine beside its address; every field may be empty."""

    password: SecretStr = SecretStr("")
    api_key: SecretStr = SecretStr("")
    """Elasticsearch: the encoded form, ``base64(id:key)``."""
    ca: Path | None = None
    """PEM file of the authority that signed the server's certificate; None: the system's own."""


NO_ACCESS = Access()
"""For engines that ask for nothing, as the embedded ones."""


class Environment(Frozen):
    """What comes from environment variables or ``*_FILE`` (config/environment.py)."""

    home: Path
    """``YUJING_HOME``: where everything embedded lives."""
    config: Path
    """``YUJING_CONFIG``: the folder of YAML files."""
    inbox_url: str
    posts_url: str
    ledger_url: str
    """Addresses without secrets."""
    inbox_access: Access = Access()
    posts_access: Access = Access()
    ledger_access: Access = Access()
    smtp: Smtp
    secret: SecretStr
    """``YUJING_SECRET``: key of the author hash; made once under the home when absent."""
    model: Path | None = None
    """``YUJING_MODEL``: another model directory than the one in use."""
