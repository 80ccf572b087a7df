"""The address of a cluster, and questions to it that outlast a moment's trouble."""

from __future__ import annotations

import random
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import elastic_transport
from elasticsearch import Elasticsearch

from config.settings import Access
from domain.errors import ConfigError, StoreError
from store.posts.elasticsearch.problems import is_passing, problem

PREFIX = "yujing"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
"""What an index name may begin with: none of Elasticsearch's wildcards, commas, colons or dots."""
PATIENCE_S = 20.0
"""How long a service waits for a cluster that is in trouble before somebody is told."""
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a cluster is."""

    tls: bool
    host: str
    port: int
    user: str
    prefix: str
    """Of the names of all indices, aliases and templates."""

    @property
    def url(self) -> str:
        """For the client; holds no credential."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def where(self) -> str:
        """For people; holds no credential."""
        return f"Elasticsearch {self.host}:{self.port}"


def address(url: str, what: str) -> Address:
    """The address in ``elasticsearch://[user@]host[:9200][/prefix]`` or ``https://…``; ``what`` names the setting.

    Raises ``ConfigError``, which never shows the address: it may hold a password in spite of all.
    """
    shape = "elasticsearch://[用户@]主机:9200[/前缀] 或 https://[用户@]主机:9200[/前缀]"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 9200
    except ValueError:
        raise ConfigError(f"{what}的地址无法解读：应写成 {shape}") from None
    if not host or parts.query or parts.fragment:
        raise ConfigError(f"{what}的地址无法解读：应写成 {shape}")
    if parts.password is not None:
        raise ConfigError(f"{what}的地址里不能写密码：请用密码的环境变量")
    prefix = parts.path.strip("/") or PREFIX
    if not _NAME.fullmatch(prefix):
        raise ConfigError(f"{what}的地址里，索引前缀只能用小写字母、数字、- 和 _，并以字母或数字开头")
    tls, user = parts.scheme == "https", unquote(parts.username or "")
    return Address(tls=tls, host=host, port=port, user=user, prefix=prefix)


class Cluster:
    """One cluster: every question goes through ``ask``."""

    def __init__(
        self,
        address: Address,
        access: Access,
        *,
        timeout_s: float = 60.0,
        patience_s: float = PATIENCE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``timeout_s``: for one answer; ``patience_s``: after so long, trouble is reported and not waited for."""
        self.address = address
        self._patience_s, self._sleep = patience_s, sleep
        self._client = _client(address, access, timeout_s)

    @property
    def where(self) -> str:
        """The server, for people."""
        return self.address.where

    def ask(self, question: Callable[[Elasticsearch], _T]) -> _T:
        """The answer, tried again while the trouble may pass. Raises ``StoreError``."""
        for wait in self.waits():
            try:
                return question(self._client)
            except (elastic_transport.TransportError, elastic_transport.ApiError) as error:
                if wait is None or not is_passing(error):
                    raise problem(error, self.where) from error
                self._sleep(wait)
        raise AssertionError("waits end with None")

    def waits(self) -> Any:
        """Seconds to wait before each next try, growing, with jitter; None at the end of patience."""
        began, delay = time.monotonic(), 0.2
        while time.monotonic() - began < self._patience_s:
            # Many workers must not come back in step after one hiccup: full jitter over the upper half.
            yield delay * random.uniform(0.5, 1.0)
            delay = min(2 * delay, 5.0)
        yield None

    def pause(self, seconds: float) -> None:
        """Wait."""
        self._sleep(seconds)

    def version(self) -> str:
        """Of the server. Raises ``StoreError`` for one that this client cannot talk to."""
        # GET / is not answered by the minimal distribution; the client looks at X-Elastic-Product by itself.
        nodes = self.ask(lambda client: client.nodes.info(node_id="_local", metric="http"))["nodes"]
        version = str(next(iter(nodes.values()))["version"])
        major, _, rest = version.partition(".")
        if major != "8" or int(rest.split(".")[0]) < 7:
            raise StoreError(
                f"{self.where} 的版本是 {version}：本版本需要 8.7 以上的 8.x（在 8.19 上测试过）"
            )
        return version

    def close(self) -> None:
        """Release the connections."""
        self._client.close()


def _client(address: Address, access: Access, timeout_s: float) -> Elasticsearch:
    options: dict[str, Any] = {}
    if address.tls:
        options["ssl_context"] = _trust(access)
    if key := access.api_key.get_secret_value():
        options["api_key"] = key
    elif password := access.password.get_secret_value():
        options["basic_auth"] = (address.user or "elastic", password)
    # Retrying is ours (``ask``): the client's own comes without a pause between.
    return Elasticsearch(
        address.url, request_timeout=timeout_s, max_retries=0, retry_on_timeout=False, **options
    )


def _trust(access: Access) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=access.ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"CA 文件 {access.ca} 无法使用：需要 PEM 格式的证书（{error.strerror or error}）"
        ) from error
