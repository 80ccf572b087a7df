"""The monthly indices of the posts behind their read alias."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch

from store.posts.elasticsearch.connection import Cluster
from store.posts.elasticsearch.templates import Templates


class Indices:
    """Names, makes, asks and drops them. Every method raises ``StoreError``."""

    def __init__(self, cluster: Cluster, templates: Templates) -> None:
        self._cluster, self._templates = cluster, templates
        self._stem = f"{cluster.address.prefix}-posts-v1-"
        self._known: set[str] = set()
        self._making = threading.Lock()
        self.alias = f"{cluster.address.prefix}-posts"
        """Behind which all of them are read."""

    def name(self, month: str) -> str:
        """The index of a month."""
        return self._stem + month

    def end(self, name: str) -> datetime | None:
        """The moment at which an index's month is over; None for an index that is none of ours."""
        match = re.fullmatch(re.escape(self._stem) + r"(\d{4})\.(\d{2})", name)
        if match is None:
            return None
        year, month = int(match[1]), int(match[2])
        return (
            None
            if (year, month) == (9999, 12)
            else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        )

    def ensure(self, name: str) -> None:
        """Make an index of the templates, unless it exists."""
        if name in self._known:
            return

        def make(client: Elasticsearch) -> None:
            try:
                client.indices.create(index=name)
            except BadRequestError as error:
                if error.error != "resource_already_exists_exception":
                    raise

        with self._making:
            if name not in self._known:
                # Without its template it would take any field, and stay unseen behind no alias.
                self._templates.install()
                self._cluster.ask(make)
                self._known.add(name)

    def forget(self, name: str) -> None:
        """An index is gone: it is made anew when it is needed."""
        self._known.discard(name)

    def names(self) -> list[str]:
        """Those that exist, oldest first."""
        answer = self._cluster.ask(
            lambda client: client.options(ignore_status=404).indices.get_alias(name=self.alias)
        )
        return sorted(name for name in answer.body if name.startswith(self._stem))

    def search(self, *, index: str = "", **body: Any) -> Any:
        """Ask all of them at once, or one; before the first post there is none, and nothing is found.

        An index without a live copy of a shard is trouble like any other: what remained would pass for calm.
        """
        return self._cluster.ask(
            lambda client: client.search(
                index=index or self.alias,
                ignore_unavailable=True,
                allow_no_indices=True,
                allow_partial_search_results=False,
                **body,
            )
        )

    def count(self, query: dict[str, Any] | None = None, *, index: str = "") -> int:
        """How many posts match, in all of them or in one."""
        # Not _count, which counts what is left when shards are missing.
        found = self.search(index=index, query=query, size=0, track_total_hits=True)
        return int(found["hits"]["total"]["value"])

    def refresh(self, names: Iterable[str]) -> None:
        """Let every reader see what was written to these."""
        wanted = sorted(names)
        if wanted:
            self._cluster.ask(lambda client: client.indices.refresh(index=wanted, ignore_unavailable=True))
