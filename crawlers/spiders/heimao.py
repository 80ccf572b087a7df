"""Hei Mao: pages of the complaints that a company received."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import urlencode

from scrapy.http import Response

from crawlers.health import Listing
from crawlers.pages import heimao
from crawlers.spiders.source import SourceSpider


class HeimaoSpider(SourceSpider):
    """``paths`` are company ids (couid)."""

    headers: ClassVar[dict[str, str]] = {
        "X-Requested-With": "XMLHttpRequest",
        "Accept": "application/json, text/plain, */*",
    }

    def lists(self) -> Iterable[str]:
        """The companies."""
        return self.source.paths

    def address(self, name: str, page: int) -> str:
        """``type=1``: all complaints, newest first."""
        query = urlencode({"couid": name, "type": 1, "page_size": 10, "page": page})
        return f"{self.base}/api/company/received_complaints?{query}"

    def read(self, response: Response, name: str) -> Listing:
        """One page of complaints."""
        return heimao.parse(response.body, base_url=self.base, now=self.now(), status=response.status)
