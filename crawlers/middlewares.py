"""What stands between a spider and the network: no foreign hosts, and patience after errors."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Request, Response

from crawlers.failures import OFF_SITE
from crawlers.urls import same_site

MAX_WAIT_S = 30.0
"""Longest wait before another try; a site that asks for more is asked again by the next crawl."""


class SameSiteMiddleware:
    """Refuses every request that leaves the source's site: redirects included, robots.txt included."""

    def __init__(self, crawler: Any) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Any) -> SameSiteMiddleware:
        """As Scrapy makes it."""
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        """Raises ``IgnoreRequest`` for an address of another site."""
        if not same_site(request.url, self.crawler.spider.base):
            host = request.url.split("/")[2] if request.url.count("/") > 1 else request.url
            raise IgnoreRequest(f"{OFF_SITE}（{host[:100]}）")


class PatientRetryMiddleware(RetryMiddleware):
    """Retries as Scrapy does, after a wait that doubles, or as long as ``Retry-After`` asks.

    The wait is 2ⁿ times ``YUJING_BACKOFF_S``, ± 25 %, at most ``MAX_WAIT_S``.
    """

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.backoff_s = settings.getfloat("YUJING_BACKOFF_S", 1.0)

    async def process_response(self, request: Request, response: Response) -> Request | Response:  # type: ignore[override]
        """Another try of a response that says: later."""
        if response.status not in self.retry_http_codes or request.meta.get("dont_retry", False):
            return response
        asked = retry_after(response.headers.get("Retry-After"))
        if asked is not None and asked > MAX_WAIT_S:
            return response
        again = self._retry(request, f"HTTP {response.status}")
        if again is None:
            return response
        await asyncio.sleep(max(asked or 0.0, self._wait(request)))
        return again

    async def process_exception(self, request: Request, exception: Exception) -> Request | None:  # type: ignore[override]
        """Another try after a broken connection."""
        if not isinstance(exception, self.exceptions_to_retry) or request.meta.get("dont_retry", False):
            return None
        again = self._retry(request, exception)
        if again is not None:
            await asyncio.sleep(self._wait(request))
        return again

    def _wait(self, request: Request) -> float:
        doubled: float = self.backoff_s * 2 ** int(request.meta.get("retry_times", 0))
        return min(MAX_WAIT_S, doubled * random.uniform(0.75, 1.25))


def retry_after(header: bytes | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3); None without a readable one."""
    if not header:
        return None
    text = header.decode("latin-1").strip()
    if text.isdigit():
        return float(text)
    try:
        # An HTTP date is compared with the host's own clock, the only one that the wait runs on.
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
