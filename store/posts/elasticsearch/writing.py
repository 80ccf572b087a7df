"""Writing posts: read what is known, decide in Python, write on the condition that nobody wrote meanwhile.

A condition (sequence number, or "does not exist yet") on every document makes replays and concurrent workers
harmless; a document refused for it is read anew and decided anew. External versions (``external_gte``) would keep
the newest text too, yet lose an engagement version when two workers renew one post at once.

The id alone does not say which month holds a post: dates drift between crawls. Two workers that meet a new post
under two months at the same moment are found out after the refresh, and the later copy goes into the earlier.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from elasticsearch import ApiError

from domain.errors import RefusedError, StoreError
from domain.post import under_first_date
from store.codec import clean
from store.posts import Judged, Record
from store.posts.elasticsearch.connection import Cluster
from store.posts.elasticsearch.documents import Entry, entry, merged, month, source
from store.posts.elasticsearch.indices import Indices
from store.posts.elasticsearch.problems import BUSY, blocked, busy, is_blocked, plain

BYTES = 8 << 20
"""A bulk request is cut before it grows beyond this."""
CHUNK = 500
"""Ids in one question."""
ROUNDS = 20
"""How often a post that others write at the same time is decided anew."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and in what state a document was seen."""

    index: str
    entry: Entry
    seq_no: int
    primary_term: int


@dataclass(frozen=True, slots=True)
class Write:
    """One line of a bulk request and its document."""

    id: str
    index: str
    lines: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.lines)) + len(self.lines)


@dataclass(slots=True)
class Outcome:
    """What became of writes."""

    done: set[str] = field(default_factory=set)
    outrun: set[str] = field(default_factory=set)
    """Somebody else wrote meanwhile: to be decided anew."""
    refused: dict[str, str] = field(default_factory=dict)
    """Never to be stored, with the reason."""


