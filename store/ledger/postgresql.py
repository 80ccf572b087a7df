"""The ledger on a PostgreSQL server: its address, its connections, and what its refusals mean.

No message shows a password, nor a value that was being written: a server quotes rows in its details, so that only
its codes and our own words are shown (of a refused connection the server's words too, which name user and database).
"""

from __future__ import annotations

import re

import psycopg
import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from config.settings import Access
from domain.errors import ConfigError, StoreError
from store.codec import dumps_value
from store.ledger.engine import Handle

SCHEME = "postgresql+psycopg"
OLDEST = 12
"""Major version; older ones are refused."""
CONNECT_S = 10
STATEMENT_S = 60
LOCK_S = 20
"""Seconds to wait for another transaction, as long as for SQLite's (``store.embedded.BUSY_S``)."""
IDLE_S = 60
"""Seconds that a transaction may stand still before the server ends it, and frees what it locked."""
RECYCLE_S = 1800
POOL, OVERFLOW = 4, 12
"""Connections kept, and more for a moment: a scheduler runs ten jobs at most at a time."""

_OPTIONS = ("sslmode", "sslcert", "sslkey", "host", "target_session_attrs")
"""What may stand behind ``?`` in an address; ``host`` again and again for a server with standbys."""
_AGAIN = "会自动再试；已确认的数据没有丢失"
_TRANSIENT = {
    "40001": f"与另一个进程改了同一处：{_AGAIN}",
    "40P01": f"与另一个进程互相等待，被服务器解开：{_AGAIN}",
    "55P03": f"等了 {LOCK_S} 秒，另一个进程仍占着同一处：请稍后再试",
    "57014": f"语句超过 {STATEMENT_S} 秒被取消：请看服务器是否过载，或磁盘是否太慢",
    "53300": "连接数已满：请调大 max_connections，或停掉不用的客户端",
    "53100": "服务器磁盘已满：腾出空间后会继续，已确认的数据没有丢失",
    "53200": "服务器内存不足：请看服务器的负载与内存设置",
    "25006": "服务器现在只读（备库，或正在切换主备）：请连到主库，或等切换完成",
    "58030": "服务器读写磁盘时出错：请检查它的磁盘",
}
_PERMANENT = {
    "42501": "没有权限：请按 docs/operations.md 为这个角色授权",
    "3F000": "没有可用的 schema：请检查角色的 search_path",
    "54000": "有一项内容太长，放不进索引",
    "XX001": "数据已损坏：请停下服务并另存数据目录，再从备份恢复",
    "XX002": "索引已损坏：请用 REINDEX 重建",
}
_TRANSIENT_CLASSES = {
    "08": f"连接断了：{_AGAIN}",
    "25": f"事务被服务器中止：{_AGAIN}",
    "57": f"服务器正在停止、启动或切换，或断开了连接：{_AGAIN}",
    "53": "服务器资源不足：请看它的磁盘、内存和连接数",
}
# A refused connection has no code, only words: the server's, in its language, or the client library's.
_REFUSED = (
    (r"password authentication failed|Password 认证失败", "用户名或密码不对：请检查 YUJING_LEDGER_PASSWORD"),
    (r"no password supplied", "服务器要密码：请设置 YUJING_LEDGER_PASSWORD"),
    (r"role \".*\" does not exist|角色.*不存在", "没有这个角色：请先建立它，或改 YUJING_LEDGER_URL 里的用户名"),
    (r"database \".*\" does not exist|数据库.*不存在", "没有这个数据库：请先 CREATE DATABASE，或改 YUJING_LEDGER_URL"),
    (r"not permitted to log in|不允许登录", "这个角色不能登录：请 ALTER ROLE … LOGIN"),
    (r"permission denied for database|对数据库.*权限不够", "这个角色不能连到这个数据库：请 GRANT CONNECT"),
    (r"no pg_hba\.conf entry|没有.*pg_hba\.conf", "服务器的 pg_hba.conf 不许这样连接：机器、角色、是否加密"),
    (r"does not support SSL", "服务器没有开 TLS，而地址或 CA 要求加密：请在服务器上设 ssl = on"),
    (r"certificate verify failed|does not match host name|server certificate for", "服务器的证书不可信或主机名不符："
     "请检查 YUJING_LEDGER_CA 和地址里的主机名"),
    (r"root certificate file|could not read certificate|private key file", "证书文件读不了：请检查 YUJING_LEDGER_CA、"
     "sslcert 和 sslkey"),
)  # fmt: skip
_FULL = r"too many (clients|connections)|remaining connection slots|连接数过多|太多.*连接"


