"""``yujing init``: from nothing to a checked configuration and a first mail, in ten minutes."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.clock import wall
from app.first_config import Answers, parse_source, write_config
from app.whole_files import write_whole
from config.environment import home_of, merged, read_environment, secret_of
from config.settings import Smtp
from domain.errors import DeliveryError, UsageError, YujingError

EXAMPLE = (
    "例：yujing init --name 云桥金融 --alias 云桥 --competitor 安穗理财 --source weibo --source guba=600000 "
    "--to pr@example.com --smtp smtp+starttls://pr@mail.example.com:587 --smtp-password-file 发信密码.txt"
)

LOGIN = "YUJING_SMTP_PASSWORD"
"""The variable that holds the password of the mail login."""
Many = list[str] | None
_COMMA = re.compile("[,，、；]")
"""What people part a list with who type Chinese."""


def command(
    name: Annotated[str, typer.Option(help="品牌名称")] = "",
    alias: Annotated[Many, typer.Option(help="别名，可多次")] = None,
    product: Annotated[Many, typer.Option(help="产品名，可多次")] = None,
    competitor: Annotated[Many, typer.Option(help="竞品名称，可多次")] = None,
    source: Annotated[
        Many,
        typer.Option(
            help="数据源，可多次：weibo、guba=代码、heimao=公司编号、订阅源网址；@http://主机 改主机"
        ),
    ] = None,
    to: Annotated[Many, typer.Option(help="收件人，可多次")] = None,
    smtp: Annotated[
        str, typer.Option(help="发信服务器：smtp://、smtp+starttls:// 或 smtps://用户@主机:端口")
    ] = "",
    smtp_password_file: Annotated[
        Path | None, typer.Option(help="存放发信密码的文件（密码不写在命令行里）")
    ] = None,
    mail_from: Annotated[str, typer.Option(help="发件地址；默认取第一个收件人的域名")] = "",
    config: Annotated[Path | None, typer.Option(help="配置写到哪里；默认 $YUJING_HOME/config")] = None,
    test_mail: Annotated[
        bool, typer.Option("--test-mail/--no-test-mail", help="写好后发一封测试邮件")
    ] = True,
) -> None:
    """问几个问题（或全部用选项给出），写出带注释的配置，检查它，发一封测试邮件，并告诉您下一步。"""
    ask = _Ask(sys.stdin.isatty())
    answers = _asked(ask, name, alias, product, competitor, source, to)
    home = home_of(os.environ)
    folder = config or home / "config"
    url = ask.one("发信服务器（如 smtp+starttls://用户@主机:587）", smtp, "--smtp")
    variables = {
        "YUJING_CONFIG": str(folder.resolve()),
        "YUJING_SMTP_URL": url,
        "YUJING_MAIL_FROM": mail_from or f"yujing@{answers.recipients[0].rpartition('@')[2]}",
        **_password(ask, url, smtp_password_file),
    }
    _refuse_overruled(variables)
    environment = read_environment({**os.environ, **variables})
    with as_file(files("config")) as shipped:
        write_config(folder, answers, shipped=shipped)
    remembered = home / "settings.env"
    _remember(remembered, variables)
    print(f"配置已写到 {folder}，每一项都有注释；连接设置在 {remembered}")
    if test_mail:
        _send(answers, environment.smtp, remembered, now=wall())
    _say_next(answers, remembered)
    if _wants_password(url) and not _password_set({"YUJING_HOME": str(home)}):
        print(
            f"发信密码只在环境变量里，没有写下：启动服务时也要有它，或在 {remembered} 里加一行 {LOGIN}='密码'"
        )


def _asked(
    ask: _Ask, name: str, alias: Many, product: Many, competitor: Many, source: Many, to: Many
) -> Answers:
    """What was given as options, and answers to the rest. Raises ``UsageError``."""
    return Answers(
        name=ask.one("品牌名称", name, "--name"),
        aliases=ask.many("别名（逗号分隔，可空）", alias),
        products=ask.many("产品名（逗号分隔，可空）", product),
        competitors=ask.many("竞品（逗号分隔，可空）", competitor),
        sources=tuple(
            parse_source(text)
            for text in ask.many(
                "数据源（weibo、guba=代码、heimao=编号、订阅源网址；逗号分隔，可空）", source
            )
        ),
        recipients=ask.many("收件人邮箱（逗号分隔）", to) or ask.missing("--to"),
    )


def _password(ask: _Ask, url: str, file: Path | None) -> dict[str, str]:
    """The variable with the password of the mail login; none where none is needed or it is set already."""
    if file:
        return {f"{LOGIN}_FILE": str(file.resolve())}
    if not _wants_password(url) or _password_set(os.environ):
        return {}
    return {LOGIN: ask.secret("发信密码（输入时不显示）", f"--smtp-password-file 或环境变量 {LOGIN}")}


def _wants_password(url: str) -> bool:
    """Whether an address names a user and no password."""
    login = url.partition("://")[2].rpartition("@")[0]
    return bool(login) and ":" not in login


def _password_set(variables: Mapping[str, str]) -> bool:
    return bool(secret_of(merged(variables), LOGIN).get_secret_value())


def _say_next(answers: Answers, remembered: Path) -> None:
    print("下一步：yujing check（检查配置）→ yujing up（启动服务）→ yujing status（看数据源是否正常）")
    if any(source.kind == "weibo" and not source.base_url for source in answers.sources):
        print(
            f"微博搜索需要您自己的 Cookie：在 {remembered} 或环境变量里设置 "
            "YUJING_WEIBO_COOKIE（或 YUJING_WEIBO_COOKIE_FILE，指向存放它的文件）"
        )
    if not answers.sources:
        print(
            "还没有启用任何数据源：在 sources.yaml 里把 enabled 改成 true，或用 yujing import 导入已有的帖子"
        )


class _Ask:
    """Asks on a terminal; elsewhere what is missing is a wrong use."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def one(self, question: str, given: str, option: str) -> str:
        if given or not self._terminal:
            return given.strip() or self.missing(option)
        return str(typer.prompt(question)).strip() or self.missing(option)

    def secret(self, question: str, option: str) -> str:
        return str(typer.prompt(question, hide_input=True)) if self._terminal else self.missing(option)

    def many(self, question: str, given: list[str] | None) -> tuple[str, ...]:
        if given is None and self._terminal:
            given = _COMMA.split(str(typer.prompt(question, default="", show_default=False)))
        return tuple(text.strip() for text in given or () if text.strip())

    @staticmethod
    def missing(option: str) -> NoReturn:
        raise UsageError(f"缺少 {option}")