class Writing:
    """Puts, restores and removes documents of one posts store."""

    def __init__(
        self, cluster: Cluster, indices: Indices, tokens: Callable[[str], str], now: Callable[[], datetime]
    ) -> None:
        self._cluster, self._indices, self._tokens, self._now = cluster, indices, tokens, now

    def put(self, batch: Sequence[Judged]) -> None:
        """See ``Posts.put``. Raises ``RefusedError`` when all but some posts were stored."""
        wanted: dict[str, list[Judged]] = {}
        for judged in batch:
            wanted.setdefault(clean(judged.post.id), []).append(judged)
        known, fresh = self.places(list(wanted)), set[str]()
        touched, refused = set[str](), dict[str, str]()
        for _ in range(ROUNDS):
            writes = [
                write for id_, news in wanted.items() if (write := self._decided(id_, news, known.get(id_)))
            ]
            touched |= self._ready(writes)
            outcome = self._send(writes)
            refused |= outcome.refused
            fresh |= {id_ for id_ in outcome.done if id_ not in known}
            if not outcome.outrun:
                break
            wanted = {id_: news for id_, news in wanted.items() if id_ in outcome.outrun}
            known = self._reread(writes, outcome.outrun)
        else:
            raise StoreError(
                f"{self._cluster.where} 上的同一批帖子一直被别处改写：稍后会再试", permanent=False
            )
        self._indices.refresh(touched)
        self._unite(sorted(fresh))
        _raise_for(refused)

    def restore(self, records: Sequence[Record]) -> None:
        """See ``Posts.restore``."""
        wanted = {clean(record.judged.post.id): record for record in records}
        places = self._found(list(wanted))
        writes = []
        for id_, record in wanted.items():
            held = places.get(id_, [])
            index = self._indices.name(month(record.judged.post))
            first = record.versions[0][0] if record.versions else record.judged.post.fetched_at
            made = Entry(record, self._tokens_of(record, held[0].entry if held else None), first)
            writes.append(_write(id_, "index", index, source(made)))
            writes += [_write(id_, "delete", place.index) for place in held if place.index != index]
        touched = self._ready(writes)
        refused = self._send(writes).refused
        self._indices.refresh(touched)
        _raise_for(refused)

    def remove(self, found: Iterable[tuple[str, str]]) -> int:
        """Delete documents by index and id; returns how many there were."""
        gone = 0
        writes = [_write(id_, "delete", index) for index, id_ in found]
        for part in _parts(writes):
            gone += len(self._send(part).done)
        return gone

    def places(self, ids: Sequence[str]) -> dict[str, Place]:
        """Where posts are; of a post in two months, what is left after uniting it."""
        found = self._found(ids)
        if double := [id_ for id_, places in found.items() if len(places) > 1]:
            self._unite(double)
            found |= self._found(double)
        return {id_: places[0] for id_, places in found.items()}

    def _found(self, ids: Sequence[str]) -> dict[str, list[Place]]:
        """Every document of these ids, as of the last refresh, the first indexed first."""
        found: dict[str, list[Place]] = {}
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            for hit in self._indices.search(
                query={"ids": {"values": list(some)}}, size=2 * len(some) + 100, seq_no_primary_term=True
            )["hits"]["hits"]:
                found.setdefault(hit["_id"], []).append(_place(hit))
        for places in found.values():
            places.sort(key=lambda place: (place.entry.ingested, place.index))
        return found

    def _reread(self, writes: Sequence[Write], ids: set[str]) -> dict[str, Place]:
        """The documents that stood in the way, as they are this moment, refreshed or not."""
        asked = [{"_index": write.index, "_id": write.id} for write in writes if write.id in ids]
        docs = self._cluster.ask(lambda client: client.mget(docs=asked))["docs"]
        return {doc["_id"]: _place(doc) for doc in docs if doc.get("found")}

    def _decided(self, id_: str, news: Sequence[Judged], place: Place | None) -> Write | None:
        held = place.entry if place else None
        record = held.record if held else None
        for judged in news:
            record = merged(record, judged) or record
        if record is None or (held is not None and record is held.record):
            return None
        made = Entry(record, self._tokens_of(record, held), held.ingested if held else self._now())
        if place is None:
            return _write(id_, "create", self._indices.name(month(record.judged.post)), source(made))
        return _write(id_, "index", place.index, source(made), _condition(place))

    def _tokens_of(self, record: Record, held: Entry | None) -> str:
        whole = clean(record.judged.post.whole)
        # Cutting words takes longest: only new words are cut.
        return held.tokens if held and held.record.judged.post.whole == whole else self._tokens(whole)

    def _ready(self, writes: Iterable[Write]) -> set[str]:
        """The indices that are written to; they exist from now on."""
        names = {write.index for write in writes}
        for name in names:
            self._indices.ensure(name)
        return names

    def _unite(self, ids: Sequence[str]) -> None:
        """Make one document of each post that several months hold: under the first date, with the newest words."""
        for start in range(0, len(ids), CHUNK):
            some = ids[start : start + CHUNK]
            # Asking how many there are is cheap, and almost always the end of it.
            for _ in range(ROUNDS):
                if self._indices.count({"ids": {"values": list(some)}}) <= len(some):
                    break
                found = {id_: places for id_, places in self._found(some).items() if len(places) > 1}
                writes = [write for id_, places in found.items() for write in _united(id_, places)]
                touched = self._ready(writes)
                # Who comes second finds sequence numbers gone by, and looks again.
                self._send(writes)
                self._indices.refresh(touched)

    def _send(self, writes: Sequence[Write]) -> Outcome:
        outcome = Outcome()
        for part in _parts(writes):
            self._send_part(part, outcome)
        return outcome

    def _send_part(self, part: Sequence[Write], outcome: Outcome) -> None:
        left = list(part)
        for wait in self._cluster.waits():
            passing = self._sent(left, outcome)
            if not passing:
                return
            left = [write for write, _ in passing]
            status, error = passing[0][1]
            if wait is None:
                if is_blocked(status, error.get("type")):
                    raise blocked(self._cluster.where)
                raise busy(self._cluster.where, error.get("reason"))
            self._cluster.pause(wait)

    def _sent(
        self, part: Sequence[Write], outcome: Outcome
    ) -> list[tuple[Write, tuple[int, Mapping[str, Any]]]]:
        """Send one request; returns the writes that may pass later, with status and error."""
        # The client takes ready lines too, which its signature does not say.
        lines: Any = [line for write in part for line in write.lines]
        try:
            answer = self._cluster.ask(
                lambda client: client.bulk(
                    operations=lines,
                    filter_path="items.*.status,items.*.error.type,items.*.error.reason,"
                    "items.*.error.caused_by.reason",
                )
            )
        except StoreError as refusal:
            if not _is_about_content(refusal):
                raise
            if len(part) == 1:
                outcome.refused[part[0].id] = plain(refusal)
                return []
            # The request as a whole was refused (one document too large, one id too long): find the culprit.
            half = len(part) // 2
            return self._sent(part[:half], outcome) + self._sent(part[half:], outcome)
        passing: list[tuple[Write, tuple[int, Mapping[str, Any]]]] = []
        for write, item in zip(part, answer["items"], strict=True):
            ((verb, said),) = item.items()
            status, error = said["status"], said.get("error") or {}
            if status in BUSY or is_blocked(status, error.get("type")):
                passing.append((write, (status, error)))
            elif status == 409 or (status == 404 and verb != "delete"):
                outcome.outrun.add(write.id)
            elif status < 300:
                outcome.done.add(write.id)
            elif status != 404:
                outcome.refused[write.id] = _reason(error)
        return passing


