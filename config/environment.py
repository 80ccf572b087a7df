"""What comes from the environment: where things live, how mail leaves, secrets.

Every variable ``NAME`` may be given as ``NAME_FILE``, the path of a file that holds the value (as Docker
and systemd hand secrets over). ``settings.env`` in the home, written by ``yujing init``, stands in for
variables that are not set. No message ever shows a value.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from config.mailbox import is_mailbox
from config.problems import near
from config.settings import Access, Environment, Smtp
from domain.errors import ConfigError, UsageError

VARIABLES = {
    "YUJING_HOME": "内置数据库和密钥所在的文件夹；默认 $XDG_DATA_HOME/yujing，或 ~/.local/share/yujing",
    "YUJING_CONFIG": "配置文件夹；默认 $YUJING_HOME/config（有 brands.yaml 时），否则用出厂配置",
    "YUJING_INBOX_URL": "收件队列；默认 sqlite:///$YUJING_HOME/inbox.sqlite3；"
    "或 redis://用户@主机:6379/0（加密用 rediss://）",
    "YUJING_INBOX_PASSWORD": "Redis 的密码",
    "YUJING_INBOX_CA": "签发 Redis 证书的 CA（PEM 文件）；默认用系统的",
    "YUJING_POSTS_URL": "帖子库；默认 sqlite:///$YUJING_HOME/posts.sqlite3；"
    "或 elasticsearch://用户@主机:9200（加密用 https://）",
    "YUJING_POSTS_PASSWORD": "Elasticsearch 的密码",
    "YUJING_POSTS_API_KEY": "Elasticsearch 的 API key（编码后的一串），代替用户名和密码",
    "YUJING_POSTS_CA": "签发 Elasticsearch 证书的 CA（PEM 文件）；默认用系统的",
    "YUJING_LEDGER_URL": "台账；默认 sqlite:///$YUJING_HOME/ledger.sqlite3；"
    "或 postgresql+psycopg://用户@主机:5432/库名",
    "YUJING_LEDGER_PASSWORD": "PostgreSQL 的密码",
    "YUJING_LEDGER_CA": "签发 PostgreSQL 证书的 CA（PEM 文件）；设置后核对证书和主机名",
    "YUJING_KIBANA_PASSWORD": "导入 Kibana 看板用的密码（用户写在 yujing kibana --push 的地址里）",
    "YUJING_KIBANA_API_KEY": "Kibana 的 API key（编码后的一串），代替用户名和密码",
    "YUJING_KIBANA_CA": "签发 Kibana 证书的 CA（PEM 文件）；默认用系统的",
    "YUJING_SMTP_URL": "发信服务器：smtp://、smtp+starttls:// 或 smtps://，形如 smtps://用户@主机:端口；"
    "默认 smtp://127.0.0.1:25",
    "YUJING_SMTP_PASSWORD": "发信密码",
    "YUJING_MAIL_FROM": "发件地址；默认 yujing@localhost",
    "YUJING_SECRET": "作者散列等用的密钥，至少 16 个字符；默认在 $YUJING_HOME/secret 生成一次",
    "YUJING_MODEL": "另一个模型文件夹；默认用在用的模型（yujing train 装上的，否则随附的）",
    "YUJING_TO_PASSWORD": "yujing migrate 的目标的密码",
    "YUJING_TO_API_KEY": "yujing migrate 的目标的 API key，代替用户名和密码",
    "YUJING_TO_CA": "签发 yujing migrate 的目标的证书的 CA（PEM 文件）；默认用系统的",
}
"""Every variable, and what it is for; the documentation and the checks read this table."""

_SECRET = ("_PASSWORD", "_API_KEY", "_SECRET")
"""Endings of the names of secrets."""
_SECURITY = {"smtp": ("none", 25), "smtp+starttls": ("starttls", 587), "smtps": ("tls", 465)}
_MAX_BYTES = 64 * 1024


def home_of(variables: Mapping[str, str]) -> Path:
    """The folder where everything embedded lives; absolute, perhaps not made yet. Raises ``ConfigError``."""
    given = _value(variables, "YUJING_HOME")
    if not given:
        data = variables.get("XDG_DATA_HOME", "")
        if data.startswith("/"):
            return Path(data) / "yujing"
        given = "~/.local/share/yujing"
    try:
        if given == "~" or given.startswith("~/"):
            user_home = variables.get("HOME", "")
            if not user_home.startswith("/"):
                raise ConfigError("YUJING_HOME 未设置，也没有 HOME 可作默认值")
            return Path(user_home) / given[2:]
        return Path(given).absolute()
    except (OSError, ValueError) as error:
        raise ConfigError("YUJING_HOME 不是有效的路径") from error


def read_environment(variables: Mapping[str, str]) -> Environment:
    """The typed environment; makes the home and its secret when they are not there.

    Raises ``ConfigError`` naming the variable, never its value.
    """
    home = home_of(variables)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"YUJING_HOME：建不了文件夹 {home}（{getattr(error, 'strerror', error)}）"
        ) from error
    variables = merged(variables)
    _refuse_near_misses(variables)
    model = _value(variables, "YUJING_MODEL")
    inbox_url, inbox_access = _engine(variables, "YUJING_INBOX", home / "inbox.sqlite3")
    posts_url, posts_access = _engine(variables, "YUJING_POSTS", home / "posts.sqlite3")
    ledger_url, ledger_access = _engine(variables, "YUJING_LEDGER", home / "ledger.sqlite3")
    return Environment(
        home=home,
        config=_config_folder(variables, home),
        inbox_url=inbox_url,
        posts_url=posts_url,
        ledger_url=ledger_url,
        inbox_access=inbox_access,
        posts_access=posts_access,
        ledger_access=ledger_access,
        smtp=_smtp(variables),
        secret=SecretStr(_secret(variables, home)),
        model=Path(model).absolute() if model else None,
    )


def merged(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, and behind them those of ``settings.env`` where neither form of a name is set.

    Raises ``ConfigError``.
    """
    path = home_of(variables) / "settings.env"
    found = dict(variables)
    if not path.exists():
        return found
    for number, line in enumerate(_file(str(path.name), path).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            word, behind = _first_word(line)
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: 引号不成对") from error
        name, equals, value = word.partition("=")
        base = name.removesuffix("_FILE")
        if (behind and not behind.startswith("#")) or not equals or not base.startswith("YUJING_"):
            raise ConfigError(f"{path}:{number}: 需要 YUJING_名字=值")
        if not variables.get(base) and not variables.get(f"{base}_FILE"):
            found[name] = value
    return found


def config_of(variables: Mapping[str, str]) -> Path:
    """The configuration folder alone; makes nothing. Raises ``ConfigError``."""
    return _config_folder(merged(variables), home_of(variables))


def posts_url_of(variables: Mapping[str, str]) -> str:
    """The address of the posts alone, without a password; makes nothing. Raises ``ConfigError``."""
    return _engine(merged(variables), "YUJING_POSTS", home_of(variables) / "posts.sqlite3")[0]


def secret_of(variables: Mapping[str, str], name: str) -> SecretStr:
    """One secret by the name of its variable, or its ``_FILE``; empty when not set. Raises ``ConfigError``."""
    return SecretStr(_value(variables, name))


def secrets_given(variables: Mapping[str, str]) -> dict[str, Path | None]:
    """Names of the secrets that are set, with the file that holds each; None: the variable itself holds it.

    Raises ``ConfigError``.
    """
    variables = merged(variables)
    found: dict[str, Path | None] = {}
    for name in VARIABLES:
        if name.endswith(_SECRET) and (variables.get(name) or variables.get(f"{name}_FILE")):
            path = variables.get(f"{name}_FILE")
            found[name] = Path(path).absolute() if path else None
    return found


def target_of(variables: Mapping[str, str], url: str) -> tuple[str, Access]:
    """The address that ``yujing migrate`` was given, and what opens it. Raises ``ConfigError``, ``UsageError``."""
    if _without_password(url, "--to")[1] or re.search(r"[?&][^=&]*pass[^=&]*=", url, re.I):
        raise UsageError(
            "密码不要写在命令行里：放进 YUJING_TO_PASSWORD，或 YUJING_TO_PASSWORD_FILE 指向的文件"
        )
    return url, _access(merged(variables), "YUJING_TO")


def kibana_access(variables: Mapping[str, str]) -> Access:
    """What opens Kibana for ``yujing kibana --push``. Raises ``ConfigError``."""
    return _access(merged(variables), "YUJING_KIBANA")


def _value(variables: Mapping[str, str], name: str) -> str:
    """The value of a variable or of the file that ``NAME_FILE`` names; empty when neither is set."""
    direct, path = variables.get(name, ""), variables.get(f"{name}_FILE", "")
    if direct and path:
        raise ConfigError(f"{name} 和 {name}_FILE 只能设置一个")
    value = _file(f"{name}_FILE", Path(path)) if path else direct
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ConfigError(f"{name} 含有控制字符或换行")
    return value


def _file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ConfigError(f"{name}：文件 {path} 太大")
        return raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}：文件 {path} 不是 UTF-8 编码") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}：文件 {path} 读不了（{getattr(error, 'strerror', error)}）") from error


