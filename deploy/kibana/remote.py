"""One HTTP server and what opens it: neither redirected nor proxied, so that a password goes nowhere else."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from domain.errors import StoreError, UsageError

LARGEST = 32 * 1024 * 1024
"""Bytes of an answer above which it is none of ours."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class Remote:
    """Asks one server. Raises ``UsageError`` for an address that is none, ``StoreError`` when it is not reached."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        password: SecretStr,
        api_key: SecretStr,
        ca: Path | None = None,
        timeout_s: float = 60,
    ) -> None:
        """``name``: what people call the server, in messages."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise UsageError(f"{name} 的地址要写成 http://用户@主机:端口 或 https://…")
        if parts.password is not None:
            raise UsageError(f"不要把 {name} 的密码写在地址里：它会留在命令历史中；请用环境变量")
        user = unquote(parts.username or "")
        if bool(user) != bool(password.get_secret_value()):
            raise UsageError(f"{name}：用户写在地址里，密码写在环境变量里，两样要么都有，要么都没有")
        if user and api_key.get_secret_value():
            raise UsageError(f"{name}：用户和密码、API key，只能用一种")
        where = f"[{host}]" if ":" in host else host
        self.url = f"{parts.scheme}://{where}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
        self.name, self._timeout_s = name, timeout_s
        self._headers = {"Accept": "application/json"}
        if user:
            pair = f"{user}:{password.get_secret_value()}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        elif api_key.get_secret_value():
            self._headers["Authorization"] = f"ApiKey {api_key.get_secret_value()}"
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _NoRedirect(), _https(name, ca)
        )

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Any = None) -> tuple[int, Any]:
        """(status, answer as JSON; None when it is none). Raises ``StoreError``."""
        # The scheme was checked: no file is ever opened.
        request = urllib.request.Request(  # noqa: S310
            self.url + path, data=body, method=method, headers=self._headers | (headers or {})
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return int(answer.status), self._json(answer)
        except urllib.error.HTTPError as error:
            with error:
                if 300 <= error.code < 400:
                    raise StoreError(
                        f"{self.name} {self.url} 把请求转到了别处（{error.code}）：不会带着密码跟过去。"
                        "请直接写最终的地址（https？有没有 server.basePath？）"
                    ) from None
                return error.code, self._json(error)
        except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise StoreError(
                    f"{self.name} {self.url} 的证书不可信（{reason.verify_message}）：用环境变量指定签发它的 CA"
                ) from None
            raise StoreError(
                f"连不上 {self.name} {self.url}（{reason}）：检查地址、端口和服务是否启动", permanent=False
            ) from None

    def _json(self, answer: IO[bytes]) -> Any:
        raw = answer.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise StoreError(f"{self.name} {self.url} 的回答超过 {LARGEST >> 20} MB，不像是它")
        try:
            return json.loads(raw)
        except ValueError:
            return None


def _https(name: str, ca: Path | None) -> urllib.request.HTTPSHandler:
    try:
        return urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{name}：CA 文件 {ca} 读不了（{error.strerror or error}）") from None