def _write(
    id_: str, verb: str, index: str, document: str | None = None, condition: Mapping[str, int] | None = None
) -> Write:
    action = json.dumps({verb: {"_index": index, "_id": id_, **(condition or {})}}).encode()
    return Write(id_, index, (action,) if document is None else (action, document.encode()))


def _condition(place: Place) -> dict[str, int]:
    return {"if_seq_no": place.seq_no, "if_primary_term": place.primary_term}


def _place(hit: Mapping[str, Any]) -> Place:
    return Place(hit["_index"], entry(hit["_source"]), hit["_seq_no"], hit["_primary_term"])


def _united(id_: str, places: Sequence[Place]) -> Iterator[Write]:
    first, *others = places
    newest = max(places, key=lambda place: place.entry.record.judged.post.fetched_at).entry
    held = first.entry.record.judged.post
    post = under_first_date(newest.record.judged.post, at=held.published_at, date_only=held.date_only)
    versions = {at: engagement for place in places for at, engagement in place.entry.record.versions}
    record = Record(judged=replace(newest.record.judged, post=post), versions=tuple(sorted(versions.items())))
    made = Entry(record, newest.tokens, first.entry.ingested)
    yield _write(id_, "index", first.index, source(made), _condition(first))
    for place in others:
        yield _write(id_, "delete", place.index, condition=_condition(place))


def _parts(writes: Sequence[Write]) -> Iterator[list[Write]]:
    part: list[Write] = []
    size = 0
    for write in writes:
        if part and size + write.size > BYTES:
            yield part
            part, size = [], 0
        part.append(write)
        size += write.size
    if part:
        yield part


def _is_about_content(error: StoreError) -> bool:
    cause = error.__cause__
    return isinstance(cause, ApiError) and cause.status_code in (400, 413)


def _reason(error: Mapping[str, Any]) -> str:
    caused = error.get("caused_by") or {}
    return plain(f"{error.get('type')}: {caused.get('reason') or error.get('reason')}")


def _raise_for(refused: Mapping[str, str]) -> None:
    if refused:
        id_, reason = next(iter(refused.items()))
        raise RefusedError(
            f"Elasticsearch 永远存不下 {len(refused)} 条帖子，其余已存；第一条 {id_[:64]}：{reason}"
        )
