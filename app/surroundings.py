"""What a Yujing stands on beside its stores, looked at for ``yujing doctor``: variables, home, clock, libraries."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import ssl
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib import metadata
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import Requirement

from app.cli import TRAINING
from app.clock import VARIABLE
from app.printing import address
from config.settings import Access, Environment
from domain.local_time import SHANGHAI, iso
from store.findings import Finding

LOW_DISK, NO_DISK = 2 << 30, 200 << 20
"""Free bytes in the home below which to warn, and below which something is wrong."""
HANDED_OVER = Path("/run/secrets")
"""Where container engines put secrets, readable for everybody inside of the container and for nobody outside."""
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows less was never set."""
SHOWN = ("scrapy", "jieba", "onnxruntime", "sqlalchemy", "elasticsearch", "redis", "psycopg")
_OTHERS = stat.S_IRWXO
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def variables(
    environment: Environment, given: Mapping[str, Path | None], raw: Mapping[str, str]
) -> Iterator[Finding]:
    """Addresses and secrets. ``given``: names of the secrets that are set, and the files that hold them."""
    for name, url, access in (
        ("YUJING_INBOX", environment.inbox_url, environment.inbox_access),
        ("YUJING_POSTS", environment.posts_url, environment.posts_access),
        ("YUJING_LEDGER", environment.ledger_url, environment.ledger_access),
    ):
        yield from _engine(name, url, access)
    for name, path in given.items():
        yield secret(name, path)
    if raw.get(VARIABLE):
        yield Finding(
            subject=VARIABLE,
            ok=True,
            text="时钟由环境变量给出，不是真实时间",
            remedy=f"除了演示和测试，不要设置 {VARIABLE}",
        )


def _engine(name: str, url: str, access: Access) -> Iterator[Finding]:
    subject, where = f"{name}_URL", address(url)
    if problem := _ca_problem(access.ca):
        yield Finding(subject=f"{name}_CA", ok=False, text=problem, remedy="换成签发服务器证书的 CA（PEM）")
    held = access.password.get_secret_value() or access.api_key.get_secret_value()
    if url.startswith("sqlite:"):
        yield Finding(subject=subject, ok=True, text=where)
        return
    parts = urlsplit(url)
    remedy = ""
    if parts.username and not held:
        remedy = (
            f"地址里有用户名，却没有 {name}_PASSWORD：服务器若要密码，就设置它（或 {name}_PASSWORD_FILE）"
        )
    elif held and parts.scheme in ("elasticsearch", "redis") and not _local(parts.hostname or ""):
        remedy = "密码不加密就走网络：换成 https:// 或 rediss://，或确认这段网络只有自己人"
    yield Finding(subject=subject, ok=True, text=where, remedy=remedy)


