"""What ``yujing doctor`` is told of the cluster, and what it can put right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from domain.errors import StoreError
from store.findings import Finding
from store.posts.elasticsearch.connection import Cluster
from store.posts.elasticsearch.indices import Indices
from store.posts.elasticsearch.templates import POSTS, State, Templates, template

SUBJECT = "帖子库（Elasticsearch）"
MEND = "运行 yujing doctor --fix"
SAID = {
    State.ABSENT: "没有安装",
    State.OLDER: "是旧版本",
    State.NEWER: "由更新的版本写成",
    State.DRIFTED: "被人改动过",
}


class Examining:
    """Looks at one cluster as the posts use it."""

    def __init__(self, cluster: Cluster, templates: Templates, indices: Indices) -> None:
        self._cluster, self._templates, self._indices = cluster, templates, indices

    def examine(self) -> list[Finding]:
        """See ``Examined.examine``; ends with the first question that the server does not answer."""
        found: list[Finding] = []
        looks: tuple[Callable[[], Iterator[Finding]], ...] = (
            self._server,
            self._health,
            self._template_states,
            self._blocks,
            self._fields,
        )
        try:
            for look in looks:
                found.extend(look())
        except StoreError as error:
            found.append(Finding(subject=SUBJECT, ok=False, text=str(error)))
        return found

    def mend(self) -> list[Finding]:
        """See ``Examined.mend``: templates, and fields that indices lack. Data is not touched."""
        try:
            done = [
                Finding(subject="帖子索引的模板", ok=True, text=f"已重新安装 {name}")
                for name in self._templates.mend()
            ]
            for name in self._lacking():
                self._cluster.ask(
                    lambda client, name=name: client.indices.put_mapping(  # type: ignore[misc]
                        index=name, properties=self._properties()
                    )
                )
                done.append(Finding(subject="帖子索引的字段", ok=True, text=f"已为 {name} 补上缺少的字段"))
        except StoreError as error:
            return [Finding(subject=SUBJECT, ok=False, text=str(error))]
        return done

    def _server(self) -> Iterator[Finding]:
        version = self._cluster.version()
        tls = "TLS" if self._cluster.address.tls else "明文"
        yield Finding(subject=SUBJECT, ok=True, text=f"{self._cluster.where}，版本 {version}，{tls}")

    def _health(self) -> Iterator[Finding]:
        health = self._cluster.ask(lambda client: client.cluster.health())
        status, nodes = health["status"], health["number_of_nodes"]
        text = f"{ {'green': '健康', 'yellow': '缺副本', 'red': '缺主分片'}[status] }，{nodes} 个节点"
        yield Finding(
            subject="集群状态",
            ok=status != "red",
            text=text,
            remedy="查看 _cluster/allocation/explain：有分片不可用，其中的帖子暂时查不到"
            if status == "red"
            else "",
        )

    def _template_states(self) -> Iterator[Finding]:
        for name, state in self._templates.states().items():
            if state is State.SAME:
                yield Finding(subject="帖子索引的模板", ok=True, text=f"{name} 与本版本一致")
            else:
                mendable = state is not State.NEWER
                yield Finding(
                    subject="帖子索引的模板",
                    ok=False,
                    text=f"{name} {SAID[state]}",
                    remedy=MEND if mendable else "请升级本程序",
                    mendable=mendable,
                )

    def _blocks(self) -> Iterator[Finding]:
        answer = self._cluster.ask(
            lambda client: client.indices.get_settings(
                index=self._indices.alias, ignore_unavailable=True, name="index.blocks.*"
            )
        )
        blocked = sorted(name for name, held in answer.body.items() if "true" in _leaves(held))
        if blocked:
            yield Finding(
                subject="帖子索引的写入",
                ok=False,
                text=f"只读：{'、'.join(blocked)}",
                remedy="腾出磁盘空间（Elasticsearch 会自行解除），或撤销人工设置的 index.blocks",
            )

    def _fields(self) -> Iterator[Finding]:
        for name in self._lacking():
            yield Finding(
                subject="帖子索引的字段",
                ok=False,
                text=f"{name} 缺少本版本的字段",
                remedy=MEND,
                mendable=True,
            )

    def _lacking(self) -> list[str]:
        """Indices that lack fields of ours."""
        answer = self._cluster.ask(
            lambda client: client.indices.get_mapping(index=self._indices.alias, ignore_unavailable=True)
        )
        wanted = _paths(self._properties())
        return sorted(
            name
            for name, held in answer.body.items()
            if not wanted <= _paths(held["mappings"].get("properties", {}))
        )

    def _properties(self) -> dict[str, Any]:
        body = template(POSTS[0], self._cluster.address.prefix).body
        properties: dict[str, Any] = body["template"]["mappings"]["properties"]
        return properties


def _paths(properties: dict[str, Any], above: str = "") -> set[str]:
    """The names of all fields, in full."""
    found: set[str] = set()
    for name, field in properties.items():
        found |= {above + name, *_paths(field.get("properties", {}), f"{above}{name}.")}
    return found


def _leaves(value: Any) -> set[str]:
    return set().union(*map(_leaves, value.values())) if isinstance(value, dict) else {str(value)}
