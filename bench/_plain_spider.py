"""A first Scrapy spider as anybody would write it: fetch, pick the fields, write them. The peer in ``ingest``."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess


class Plain(scrapy.Spider):
    """Reads search pages and feeds given as [kind, url] pairs."""

    name = "plain"

    async def start(self) -> AsyncIterator[Any]:
        """One request for each list."""
        for kind, url in json.loads(sys.argv[1]):
            yield scrapy.Request(url, callback=getattr(self, kind))

    def weibo(self, response: Any) -> Iterator[Any]:
        """A page of search results, and the next one."""
        cards = response.json()["data"]["cards"]
        for card in cards:
            blog = card["mblog"]
            yield {"id": blog["id"], "text": re.sub("<[^>]+>", "", blog["text"]), "at": blog["created_at"]}
        if cards:
            url, _, page = response.url.rpartition("page=")
            yield scrapy.Request(f"{url}page={int(page) + 1}", callback=self.weibo)

    def news(self, response: Any) -> Iterator[Any]:
        """A feed: every article."""
        for item in response.xpath("//item"):
            yield scrapy.Request(item.xpath("link/text()").get(), callback=self.article)

    def article(self, response: Any) -> Iterator[Any]:
        """An article page."""
        text = " ".join(response.css("p::text").getall())
        yield {"id": response.url, "title": response.css("h1::text").get(), "text": text}


if __name__ == "__main__":
    process = CrawlerProcess(
        {
            "LOG_LEVEL": "ERROR",
            "CONCURRENT_REQUESTS": 4,
            "FEEDS": {sys.argv[2]: {"format": "jsonlines"}},
            # Its log would call the settings of a crawler in a hurry a mistake; they are ours to choose.
            "TELNETCONSOLE_ENABLED": False,
        }
    )
    process.crawl(Plain)
    process.start()