def _first_word(line: str) -> tuple[str, str]:
    """The first word of a line without its quotes, and what stands behind it.

    As a shell reads them: a ``#`` within a word is no comment, which ``shlex.split`` would make of it.
    """
    rest = io.StringIO(line)
    reader = shlex.shlex(rest, posix=True)
    reader.whitespace_split, reader.commenters = True, ""
    return reader.get_token() or "", rest.read().strip()


def _refuse_near_misses(variables: Mapping[str, str]) -> None:
    """A mistyped name would otherwise be ignored without a word."""
    known = {*VARIABLES, *(f"{name}_FILE" for name in VARIABLES)}
    for name in sorted(variables):
        if name.startswith("YUJING_") and name not in known:
            meant = near(name, known, cutoff=0.9)
            if meant:
                raise ConfigError(f"不认识的环境变量 {name}（是不是想写 {meant}？）")


def _config_folder(variables: Mapping[str, str], home: Path) -> Path:
    given = _value(variables, "YUJING_CONFIG")
    if given:
        return Path(given).absolute()
    own = home / "config"
    return own if (own / "brands.yaml").exists() else shipped()


def shipped() -> Path:
    """The folder of the configuration that comes with the program."""
    return Path(str(files("config")))


def _engine(variables: Mapping[str, str], prefix: str, default: Path) -> tuple[str, Access]:
    """The address of a store without its password, and what opens it; a password may stand in the address too."""
    name = f"{prefix}_URL"
    url = _value(variables, name) or f"sqlite:///{default}"
    if "://" not in url:
        raise ConfigError(f"{name} 需要网址形式，例如 sqlite:////var/lib/yujing/{default.name}")
    url, inside = _without_password(url, name)
    return url, _access(variables, prefix, inside)