def _ca_problem(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        return f"{path} 不能用：{getattr(error, 'strerror', None) or type(error).__name__}"
    return ""


def _local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret(name: str, path: Path | None) -> Finding:
    """A secret that is set, and whether its file is closed to others; None: the variable itself holds it."""
    if path is None:
        return Finding(subject=name, ok=True, text="已设置")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Finding(
            subject=name, ok=False, text=f"文件 {path} 读不了（{error.strerror}）", remedy=f"核对 {name}_FILE"
        )
    if mode & stat.S_IROTH and not path.is_relative_to(HANDED_OVER):
        return Finding(
            subject=name, ok=False, text=f"文件 {path} 谁都能读", remedy=f"运行 chmod o-rwx {path}"
        )
    return Finding(subject=name, ok=True, text=f"已设置，在文件 {path} 里")


class HomeFolder:
    """The folder where everything embedded lives; see ``store.findings.Examined``."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def examine(self) -> list[Finding]:
        """Rights and room."""
        return [self._writable(), self._room(), *self._rights()]

    def mend(self) -> list[Finding]:
        """Take from others what they may not read."""
        done = []
        for path, forbidden in self._open_to_others():
            try:
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~forbidden)
                done.append(Finding(subject="权限", ok=True, text=f"已收紧 {path}"))
            except OSError as error:
                text = f"改不了 {path} 的权限（{error.strerror}）"
                done.append(Finding(subject="权限", ok=False, text=text, remedy="用属主的账号运行"))
        return done

    def _writable(self) -> Finding:
        try:
            with tempfile.TemporaryFile(dir=self._home) as file:
                file.write(b"yujing")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return Finding(
                subject="读写",
                ok=False,
                text=f"{self._home} 写不了（{error.strerror or error}）",
                remedy="检查属主、权限和剩余空间，以及磁盘是否只读",
            )
        return Finding(subject="读写", ok=True, text=f"{self._home} 可读写")

    def _room(self) -> Finding:
        free = shutil.disk_usage(self._home).free
        low = free < LOW_DISK
        return Finding(
            subject="磁盘",
            ok=free >= NO_DISK,
            text=f"剩余 {free / 2**30:.1f} GiB",
            remedy="在这块磁盘上腾出空间；缩短 service.yaml 的 retention_days 只让帖子库不再变大"
            if low
            else "",
        )

    def _rights(self) -> Iterator[Finding]:
        found = self._open_to_others()
        for path, forbidden in found:
            yield Finding(
                subject="权限",
                ok=path == self._home,
                text=f"{path} 对别的账号开放",
                remedy=f"运行 chmod {'o' if forbidden == _OTHERS else 'go'}-rwx {path}",
                mendable=True,
            )
        if not found:
            yield Finding(subject="权限", ok=True, text="别的账号读不到")

    def _open_to_others(self) -> list[tuple[Path, int]]:
        """What is readable for more accounts than it should be, with the bits to take away."""
        kept = (
            (self._home, _OTHERS),
            (self._home / "secret", _GROUP_AND_OTHERS),
            (self._home / "settings.env", _GROUP_AND_OTHERS),
        )
        return [
            (path, forbidden) for path, forbidden in kept if path.exists() and path.stat().st_mode & forbidden
        ]


def clock(now: datetime) -> Iterator[Finding]:
    """Time zone data and a plausible time."""
    offset = now.astimezone(SHANGHAI).utcoffset()
    if offset != timedelta(hours=8):
        yield Finding(
            subject="时区",
            ok=False,
            text=f"Asia/Shanghai 与 UTC 相差 {offset}，应为 8 小时",
            remedy="更新系统或 Python 的时区数据（tzdata）",
        )
    yield Finding(
        subject="时间",
        ok=now >= EARLIEST,
        text=iso(now),
        remedy="" if now >= EARLIEST else "系统时间没有校准：开启 NTP（timedatectl set-ntp true）",
    )


def program() -> Iterator[Finding]:
    """Python, SQLite and the libraries against what they must be."""
    fit = sys.version_info >= (3, 11)
    yield Finding(
        subject="Python",
        ok=fit,
        text=platform.python_version(),
        remedy="" if fit else "需要 Python 3.11 或更新的版本",
    )
    yield _sqlite()
    yield from _libraries()


def _sqlite() -> Finding:
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
        except sqlite3.Error:
            return Finding(
                subject="SQLite",
                ok=False,
                text=f"{sqlite3.sqlite_version}，不带 FTS5",
                remedy="换一个带 FTS5 的 Python，或把帖子库放到 Elasticsearch",
            )
    return Finding(subject="SQLite", ok=True, text=f"{sqlite3.sqlite_version}，带 FTS5")


def _libraries() -> Iterator[Finding]:
    try:
        required = [Requirement(line) for line in metadata.requires("yujing") or ()]
    except metadata.PackageNotFoundError:
        required = [Requirement(name) for name in SHOWN]
    left_out = sorted(each.name for each in required if each.name in TRAINING and not _version(each.name))
    if left_out:
        yield Finding(
            subject="训练",
            ok=True,
            text=f"没有安装 {'、'.join(left_out)}：不影响监测，只是不能训练",
            remedy="要训练就运行 make；容器里用 training 镜像",
        )
    required = [each for each in required if each.name not in left_out]
    wrong = [text for each in required if (text := _misfit(each))]
    for text in wrong:
        yield Finding(subject="库", ok=False, text=text, remedy="运行 make（按锁定的版本重装）")
    if not wrong:
        shown = "、".join(f"{name} {metadata.version(name)}" for name in SHOWN)
        yield Finding(subject="库", ok=True, text=f"{len(required)} 个都合要求：{shown}")


def _misfit(required: Requirement) -> str:
    """What is wrong with the installed version of a library; empty when nothing is."""
    if required.marker is not None and not required.marker.evaluate({"extra": ""}):
        return ""
    version = _version(required.name)
    if not version:
        return f"没有安装 {required.name}"
    if required.specifier.contains(version, prereleases=True):
        return ""
    return f"{required.name} {version} 不合要求 {required.specifier}"


def _version(library: str) -> str:
    """Of what is installed; empty when it is not."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
