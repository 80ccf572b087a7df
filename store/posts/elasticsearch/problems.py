"""What an answer of Elasticsearch, or its silence, means for the person in front of it. Never with a credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import elastic_transport
import elasticsearch

from domain.errors import StoreError

BUSY = frozenset({429, 502, 503, 504})
"""Statuses after which waiting helps."""
LONGEST = 200
"""Characters that are quoted from the server."""


def is_passing(error: Exception) -> bool:
    """Whether the same question may be answered a moment later."""
    if isinstance(error, elasticsearch.ApiError):
        return error.status_code in BUSY or is_blocked(error.status_code, _cause(error).get("type"))
    return isinstance(error, elastic_transport.ConnectionError | elastic_transport.ConnectionTimeout) and (
        not isinstance(error, elastic_transport.TlsError)
    )


def is_blocked(status: int, kind: object) -> bool:
    """Refused because an index or the cluster takes no writes now (a full disk, most often)."""
    return status in (403, 429) and kind == "cluster_block_exception"


def blocked(where: str) -> StoreError:
    """The indices are read-only."""
    return StoreError(
        f"{where} 的索引现在只读（多半是磁盘快满了）：腾出磁盘空间后 Elasticsearch 会自行解除；"
        "人工设置的只读请撤销。待处理的帖子留在收件箱里",
        permanent=False,
    )


def busy(where: str, reason: object) -> StoreError:
    """The server has too much to do."""
    return StoreError(
        f"{where} 忙不过来（{plain(reason)}）：稍后会再试，待处理的帖子留在收件箱里", permanent=False
    )


def problem(error: Exception, where: str) -> StoreError:
    """The error for people; ``where`` names the server without credentials."""
    if isinstance(error, elasticsearch.UnsupportedProductError | elastic_transport.SerializationError):
        return StoreError(f"{where} 不是 Elasticsearch：请检查地址和端口")
    if isinstance(error, elastic_transport.TlsError):
        return StoreError(
            f"与 {where} 的 TLS 连接失败（{plain(error.message)}）：请检查它的证书、CA 文件，"
            "以及地址该用 https:// 还是 elasticsearch://"
        )
    if isinstance(error, elastic_transport.ConnectionTimeout):
        return StoreError(f"{where} 没有按时回答：请检查它的负载，稍后会再试", permanent=False)
    if isinstance(error, elastic_transport.ConnectionError):
        return StoreError(
            f"连不上 {where}（{plain(error.message)}）：请检查它是否在运行、地址和端口是否正确、"
            "地址该用 elasticsearch:// 还是 https://；恢复后会继续",
            permanent=False,
        )
    if isinstance(error, elasticsearch.ApiError):
        return _refusal(error, where)
    return StoreError(f"{where} 出错：{type(error).__name__} {plain(error)}")


def plain(reason: object) -> str:
    """A reason as a piece of one line; of a long one both ends, for either may say what is wrong."""
    text = " ".join(str(reason).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _refusal(error: elasticsearch.ApiError, where: str) -> StoreError:
    cause = _cause(error)
    kind, reason = cause.get("type"), cause.get("reason") or error.message
    if error.status_code == 401:
        return StoreError(
            f"{where} 不认用户名与密码（或 API key）：请检查地址里的用户名，以及密码或 API key 的环境变量"
        )
    if is_blocked(error.status_code, kind):
        return blocked(where)
    if error.status_code == 403:
        return StoreError(
            f"这个账号在 {where} 上权限不足：请按 deploy/elasticsearch/role.json 授权（{plain(reason)}）"
        )
    if error.status_code in BUSY:
        return busy(where, reason)
    return StoreError(f"{where} 拒绝了请求（{error.status_code} {plain(kind)}）：{plain(reason)}")


def _cause(error: elasticsearch.ApiError) -> Mapping[str, Any]:
    cause = error.body.get("error") if isinstance(error.body, Mapping) else None
    return cause if isinstance(cause, Mapping) else {}
