"""The inbox on Redis Streams, for crawlers and workers on several hosts (docs/decisions/083-redis-inbox.md)."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from pydantic import SecretStr
from redis import exceptions as refusals
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.settings import Access
from domain.errors import ConfigError, StoreError
from domain.post import Post
from store.codec import clean, dumps, loads
from store.embedded import from_micros, micros
from store.findings import Finding
from store.inbox import DeadLetter, Depth, Leased, redis_scripts

OLDEST = (7, 0)
"""Scripts that may drain when memory is full came with this version (Valkey calls itself 7.2)."""
PRIVILEGES = (
    "resetkeys resetchannels -@all ~{{{prefix}}}:* +ping +info +select +evalsha +script|load"
    " +xadd +xdel +xlen +xrange +xrevrange +xreadgroup +xack +xclaim +xpending +xinfo|groups +xinfo|consumers"
    " +xgroup|create +xgroup|delconsumer +hget +hset +hsetnx +hdel +hlen +hscan"
)
"""The least that a user of Redis needs, as ``ACL SETUSER`` takes it; ``{prefix}`` is to be filled in."""
CONNECT_S = 10.0
ANSWER_S = 30.0
"""Seconds to wait for a connection, and for an answer."""
NEARLY_FULL = 0.8
"""Share of ``maxmemory`` from which on it is reported."""
_PREFIX = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TOKEN = re.compile(r"(\d{1,19}-\d{1,19})/(\S{1,200})", re.ASCII)


class RedisInbox:
    """See ``store.inbox.Inbox``. Keys begin with ``{prefix}:``, the braces keep them in one slot of a cluster.

    ``ca`` is used with ``tls`` alone. Raises ``StoreError`` when the server cannot be used.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int = 6379,
        db: int = 0,
        user: str = "",
        password: SecretStr | None = None,
        tls: bool = False,
        ca: Path | None = None,
        prefix: str = "yujing",
    ) -> None:
        self._name = f"Redis {host}:{port}"
        self._keys = [f"{{{prefix}}}:inbox{last}" for last in ("", ":digests", ":dead")]
        self._host = re.sub(r"[^\w.-]", "_", socket.gethostname())[:64]
        self._closed = False
        encrypted: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(ca) if ca else None} if tls else {}
        self._client: Any = redis.Redis(
            host=host,
            port=port,
            db=db,
            credential_provider=_Login(user, password) if user or password else None,
            # Trying again is the business of whoever called: once the answer is lost, nobody here knows more.
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=CONNECT_S,
            socket_timeout=ANSWER_S,
            protocol=2,
            decode_responses=True,
            encoding_errors="replace",
            **encrypted,
        )
        self._put = self._client.register_script(redis_scripts.PUT)
        self._lease = self._client.register_script(redis_scripts.LEASE)
        self._return = self._client.register_script(redis_scripts.RETURN)
        self._acknowledge = self._client.register_script(redis_scripts.ACKNOWLEDGE)
        self._bury = self._client.register_script(redis_scripts.BURY)
        self._depth = self._client.register_script(redis_scripts.DEPTH)
        self._prune = self._client.register_script(redis_scripts.PRUNE)
        self._index = self._client.register_script(redis_scripts.INDEX)
        try:
            self._check_version()
        except BaseException:
            self.close()
            raise

    def put(self, posts: Sequence[Post], *, now: datetime) -> int:
        """Store posts, all or none; an identical copy that waits or is leased is not added again."""
        bodies = [dumps(post).encode() for post in posts]
        if not bodies:
            return 0
        pairs = [part for body in bodies for part in (_digest(body), body)]
        return int(self._run(self._put, micros(now), *pairs))

    def lease(self, limit: int, *, now: datetime, lease: timedelta) -> list[Leased]:
        """The oldest waiting posts, at most ``limit``, hidden from others until ``now + lease``."""
        if limit <= 0:
            return []
        name = f"{micros(now + lease)}:{self._host}:{secrets.token_hex(8)}"
        rows = self._run(self._lease, micros(now), limit, name)
        try:
            return [
                Leased(token=f"{id_}/{name}", post=loads(Post, body), tries=tries)
                for id_, body, tries in rows
            ]
        except StoreError:
            # When one cannot be read, none is hidden: a newer version on another host may know how.
            self._run(self._return, name, *(part for id_, _, tries in rows for part in (id_, tries)))
            raise

    def give_back(self, leased: Sequence[Leased]) -> None:
        """As if they had not been leased: they wait again, with the tries of before."""
        parts: dict[str, list[Any]] = {}
        for each in leased:
            if found := _TOKEN.fullmatch(each.token):
                parts.setdefault(found[2], []).extend((found[1], each.tries))
        for name, posts in parts.items():
            self._run(self._return, name, *posts)

    def acknowledge(self, tokens: Sequence[str]) -> int:
        """Remove what was done; returns how many tokens were still good."""
        parts = [part for token in tokens if (found := _TOKEN.fullmatch(token)) for part in found.groups()]
        return int(self._run(self._acknowledge, *parts)) if parts else 0

    def bury(self, token: str, *, reason: str, now: datetime) -> None:
        """Move a poison post to the dead letters."""
        if found := _TOKEN.fullmatch(token):
            self._run(self._bury, *found.groups(), micros(now), clean(reason))

    def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        if limit <= 0:
            return []
        rows = self._ask(lambda: self._client.xrevrange(self._keys[2], count=limit))
        try:
            return [
                DeadLetter(
                    post=loads(Post, row["body"]), reason=row["reason"], at=from_micros(int(row["at"]))
                )
                for _, row in rows
            ]
        except (KeyError, ValueError) as error:
            raise StoreError(f"{self._name} 里有一条死信不是我们写的：{error}") from error

    def revive(self, *, now: datetime) -> int:
        """Put every dead letter back among the waiting posts, with no tries; returns how many there were."""
        revived = 0
        while rows := self._ask(lambda: self._client.xrange(self._keys[2], count=500)):
            if any("body" not in row for _, row in rows):
                raise StoreError(f"{self._name} 里有一条死信不是我们写的")
            bodies = [row["body"].encode() for _, row in rows]
            self._run(self._put, micros(now), *(part for body in bodies for part in (_digest(body), body)))
            self._ask(lambda rows=rows: self._client.xdel(self._keys[2], *(id_ for id_, _ in rows)))  # type: ignore[misc]
            revived += len(rows)
        return revived

    def depth(self, *, now: datetime) -> Depth:
        """How much waits, is leased, is dead, and since when."""
        waiting, leased, dead, oldest, *_ = self._run(self._depth, micros(now))
        return Depth(
            waiting=waiting, leased=leased, dead=dead, oldest=from_micros(int(oldest)) if oldest else None
        )

    def examine(self) -> list[Finding]:
        """Look at the server's version, what it keeps on disk, its memory, and our keys."""
        found: list[Finding] = []
        try:
            info = self._ask(self._client.info)
            version = info.get("redis_version", "")
            found.append(Finding(subject="收件箱", ok=True, text=f"{self._name}，版本 {version}"))
            found += [self._disk(info), *_memory(info), self._queue()]
        except StoreError as error:
            found.append(Finding(subject="收件箱", ok=False, text=str(error)))
        return found

    def mend(self) -> list[Finding]:
        """Bring the digests in line with the posts; they part only when somebody deletes by hand."""
        try:
            gone = sum(
                int(self._run(self._prune, *(part for pair in page.items() for part in pair)))
                for page in self._digests()
            )
            added = 0
            after = "-"
            while after:
                some, last = self._run(self._index, after)
                added += int(some)
                after = f"({last}" if last else ""
        except StoreError as error:
            return [Finding(subject="收件箱", ok=False, text=str(error))]
        return [
            Finding(subject="收件箱", ok=True, text=f"去重索引：删去 {gone} 条多余的，补上 {added} 条缺少的")
        ]

    def close(self) -> None:
        """Release the connections."""
        self._closed = True
        self._client.close()

    def _check_version(self) -> None:
        version = self._ask(lambda: self._client.info("server")).get("redis_version", "未知版本")
        if _version(str(version)) < OLDEST:
            raise StoreError(f"{self._name} 是 {version}，太旧：需要 7.0 或更新的 Redis")

    def _disk(self, info: dict[str, Any]) -> Finding:
        subject, remedy = "收件箱的落盘", "在 redis.conf 里设 appendonly yes 和 appendfsync always"
        if not info.get("aof_enabled"):
            text = "没有开启 AOF（appendonly）：Redis 重启会丢掉未处理的帖子"
            return Finding(subject=subject, ok=False, text=text, remedy=remedy)
        if info.get("aof_last_write_status", "ok") != "ok":
            text = "AOF 上次写入失败：Redis 拒收新帖"
            return Finding(subject=subject, ok=False, text=text, remedy="检查 Redis 所在磁盘的剩余空间")
        try:
            set_to = self._ask(lambda: self._client.config_get("appendfsync", "no-appendfsync-on-rewrite"))
        except StoreError:
            # Whoever may read the settings may read the server's passwords too: our user may not.
            text = "AOF 已开启；账号无权看 appendfsync，请在服务器上确认它是 always"
            return Finding(subject=subject, ok=True, text=text)
        policy = set_to.get("appendfsync")
        if policy != "always":
            text = f"appendfsync 是 {policy}：断电或崩溃会丢掉最近收下的帖子（everysec：约一秒）"
            return Finding(subject=subject, ok=False, text=text, remedy=remedy)
        if set_to.get("no-appendfsync-on-rewrite") == "yes":
            text = "no-appendfsync-on-rewrite 是 yes：重写 AOF 期间断电会丢帖子"
            return Finding(subject=subject, ok=False, text=text, remedy="把它设成 no")
        return Finding(subject=subject, ok=True, text="AOF 每次写入都落盘（appendfsync always）")

    def _queue(self) -> Finding:
        # Any time will do: what waits and what is leased is not told apart here.
        waiting, leased, dead, _, digests, _ = self._run(self._depth, 0)
        posts = waiting + leased
        text = f"在库 {posts} 条，死信 {dead} 条"
        if digests == posts:
            return Finding(subject="收件箱的队列", ok=True, text=text)
        return Finding(
            subject="收件箱的队列",
            ok=False,
            text=f"{text}，去重索引却有 {digests} 条：有人手工删改过",
            remedy="yujing doctor --fix",
            mendable=True,
        )

    def _digests(self) -> Iterator[dict[str, str]]:
        """Pages of digest → id."""
        cursor = 0
        while True:
            cursor, page = self._ask(partial(self._client.hscan, self._keys[1], cursor, count=500))
            if page:
                yield page
            if not cursor:
                return

    def _run(self, script: Any, *arguments: Any) -> Any:
        return self._ask(lambda: script(keys=self._keys, args=arguments))

    def _ask(self, call: Callable[[], Any]) -> Any:
        if self._closed:
            raise StoreError(f"{self._name} 的连接已经关闭")
        try:
            return call()
        except (refusals.RedisError, OSError) as error:
            raise _failure(self._name, error) from error


