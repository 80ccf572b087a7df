"""One SQLite file, shared by the threads of a process and by several processes.

Write-ahead log with ``synchronous=FULL``: a commit that returned survives ``kill -9`` and a power cut
(NORMAL would survive the first alone, and could even lose a ``put`` whose ``acknowledge``, in another
file, was kept). Writers begin with ``BEGIN IMMEDIATE``, so that two of them queue up instead of failing
half-way; readers never wait.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.errors import ConfigError, StoreError
from store.findings import Finding

BUSY_S = 20.0
"""Seconds a writer waits for another process before it gives up."""
IDLE_CONNECTIONS = 8
"""Connections kept open for the next user; more are closed after use."""
LOW_SPACE = 1 << 20
"""Fewer free bytes than this on the file's disk explain any refusal to write."""
SCARCE_SPACE = 1 << 30
"""Fewer free bytes than this are worth a word before they run out."""
PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-32768",
    # Indexes scatter their writes: the longer the log, the more of them share a page when it is folded in.
    # 8,000 pages (32 MB) take 40 % more posts a second than the usual 1,000.
    "PRAGMA wal_autocheckpoint=8000",
    "PRAGMA journal_size_limit=67108864",
)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since the epoch."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The aware UTC time of ``micros``."""
    return _EPOCH + timedelta(microseconds=value)


def sqlite_path(url: str, what: str, *, others: str = "") -> Path:
    """The file that ``sqlite:///path`` names (``sqlite:////path`` is absolute); ``what`` is shown to people.

    ``others`` are the addresses of other engines, for the one who mistyped theirs.

    Raises ``ConfigError`` for any other address; it names the scheme alone, for the rest may hold a password.
    """
    scheme, separator, path = url.partition("://")
    if not separator or scheme != "sqlite":
        shown = scheme if separator and scheme.replace("+", "").isalnum() else "(没有协议名)"
        raise ConfigError(f"{what}的地址不支持 {shown}：本版本支持 sqlite:///路径{others}")
    if not path.startswith("/") or path in ("/", "/:memory:"):
        raise ConfigError(f"{what}的地址缺少文件路径：应写成 sqlite:///相对路径 或 sqlite:////绝对路径")
    return Path(path[1:])


def prepare(path: Path) -> None:
    """Make the folder of a database file, and refuse what SQLite would misread. Raises ``StoreError``."""
    try:
        if path.is_dir():
            raise StoreError(f"{path} 是一个目录，不是数据库文件：请改用别的路径")
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.with_name(path.name + "-wal")
        # SQLite takes an empty file for a new database and deletes the log beside it, with all it holds.
        emptied = path.exists() and path.stat().st_size == 0 and log.exists() and log.stat().st_size > 0
    except (OSError, ValueError) as error:
        raise os_failure(path, error) from error
    if emptied:
        raise StoreError(f"数据库文件 {path} 被清空了：请先备份 {log.name}，再从备份恢复")


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time. Raises ``sqlite3.Error``."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def configure(connection: sqlite3.Connection) -> None:
    """Set what every connection of ours has set. Raises ``sqlite3.Error``."""
    use_log(connection)
    for pragma in PRAGMAS:
        connection.execute(pragma).fetchone()