def _refuse_overruled(variables: dict[str, str]) -> None:
    """The environment comes before what is written here: where it says something else, nobody would use that."""
    for name in map(_base, variables):
        new, old = (secret_of(each, name).get_secret_value() for each in (variables, os.environ))
        if name == "YUJING_CONFIG" and old:
            old = str(Path(old).resolve())
        if old and old != new:
            given = name if os.environ.get(name) else f"{name}_FILE"
            raise UsageError(
                f"环境变量 {given} 已是别的值，会盖过 init 写下的；先 unset {given}"
                "（也从 profile 或服务单元里去掉），或给出相同的值"
            )


def _remember(path: Path, variables: dict[str, str]) -> None:
    """Put the variables in the place of what was set for them; other lines, of engines and secrets say, stay."""
    lines = ["# yujing init 写下的连接设置；环境变量优先于这里。可以 source。"]
    given = {_base(key) for key in variables}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            old = path.read_text("utf-8").splitlines()
            lines = [line for line in old if _base(line.partition("=")[0].strip()) not in given]
        lines += [f"{key}={shlex.quote(value)}" for key, value in variables.items()]
        write_whole(path, "".join(f"{line}\n" for line in lines), mode=0o600)
    except OSError as error:
        raise YujingError(f"{path}：写不了连接设置（{error.strerror or error}）") from error


def _base(name: str) -> str:
    return name.removesuffix("_FILE")


def _send(answers: Answers, smtp: Smtp, remembered: Path, *, now: datetime) -> None:
    from app import trial_mail

    subject = f"【测试】舆警已为「{answers.name}」准备好"
    text = (
        f"这是一封测试邮件。\n\n舆警将监测「{answers.name}」"
        f"（别名：{'、'.join(answers.aliases) or '无'}；竞品：{'、'.join(answers.competitors) or '无'}）。\n"
        "出现异常时，您会在这个邮箱收到预警：级别、一句话原因、网友的原话、24 小时曲线、建议的预案。\n"
    )
    for recipient in answers.recipients:
        try:
            trial_mail.send(smtp, recipient, subject=subject, text=text, now=now)
        except DeliveryError as error:
            raise DeliveryError(
                f"配置已写好，但测试邮件没有发出：{error}；连接设置在 {remembered}，"
                "收件人在 routes.yaml，改好后运行 yujing doctor --mail 再试，不必重来"
            ) from error
    print(f"测试邮件已发给 {'、'.join(answers.recipients)}")