class _Login(redis.CredentialProvider):
    """User and password where no ``repr`` shows them."""

    def __init__(self, user: str, password: SecretStr | None) -> None:
        self._user, self._password = user, password or SecretStr("")

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._password.get_secret_value()
        return (self._user, password) if self._user else (password,)


def open_redis(url: str, access: Access) -> RedisInbox:
    """The inbox at ``redis[s]://[user@]host[:port][/db][?prefix=name]``. Raises ``ConfigError``, ``StoreError``."""
    what = "收件队列 YUJING_INBOX_URL "
    form = "应写成 redis://用户@主机:6379/库号?prefix=前缀（加密用 rediss://；前缀：小写字母、数字、_、-）"
    try:
        parts = urlsplit(url)
        host, port, inside = parts.hostname, parts.port or 6379, parts.password
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        # "from None": the library's words may repeat the address.
        raise ConfigError(f"{what}不是有效的网址：{form}") from None
    prefix = options.pop("prefix", "yujing")
    db = parts.path.strip("/") or "0"
    if inside is not None:
        raise ConfigError(f"{what}里不能写密码：请放进 YUJING_INBOX_PASSWORD；{form}")
    if not host or not re.fullmatch("[0-9]{1,4}", db) or options or not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"{what}{form}")
    if access.ca:
        try:
            ssl.create_default_context(cafile=access.ca)
        except OSError as error:
            reason = (
                error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "不是 PEM 证书"
            )
            raise ConfigError(f"YUJING_INBOX_CA：文件 {access.ca} 用不了（{reason}）") from error
    return RedisInbox(
        host=host,
        port=port,
        db=int(db),
        user=unquote(parts.username or ""),
        password=access.password if access.password.get_secret_value() else None,
        tls=parts.scheme == "rediss",
        ca=access.ca,
        prefix=prefix,
    )


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _memory(info: dict[str, Any]) -> list[Finding]:
    used, bound = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    policy = info.get("maxmemory_policy", "未知")
    text = f"已用 {used / 1e6:.0f} MB"
    if not bound:
        room = Finding(
            subject="收件箱的内存",
            ok=False,
            text=f"{text}，没有上限：积压会吃光整台机器的内存",
            remedy="在 redis.conf 里设 maxmemory（一条帖子约 0.5 KB，每字再加 3.4 字节），到了上限会拒收新帖而不丢旧帖",
        )
    else:
        full = used >= NEARLY_FULL * bound
        room = Finding(
            subject="收件箱的内存",
            ok=not full,
            text=f"{text}，上限 {bound / 1e6:.0f} MB",
            remedy="多开几个 yujing work，或调大 maxmemory" if full else "",
        )
    kept = Finding(
        subject="收件箱的淘汰策略",
        ok=policy == "noeviction",
        text=f"maxmemory-policy 是 {policy}"
        + ("" if policy == "noeviction" else "：内存紧张时会丢掉未处理的帖子"),
        remedy="" if policy == "noeviction" else "在 redis.conf 里设 maxmemory-policy noeviction",
    )
    return [room, kept]