def use_log(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. Raises ``sqlite3.Error``.

    Two processes that turn it on for a new file at once get in each other's way, and SQLite answers "locked" at once
    instead of waiting: one of them would wait for ever.
    """
    until = time.monotonic() + BUSY_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return  # also where there is no such log: in memory, and on some network file systems


def os_failure(path: Path, error: OSError | ValueError) -> StoreError:
    """What a refusal of the operating system means for the person in front of it."""
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _full(path)
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"没有写入 {path} 的权限：请检查文件与目录的属主和权限，以及磁盘是否只读")
    if code in (errno.ENOTDIR, errno.EEXIST):
        return StoreError(f"{path} 的上级路径不是目录：请改用别的路径")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StoreError(f"无法使用数据库文件 {path}：{reason}")


def failure(path: Path, error: sqlite3.Error) -> StoreError:
    """What a refusal of SQLite means for the person in front of it; transient where waiting may help."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL" or (name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _no_space(path)):
        return _full(path)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"数据库 {path} 正被另一个进程占用，等了 {BUSY_S:.0f} 秒仍未空出：请稍后再试", permanent=False
        )
    if name.startswith("SQLITE_NOTADB"):
        return StoreError(f"{path} 不是 SQLite 数据库（或文件头已损坏）：请移走它，再从备份恢复")
    if name.startswith("SQLITE_CORRUPT") or name == "SQLITE_IOERR_SHORT_READ":
        return StoreError(
            f"数据库文件 {path} 已损坏：请停下服务并另存一份，再从备份恢复，或用 sqlite3 的 .recover 抢救"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreError(f"无法打开或写入数据库 {path}：请检查路径、属主和权限，以及磁盘是否只读")
    if name.startswith("SQLITE_IOERR"):
        return StoreError(f"读写数据库 {path} 时出错（{name}）：请检查磁盘和剩余空间", permanent=False)
    return StoreError(f"数据库 {path} 拒绝了操作：{name or type(error).__name__} {error}")


def _full(path: Path) -> StoreError:
    return StoreError(f"磁盘已满，无法写入 {path}：腾出空间后会继续，已确认的数据没有丢失", permanent=False)


def _no_space(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < LOW_SPACE


class Database:
    """Connections to one file, lent to one user at a time.

    ``steps`` are SQL scripts, each of which brings the schema one version further; they run at once, in
    one transaction. Raises ``StoreError``, as every method does.
    """

    def __init__(self, path: Path, steps: tuple[str, ...]) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        prepare(path)
        with self._lent() as connection:
            if self._version(connection) != len(steps):
                self._migrate(connection, steps)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the file throughout."""
        with self._lent() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                _rollback(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection in a write transaction: committed at the end, rolled back on any exception."""
        with self._lent() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                _rollback(connection)

    def examine(self, subject: str) -> list[Finding]:
        """Whether the file is whole and its disk has room; ``subject`` names the store to people."""
        return [self._whole(subject), self._room(subject)]

    def close(self) -> None:
        """Close the idle connections; those lent out are closed when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._take()
        except sqlite3.Error as error:
            raise failure(self.path, error) from error
        try:
            yield connection
        except sqlite3.Error as error:
            # After a refusal (full, corrupt, i/o) the next user starts from a fresh look at the file.
            connection.close()
            raise failure(self.path, error) from error
        except BaseException:
            self._give_back(connection)
            raise
        self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError(f"数据库 {self.path} 已经关闭")
            if self._idle:
                return self._idle.pop()
        return connect(self.path)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def _whole(self, subject: str) -> Finding:
        remedy = "停下服务并另存一份，再从备份恢复，或用 sqlite3 的 .recover 抢救"
        try:
            with self.read() as connection:
                (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                text = f"SQLite {sqlite3.sqlite_version}，格式 {self._version(connection)}，{self.path}"
        except StoreError as error:
            return Finding(subject=subject, ok=False, text=str(error), remedy=remedy)
        if said != "ok":
            return Finding(subject=subject, ok=False, text=f"{self.path} 已损坏：{said}", remedy=remedy)
        return Finding(subject=subject, ok=True, text=text)

    def _room(self, subject: str) -> Finding:
        subject = f"{subject}的磁盘"
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError as error:
            return Finding(subject=subject, ok=False, text=str(os_failure(self.path, error)))
        text = f"{self.path.parent} 剩余 {free / (1 << 30):.1f} GiB"
        if free < SCARCE_SPACE:
            # Rows that go leave their room to others within the file, which keeps its size.
            remedy = "在这块磁盘上腾出空间；缩短帖子的保留天数只让文件不再变大"
            return Finding(subject=subject, ok=False, text=text, remedy=remedy)
        return Finding(subject=subject, ok=True, text=text)

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self, connection: sqlite3.Connection, steps: tuple[str, ...]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = self._version(connection)
            if version > len(steps):
                raise StoreError(
                    f"{self.path} 由更新的版本写成（格式 {version}，本版本认识到 {len(steps)}）：请升级"
                )
            for step in steps[version:]:
                for statement in step.split(";"):
                    if statement.strip():
                        connection.execute(statement)
            connection.execute(f"PRAGMA user_version={len(steps)}")
            connection.execute("COMMIT")
        finally:
            _rollback(connection)


def _rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
