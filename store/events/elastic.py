"""The events in Elasticsearch: one index a year behind one alias, under the prefix of the posts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from config.settings import Access
from domain.errors import StoreError
from store.events import Event
from store.events.documents import document
from store.findings import Finding
from store.posts.elasticsearch.connection import Cluster, address
from store.posts.elasticsearch.problems import BUSY, busy, plain
from store.posts.elasticsearch.templates import State, Templates

BULK = 500
"""Documents in one request; each is about 1 kB."""
PATIENCE_S = 5.0
"""The next run is a minute away, and a watch that ends does not wait long for this one."""
STALE = 409
"""Status of a document whose stored version is greater: somebody copied it later than we read it."""
SUBJECT = "索引模板"


class ElasticEvents:
    """See ``store.events.Events``. Nothing is asked of the server before it is needed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._templates = Templates(cluster, ("events/template",), cjk=False)
        self._prepared = False

    @classmethod
    def at(cls, url: str, access: Access, *, patience_s: float = PATIENCE_S) -> ElasticEvents:
        """Beside the posts of an address. Raises ``ConfigError``."""
        return cls(Cluster(address(url, "帖子库 YUJING_POSTS_URL "), access, patience_s=patience_s))

    @property
    def alias(self) -> str:
        """What Kibana reads."""
        return f"{self._cluster.address.prefix}-events"

    def put(self, events: Sequence[Event]) -> None:
        """Store them; a stale one changes nothing."""
        if not self._prepared:
            # Without its template an index would be made of guesses about its fields.
            self._templates.install()
            self._prepared = True
        for some in _batches(events):
            lines = [line for event in some for line in (self._action(event), document(event))]
            answer = self._cluster.ask(lambda client, lines=lines: client.bulk(operations=lines))  # type: ignore[misc]
            if answer["errors"]:
                self._refused([item["index"] for item in answer["items"]])

    def any(self) -> bool:
        """Whether anything was ever stored."""
        return bool(self._cluster.ask(lambda client: client.indices.exists_alias(name=self.alias)))

    def examine(self) -> list[Finding]:
        """Whether the template is as it should be; the server itself is looked at by the posts."""
        try:
            (state,) = self._templates.states().values()
        except StoreError as error:
            return [Finding(subject=SUBJECT, ok=False, text=str(error))]
        text, remedy = {
            State.SAME: ("与本版本一致", ""),
            State.ABSENT: ("还没有装", "运行 yujing doctor --fix"),
            State.OLDER: ("是旧版本的", "运行 yujing doctor --fix"),
            State.NEWER: ("由更新的版本写成", "升级 Yujing"),
            State.DRIFTED: ("被改过", "运行 yujing doctor --fix 恢复"),
        }[state]
        mendable = state not in (State.SAME, State.NEWER)
        return [Finding(subject=SUBJECT, ok=state is State.SAME, text=text, remedy=remedy, mendable=mendable)]

    def mend(self) -> list[Finding]:
        """Install the template."""
        try:
            return [
                Finding(subject=SUBJECT, ok=True, text=f"已安装 {name}") for name in self._templates.mend()
            ]
        except StoreError as error:
            return [Finding(subject=SUBJECT, ok=False, text=str(error))]

    def close(self) -> None:
        """Release the connections."""
        self._cluster.close()

    def _action(self, event: Event) -> dict[str, Any]:
        target = {"_index": f"{self.alias}-v1-{event.at.astimezone(UTC):%Y}", "_id": event.id}
        versioned = (
            {} if event.version is None else {"version": event.version, "version_type": "external_gte"}
        )
        return {"index": {**target, **versioned}}

    def _refused(self, items: Sequence[dict[str, Any]]) -> None:
        """Raises ``StoreError`` for what was not stored, one that can be tried again when all of it can."""
        failed = [item for item in items if item["status"] >= 300 and item["status"] != STALE]
        if not failed:
            return
        lasting = [item for item in failed if item["status"] not in BUSY]
        first = (lasting or failed)[0]
        reason = first["error"].get("reason", first["error"].get("type"))
        if not lasting:
            raise busy(self._cluster.where, reason)
        raise StoreError(
            f"{self._cluster.where} 没有收下 {len(failed)} 个事件，例如 {plain(first['_id'])}："
            f"{plain(reason)}；运行 yujing doctor 看索引模板是否完好"
        )


def _batches(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    for start in range(0, len(events), BULK):
        yield events[start : start + BULK]
