"""Eastmoney guba: pages of a board."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from scrapy.http import Response

from crawlers.health import Listing
from crawlers.pages import guba
from crawlers.spiders.source import SourceSpider


class GubaSpider(SourceSpider):
    """``paths`` are board codes."""

    def lists(self) -> Iterable[str]:
        """The boards."""
        return self.source.paths

    def address(self, name: str, page: int) -> str:
        """``list,{code}_{n}.html``."""
        return f"{self.base}/list,{quote(name.strip('/'), safe=',')}_{page}.html"

    def read(self, response: Response, name: str) -> Listing:
        """One page of a board."""
        return guba.parse(
            response.body, base_url=self.base, now=self.now(), board=name, status=response.status
        )