def postgresql_handle(url: str, access: Access) -> Handle:
    """A handle on a database. Raises ``ConfigError`` for an address that cannot be read, ``StoreError``."""
    address = _address(url)
    where = f"PostgreSQL {shown(address)}"
    engine = sqlalchemy.create_engine(
        address,
        connect_args=arguments(address, access),
        json_serializer=dumps_value,
        hide_parameters=True,
        pool_size=POOL,
        max_overflow=OVERFLOW,
        pool_pre_ping=True,
        pool_recycle=RECYCLE_S,
        pool_use_lifo=True,
    )
    handle = Handle(
        engine,
        where=where,
        refusal=lambda error: refusal(where, error),
        # As with SQLite, a reader sees one state; one that only reads never conflicts.
        reading={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
    )
    try:
        _fit(handle)
    except BaseException:
        handle.close()
        raise
    return handle


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        # "from None": the library's words may repeat the address, and with it a password.
        raise ConfigError(
            f"YUJING_LEDGER_URL 不是有效的网址：应写成 {SCHEME}://用户@主机:5432/库名"
        ) from None
    if address.drivername != SCHEME or not address.database or not address.username:
        raise ConfigError(f"YUJING_LEDGER_URL 应写成 {SCHEME}://用户@主机:5432/库名")
    unknown = sorted(set(address.query) - set(_OPTIONS))
    if unknown:
        raise ConfigError(f"YUJING_LEDGER_URL：不支持 {'、'.join(unknown)}，支持 {'、'.join(_OPTIONS)}")
    return address


def arguments(address: URL, access: Access) -> dict[str, object]:
    """How libpq connects to an address beside what stands in it: password, CA, limits of time."""
    limits = {
        "statement_timeout": STATEMENT_S * 1000,
        "lock_timeout": LOCK_S * 1000,
        "idle_in_transaction_session_timeout": IDLE_S * 1000,
        "timezone": "UTC",
    }
    arguments: dict[str, object] = {
        "connect_timeout": CONNECT_S,
        "application_name": "yujing",
        "client_encoding": "utf8",
        "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
        # A host that vanished is noticed within a minute, not after the two hours of the system.
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    if password := access.password.get_secret_value():
        arguments["password"] = password
    if access.ca:
        arguments["sslrootcert"] = str(access.ca)
        if "sslmode" not in address.query:
            arguments["sslmode"] = "verify-full"
    return arguments


def shown(address: URL) -> str:
    """Servers and database, for people; no password."""
    if hosts := address.query.get("host", ()):
        return f"{hosts if isinstance(hosts, str) else ','.join(hosts)}/{address.database}"
    return f"{address.host or '本机'}:{address.port or 5432}/{address.database}"


def _fit(handle: Handle) -> None:
    """Refuse a server that is too old, or a database that cannot hold our texts."""
    with handle.read() as connection:
        row = connection.exec_driver_sql(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')"
        ).one()
    version, encoding = int(row[0]), str(row[1])
    if version < OLDEST:
        raise StoreError(f"{handle.where} 的版本是 {version}，需要 {OLDEST} 或更新：请升级服务器")
    if encoding != "UTF8":
        raise StoreError(
            f"{handle.where} 的编码是 {encoding}，需要 UTF8："
            "请用 CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0 另建一个库"
        )


def refusal(where: str, error: Exception) -> StoreError:
    """What a refusal of the server means for the person in front of it; transient where waiting may help."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlstate", None) or ""
    if code in _TRANSIENT:
        return StoreError(f"{where}：{_TRANSIENT[code]}", permanent=False)
    if code in _PERMANENT:
        return StoreError(f"{where}：{_PERMANENT[code]}")
    if code[:2] in _TRANSIENT_CLASSES:
        return StoreError(f"{where}：{_TRANSIENT_CLASSES[code[:2]]}（{code}）", permanent=False)
    if code:
        return StoreError(f"{where} 拒绝了操作：{type(cause).__name__}（{code}）")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return StoreError(f"{where}：{_TRANSIENT_CLASSES['08']}", permanent=False)
    if isinstance(cause, psycopg.OperationalError):
        return _unconnected(where, str(cause))
    return StoreError(f"{where} 拒绝了操作：{type(cause).__name__}")


def _unconnected(where: str, words: str) -> StoreError:
    for pattern, meaning in _REFUSED:
        if re.search(pattern, words):
            return StoreError(f"{where}：{meaning}")
    if re.search(_FULL, words):
        return StoreError(f"{where}：{_TRANSIENT['53300']}", permanent=False)
    reason = " ".join(words.split()).rpartition("failed: ")[2]
    return StoreError(
        f"连不上 {where}：请检查服务器是否在运行、地址和网络（{reason[:200]}）", permanent=False
    )
