"""Everything that a running Yujing needs, looked at part by part (``yujing doctor``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from app import surroundings, trial_mail
from app.clock import wall
from app.wire import mail_channel
from config.environment import config_of, merged, secret_of
from config.settings import Smtp
from domain.errors import ConfigError, YujingError
from domain.local_time import spoken
from store.findings import Examined, Finding

if TYPE_CHECKING:
    from app.mirror import Mirror
    from app.wire import App

TRIED = "在平台提现三天了还不到账，客服电话也打不通"
"""What the model judges to show that it can."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing to look at; what goes wrong while looking is a finding too."""

    name: str
    """Stands before the subject of each finding."""
    look: Callable[[], Iterable[Finding]]
    mend: Callable[[], Iterable[Finding]] | None = None
    remedy: str = ""
    """What to do when looking itself fails."""

    def examine(self, *, fix: bool = False) -> list[Finding]:
        """What is found; with ``fix``, what was put right and what is found after that."""
        found = self._guarded(self.look)
        if fix and self.mend is not None and any(each.mendable for each in found):
            found = [*self._guarded(self.mend), *self._guarded(self.look)]
        return found

    def _guarded(self, call: Callable[[], Iterable[Finding]]) -> list[Finding]:
        try:
            return [replace(each, subject=self._named(each.subject)) for each in call()]
        except YujingError as error:
            return [Finding(subject=self.name, ok=False, text=str(error), remedy=self.remedy)]
        except Exception as error:
            # One part that cannot be looked at must not hide the others. Not its words: a library's may tell
            # a secret.
            text = f"检查时程序出错（{type(error).__name__}）"
            return [Finding(subject=self.name, ok=False, text=text, remedy="请把这一行报告给开发者")]

    def _named(self, subject: str) -> str:
        return subject if subject.startswith(self.name) else f"{self.name}·{subject}"


def parts(
    factory: Callable[[], App],
    *,
    variables: Mapping[str, str],
    secrets: Mapping[str, Path | None],
    mail: bool = False,
) -> Iterator[Part]:
    """Everything to look at, in the order in which the one rests on the other.

    ``factory`` wires the application; ``secrets``: names of those that are set, and the files that hold them;
    ``mail``: whether everybody whom a route names is sent a test mail.
    """
    try:
        app = factory()
    except ConfigError as error:
        found = Finding(
            subject="变量", ok=False, text=str(error), remedy="先改好它：数据库、模型和发信还没有检查"
        )
        yield Part(name="环境", look=lambda: [found])
        yield Part(name="配置", look=lambda: _configuration(config_of(variables), variables))
    else:
        yield from _installed(app, variables, secrets)
        if mail:
            yield Part(
                name="测试邮件",
                look=lambda: trial_mail.to_everybody(app.settings.routes, app.environment.smtp, now=wall()),
                remedy="先让配置可用",
            )
    yield Part(name="时钟", look=lambda: surroundings.clock(wall()))
    yield Part(name="程序", look=surroundings.program)


def _installed(app: App, variables: Mapping[str, str], secrets: Mapping[str, Path | None]) -> Iterator[Part]:
    given, home = app.environment, surroundings.HomeFolder(app.home)
    yield Part(name="环境", look=lambda: surroundings.variables(given, secrets, variables))
    yield Part(name="数据目录", look=home.examine, mend=home.mend)
    yield Part(name="配置", look=lambda: _configuration(given.config, variables))
    yield Part(name="模型", look=lambda: _model(app), remedy="重新安装程序，或运行 yujing train --rollback")
    stores: tuple[tuple[str, str, Callable[[], Examined]], ...] = (
        ("收件箱", "YUJING_INBOX", lambda: app.inbox),
        ("帖子库", "YUJING_POSTS", lambda: app.posts),
        ("台账", "YUJING_LEDGER", lambda: app.ledger),
    )
    for name, variable, opened in stores:
        yield _store(name, variable, opened)
    if not given.posts_url.startswith("sqlite:"):
        yield Part(
            name="Kibana 副本",
            look=lambda: _mirror(app).examine(app.clock.now()),
            mend=lambda: _mirror(app).mend(),
            remedy="先让帖子库和台账可用",
        )
    yield Part(name="数据源", look=lambda: _sources(app), remedy="先让配置和台账可用")
    yield Part(
        name="发信",
        look=lambda: _mail(given.smtp),
        remedy=_mail_remedy(variables),
    )


def _store(name: str, variable: str, opened: Callable[[], Examined]) -> Part:
    return Part(
        name=name,
        look=lambda: opened().examine(),
        mend=lambda: opened().mend(),
        remedy=f"核对 {variable}_URL，让它可用后再检查",
    )