def _access(variables: Mapping[str, str], prefix: str, inside: str = "") -> Access:
    """What opens an engine; ``inside``: the password that stood in its address."""
    # Not every engine has each of them; what an engine lacks is no variable and stays empty.
    password, api_key, ca = (
        _value(variables, other) if (other := f"{prefix}_{last}") in VARIABLES else ""
        for last in ("PASSWORD", "API_KEY", "CA")
    )
    if inside and password:
        raise ConfigError(f"密码在 {prefix}_URL 和 {prefix}_PASSWORD 里只能写一处")
    if api_key and (inside or password):
        raise ConfigError(f"{prefix}_API_KEY 和密码只能设置一个")
    return Access(
        password=SecretStr(inside or password),
        api_key=SecretStr(api_key),
        ca=Path(ca).absolute() if ca else None,
    )


def _without_password(url: str, name: str) -> tuple[str, str]:
    if url.startswith("sqlite:"):
        return url, ""
    try:
        parts = urlsplit(url)
        inside, where = unquote(parts.password or ""), parts.netloc.rpartition("@")[2]
        parts.port  # noqa: B018  raises for a port that is no number
    except ValueError:
        # "from None": the library's words may repeat the address, and with it the password.
        raise ConfigError(f"{name} 不是有效的网址（密码里的特殊字符要写成 %XX）") from None
    user = f"{parts.username}@" if parts.username else ""
    return parts._replace(netloc=f"{user}{where}").geturl(), inside


def _smtp(variables: Mapping[str, str]) -> Smtp:
    sender = _value(variables, "YUJING_MAIL_FROM") or "yujing@localhost"
    if not is_mailbox(sender):
        raise ConfigError("YUJING_MAIL_FROM 不是邮箱地址")
    password = _value(variables, "YUJING_SMTP_PASSWORD")
    url = _value(variables, "YUJING_SMTP_URL")
    if not url:
        if password:
            raise ConfigError("设置了 YUJING_SMTP_PASSWORD，却没有设置 YUJING_SMTP_URL")
        return Smtp(sender=sender)
    try:
        parts = urlsplit(url)
        security, usual = _SECURITY[parts.scheme]
        host, port = parts.hostname, parts.port if parts.port is not None else usual
    except (KeyError, ValueError) as error:
        raise ConfigError("YUJING_SMTP_URL 需要 smtp://、smtp+starttls:// 或 smtps:// 地址") from error
    if not host or not 0 < port < 65536 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError("YUJING_SMTP_URL 需要形如 smtps://用户@主机:端口 的地址")
    if parts.password and password:
        raise ConfigError("密码在 YUJING_SMTP_URL 和 YUJING_SMTP_PASSWORD 里只能写一处")
    user, password = unquote(parts.username or ""), password or unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ConfigError(
            "YUJING_SMTP_URL 里有用户名，需要 YUJING_SMTP_PASSWORD"
            if user
            else "设置了 YUJING_SMTP_PASSWORD，但 YUJING_SMTP_URL 里没有用户名"
        )
    return Smtp.model_validate(
        {
            "host": host,
            "port": port,
            "security": security,
            "user": user,
            "password": SecretStr(password),
            "sender": sender,
        }
    )


def _secret(variables: Mapping[str, str], home: Path) -> str:
    given = _value(variables, "YUJING_SECRET")
    if given:
        if len(given) < 16:
            raise ConfigError("YUJING_SECRET 太短，至少 16 个字符")
        return given
    path = home / "secret"
    if not path.exists():
        _make_secret(path)
    kept = _file("YUJING_SECRET", path)
    if len(kept) < 16:
        raise ConfigError(f"YUJING_SECRET：文件 {path} 是空的或被截断；恢复它，否则作者散列前后不一致")
    return kept


def _make_secret(path: Path) -> None:
    """Write a new secret whole or not at all; of two processes at once, the first wins."""
    draft = path.with_name(f".secret-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        finally:
            draft.unlink()
    except OSError as error:
        raise ConfigError(f"YUJING_SECRET：写不了 {path}（{error.strerror}）") from error
