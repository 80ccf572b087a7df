"""Why a page could not be had: Scrapy's and Twisted's errors in one Chinese clause, with what they mean."""

from __future__ import annotations

from domain.source_run import Outcome

OFF_SITE = "跳转到其他网站，已拒绝"

_BY_NAME = {
    "TimeoutError": "超时",
    "TCPTimedOutError": "超时",
    "DownloadTimeoutError": "超时",
    "ConnectionRefusedError": "连接被拒绝",
    "DownloadConnectionRefusedError": "连接被拒绝",
    "DNSLookupError": "域名无法解析",
    "CannotResolveHostError": "域名无法解析",
    "ConnectionLost": "连接中断",
    "ConnectionDone": "连接中断",
    "ResponseFailed": "响应不完整",
    "ResponseNeverReceived": "连接中断",
    "ResponseDataLossError": "响应不完整",
    "DownloadFailedError": "连接中断",
    "UnsupportedURLSchemeError": "地址不是 http(s)",
}


def explain(error: BaseException) -> tuple[Outcome, str]:
    """(outcome, why) of a failed request."""
    name, said = type(error).__name__, str(error)
    if "robots.txt" in said:
        return Outcome.BLOCKED, "robots.txt 不允许抓取"
    if OFF_SITE in said:
        return Outcome.BLOCKED, said
    if "max redirections" in said:
        return Outcome.UNREACHABLE, "跳转次数过多"
    if "DOWNLOAD_MAXSIZE" in said or "maxsize" in said.lower() or name == "DownloadCancelledError":
        return Outcome.UNREACHABLE, "页面超过大小上限（10 MB）"
    return Outcome.UNREACHABLE, _BY_NAME.get(name, f"下载失败（{name}）")