def _mirror(app: App) -> Mirror:
    assert app.mirror is not None  # posts are on an engine
    return app.mirror


def _configuration(folder: Path, variables: Mapping[str, str]) -> Iterator[Finding]:
    """The same as ``yujing check``, and what enabled sources need from the environment."""
    from config.load import check, load
    from config.notes import notes

    problems = check(folder)
    for problem in problems:
        yield Finding(subject="文件", ok=False, text=str(problem), remedy="改好后运行 yujing check")
    if problems:
        return
    settings = load(folder)
    enabled = [source for source in settings.sources if source.enabled]
    text = f"{folder}：品牌 {len(settings.brands)} 个，数据源启用 {len(enabled)} 个，路由 {len(settings.routes)} 条"
    yield Finding(subject="文件", ok=True, text=text)
    variables = merged(variables)
    for source in (each for each in enabled if each.cookie_env):
        name = source.cookie_env
        if secret_of(variables, name).get_secret_value():
            path = variables.get(f"{name}_FILE")
            yield surroundings.secret(name, Path(path) if path else None)
        else:
            yield Finding(
                subject=name,
                ok=False,
                text=f"没有设置，数据源 {source.name} 需要它",
                remedy=f"设置 {name}（或 {name}_FILE）为您自己的 Cookie，或停用它（enabled: false）",
            )
    for note in notes(settings):
        yield Finding(subject=note.subject, ok=True, text=note.text, remedy=note.remedy)


def _model(app: App) -> Iterator[Finding]:
    """Digests, loading, and one judgement."""
    from nlp.judgement import Item
    from nlp.labels import SENTIMENTS
    from nlp.runtime import Runtime

    runtime = Runtime.load(app.models.in_use())
    (judged,) = runtime.judge([Item(text=TRIED)], finance=True)
    share = judged.sentiment[SENTIMENTS.index(judged.best)]
    words = {"negative": "负面", "neutral": "中性", "positive": "正面"}
    text = f"{runtime.name}：文件与清单相符，试判一句得{words[judged.best]} {share:.0%}"
    yield Finding(subject="在用", ok=True, text=text)
    if app.models.pending() is not None:
        yield Finding(
            subject="切换",
            ok=True,
            text="换模型还没有完成",
            remedy="服务的下一次检测会接着做；没有服务在运行时，运行 yujing work --once",
        )


def _sources(app: App) -> Iterator[Finding]:
    """How the last crawl of each enabled source ended; nothing is fetched."""
    enabled = [source for source in app.settings.sources if source.enabled]
    last, seeing, now = app.ledger.source_runs.last(), app.ledger.source_runs.last_seeing(), app.clock.now()
    for source in enabled:
        run, seen = last.get(source.id), seeing.get(source.id)
        if run is None:
            text, remedy = "还没有抓取过", f"运行 yujing up，或 yujing crawl {source.id}"
            yield Finding(subject=source.name, ok=True, text=text, remedy=remedy)
            continue
        blind = seen is None or now - seen > timedelta(minutes=source.blind_after_min)
        text = f"{spoken(run.ended_at)} {run.word}" + (f"：{run.detail}" if run.detail else "")
        since = f"{spoken(seen)} 起失明" if seen else "从未看见过"
        yield Finding(
            subject=source.name,
            ok=not blind,
            text=f"{text}；{since}" if blind else text,
            remedy=f"运行 yujing crawl {source.id} 看原因" if blind else "",
        )
    if not enabled:
        yield Finding(
            subject="启用",
            ok=True,
            text="一个也没有",
            remedy="在 sources.yaml 里启用，或用 yujing import 导入已有的帖子",
        )


def _mail_remedy(variables: Mapping[str, str]) -> str:
    if secret_of(merged(variables), "YUJING_SMTP_URL").get_secret_value():
        return "核对 YUJING_SMTP_URL 和 YUJING_SMTP_PASSWORD：不通时预警只会留在发件箱里"
    return (
        "没有设置 YUJING_SMTP_URL，试的是默认地址：设置它；由别的部件发信时（Compose 的 deliver），到那里运行"
    )


def _mail(smtp: Smtp) -> Iterator[Finding]:
    """Connect, greet, encrypt, log in; no mail is sent here."""
    mail_channel(smtp).check()
    how = {"none": "不加密", "starttls": "STARTTLS", "tls": "TLS"}[smtp.security]
    text = f"{smtp.host}:{smtp.port} 接通（{how}{'，已登录' if smtp.user else ''}），没有发信"
    exposed = smtp.security == "none" and bool(smtp.user)
    remedy = "登录名和密码不加密就走网络：换成 smtps:// 或 smtp+starttls://" if exposed else ""
    yield Finding(subject="服务器", ok=True, text=text, remedy=remedy)