def _failure(name: str, error: Exception) -> StoreError:
    """What a refusal of Redis means for the person in front of it; transient where waiting may help."""
    said = " ".join(str(error).split())[:300]
    if isinstance(error, refusals.AuthenticationError):
        return StoreError(
            f"{name} 不接受用户名或密码：请检查 YUJING_INBOX_URL 里的用户和 YUJING_INBOX_PASSWORD"
        )
    if isinstance(error, refusals.NoPermissionError):
        return StoreError(f"{name} 的账号权限不够：{said}（需要的权限见 docs/operations.md）")
    if isinstance(error, refusals.OutOfMemoryError):
        return StoreError(
            f"{name} 的内存到了上限（maxmemory），暂不收新帖；已收的都在，"
            f"处理掉一些就会恢复：多开 yujing work，或调大上限",
            permanent=False,
        )
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return StoreError(f"{name} 的证书没有通过验证：请检查 YUJING_INBOX_CA 和主机名")
    if isinstance(error, refusals.BusyLoadingError):
        return StoreError(f"{name} 正在从磁盘载入数据：请稍后再试", permanent=False)
    if isinstance(error, refusals.TimeoutError | TimeoutError):
        return StoreError(
            f"{name} 没有在 {ANSWER_S:.0f} 秒内回答：请稍后再试，或检查网络和负载", permanent=False
        )
    if isinstance(error, refusals.ReadOnlyError):
        return StoreError(f"{name} 是只读副本：请连到主节点", permanent=False)
    if isinstance(error, refusals.MovedError):
        return StoreError(f"{name} 是 Redis 集群的一个节点：收件队列只能放在单机或主从的 Redis 上")
    if isinstance(error, refusals.InvalidResponse):
        return StoreError(
            f"{name} 答的不是 Redis 协议：请检查 YUJING_INBOX_URL 的主机、端口，以及是否该用 rediss://"
        )
    if isinstance(error, refusals.ConnectionError | OSError):
        return StoreError(f"连不上 {name}，或连接中断：请检查服务、网络和 YUJING_INBOX_URL", permanent=False)
    if said.startswith("MISCONF"):
        return StoreError(f"{name} 写不了磁盘，暂不收新帖：请检查它的磁盘空间", permanent=False)
    if "WRONGTYPE" in said:
        return StoreError(f"{name} 里我们的键被别的程序占用了：请换一个 ?prefix=，或移走它们")
    passing = isinstance(error, refusals.ClusterDownError | refusals.TryAgainError) or said.startswith("BUSY")
    return StoreError(f"{name} 拒绝了操作：{said}", permanent=not passing)
