"""Names that strangers choose never lead into the private network."""

from __future__ import annotations

from typing import Any

from scrapy.resolver import CachingThreadedResolver
from twisted.internet.error import DNSLookupError

from crawlers.urls import public_address


class GuardedResolver(CachingThreadedResolver):
    """Resolves hosts that the operator configured to whatever they are, and all others to public addresses only.

    A feed of a public site may link to a host of the same site whose name leads to 10.0.0.1: that is refused.
    """

    trusted: frozenset[str] = frozenset()

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> GuardedResolver:
        """As Scrapy makes it; ``YUJING_TRUSTED_HOSTS`` are the hosts of the configured sources."""
        resolver = super().from_crawler(crawler, reactor)
        resolver.trusted = frozenset(crawler.settings.getlist("YUJING_TRUSTED_HOSTS"))
        return resolver

    def getHostByName(self, name: str, timeout: Any = ()) -> Any:  # noqa: N802 - Twisted's name
        """A deferred address. Fails with ``DNSLookupError`` for a private one."""
        deferred = super().getHostByName(name, timeout)
        return deferred if name in self.trusted else deferred.addCallback(self._check, name)

    @staticmethod
    def _check(address: str, name: str) -> str:
        if not public_address(address):
            raise DNSLookupError(f"{name} leads to a private address")
        return address
