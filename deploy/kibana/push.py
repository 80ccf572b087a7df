"""The import into Kibana by its documented API, and what to do when it refuses."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any

from deploy.kibana.remote import Remote
from domain.errors import StoreError

OLDEST, TOO_NEW = (8, 19), (10, 0)
"""Kibana imports what was written for it, for an earlier minor or for the major before; this is written for 8.19."""
LARGEST = 25 * 1024 * 1024
"""Bytes that Kibana takes by default (``savedObjects.maxImportPayloadBytes`` is 26,214,400)."""


def push(remote: Remote, text: str) -> tuple[str, int]:
    """Import the saved objects over what is there; returns Kibana's version and how many it took.

    Raises ``StoreError`` saying what to do; nothing that Kibana holds beside our own ids is touched.
    """
    version = _version(remote)
    body, kind = _multipart(text.encode())
    if len(body) > LARGEST:
        raise StoreError(
            f"要导入的内容有 {len(body) >> 20} MB，超过 Kibana 默认的 25 MB：减少 brands.yaml 里的品牌"
        )
    status, answer = remote.ask(
        "POST",
        "/api/saved_objects/_import?overwrite=true",
        body,
        {"Content-Type": kind, "kbn-xsrf": "true"},
    )
    if status != 200 or not isinstance(answer, dict):
        raise _refused(remote, status, answer)
    failed = [each for each in answer.get("errors") or [] if isinstance(each, dict)]
    if failed or not answer.get("success"):
        told = "；".join(_failures(failed)) or "没有说明原因"
        raise StoreError(f"Kibana 只导入了 {answer.get('successCount', 0)} 个，这些没有导入：{told}")
    return version, int(answer.get("successCount", 0))


def _version(remote: Remote) -> str:
    status, answer = remote.ask("GET", "/api/status")
    if status in (401, 403):
        raise _refused(remote, status, answer)
    version = answer.get("version") if isinstance(answer, dict) else None
    number = version.get("number") if isinstance(version, dict) else None
    level = re.match(r"(\d+)\.(\d+)\.\d+", number) if isinstance(number, str) else None
    if status == 503:
        raise StoreError(f"Kibana {remote.url} 还没有就绪（503）：等它启动完再试", permanent=False)
    if status != 200 or level is None:
        raise StoreError(
            f"{remote.url} 不是 Kibana（GET /api/status 得到 {status}）：端口通常是 5601，9200 是 Elasticsearch；"
            "设置了 server.basePath 的要写进地址"
        )
    if not OLDEST <= (int(level[1]), int(level[2])) < TOO_NEW:
        raise StoreError(f"Kibana 是 {number}，这些看板写给 8.19（9.x 也能导入）：先升级 Kibana")
    return str(number)


def _multipart(content: bytes) -> tuple[bytes, str]:
    boundary = f"yujing-{secrets.token_hex(16)}"
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="yujing.ndjson"\r\n'
        "Content-Type: application/ndjson\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode(), (
        f"multipart/form-data; boundary={boundary}"
    )


def _refused(remote: Remote, status: int, answer: Any) -> StoreError:
    message = answer.get("message") if isinstance(answer, dict) else None
    said = f"：{str(message)[:200]}" if message else ""
    if status == 401:
        return StoreError(
            f"Kibana {remote.url} 不接受用户名和密码（401）：用户写在地址里，密码设置 YUJING_KIBANA_PASSWORD，"
            "或者设置 YUJING_KIBANA_API_KEY"
        )
    if status == 403:
        return StoreError(
            f"这个用户没有权限（403）{said}。需要“已保存对象管理”和“仪表板”的全部权限（kibana_admin 角色有）"
        )
    if status == 413:
        return StoreError("Kibana 嫌内容太大（413）：调大 savedObjects.maxImportPayloadBytes 或代理的限制")
    return StoreError(f"Kibana 没有接受导入（{status}）{said}", permanent=status < 500)


_REASONS = {
    "conflict": "已有同名对象",
    "ambiguous_conflict": "与多个已有对象冲突",
    "unsupported_type": "这个 Kibana 不认识这种对象",
}


def _failures(failed: list[dict[str, Any]]) -> Iterator[str]:
    for each in failed[:10]:
        error = each.get("error") or {}
        reason = _REASONS.get(str(error.get("type")), error.get("message") or error.get("type") or "原因不明")
        if error.get("type") == "missing_references":
            reason = "缺少 " + "、".join(
                f"{r.get('type')} {r.get('id')}" for r in error.get("references", [])
            )
        yield f"{each.get('type')} {each.get('id')}（{reason}）"
    if len(failed) > 10:
        yield f"还有 {len(failed) - 10} 个"
