"""Deleting posts for good: by age, whole months at once where nothing is kept, and by author."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from store.codec import clean
from store.posts.elasticsearch.asking import Clause, Range
from store.posts.elasticsearch.connection import Cluster
from store.posts.elasticsearch.indices import Indices
from store.posts.elasticsearch.writing import CHUNK, Writing

PAGE = 5_000
"""Posts looked through at once."""


class Forgetting:
    """Deletes documents of one posts store."""

    def __init__(self, cluster: Cluster, indices: Indices, writing: Writing) -> None:
        self._cluster, self._indices, self._writing = cluster, indices, writing

    def before(self, moment: datetime, kept: set[str]) -> int:
        """See ``Posts.forget``."""
        gone = 0
        for name in self._indices.names():
            end = self._indices.end(name)
            if end is not None and end <= moment and not self._holds(name, sorted(kept)):
                gone += self._drop(name)
        return gone + self._remove(Range(until=moment).clauses, kept)

    def author(self, key: str) -> int:
        """See ``Posts.forget_author``."""
        return self._remove([{"term": {"author.key": clean(key)}}], set())

    def _holds(self, name: str, ids: Sequence[str]) -> bool:
        for start in range(0, len(ids), PAGE):
            if self._indices.count({"ids": {"values": list(ids[start : start + PAGE])}}, index=name):
                return True
        return False

    def _drop(self, name: str) -> int:
        gone = self._indices.count(index=name)
        self._cluster.ask(lambda client: client.options(ignore_status=404).indices.delete(index=name))
        self._indices.forget(name)
        return gone

    def _remove(self, clauses: list[Clause], kept: set[str]) -> int:
        gone, touched = 0, set[str]()
        for found in self._pages(clauses):
            doomed = [(index, id_) for index, id_ in found if id_ not in kept]
            for start in range(0, len(doomed), CHUNK):
                gone += self._writing.remove(doomed[start : start + CHUNK])
            touched |= {index for index, _ in doomed}
        self._indices.refresh(touched)
        return gone

    def _pages(self, clauses: list[Clause]) -> Iterator[list[tuple[str, str]]]:
        """Index and id of the posts that match, in order of time."""
        after: dict[str, Any] = {}
        while True:
            hits = self._indices.search(
                query={"bool": {"filter": clauses}},
                sort=[{"micros.published": "asc"}, {"post.id": "asc"}],
                size=PAGE,
                source=False,
                track_total_hits=False,
                **after,
            )["hits"]["hits"]
            if not hits:
                return
            yield [(hit["_index"], hit["_id"]) for hit in hits]
            after = {"search_after": hits[-1]["sort"]}
