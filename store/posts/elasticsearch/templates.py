"""The shape of the indices: the JSON files of ``deploy/elasticsearch`` and what the server holds of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

from elasticsearch import AuthorizationException, BadRequestError

from domain.errors import StoreError
from store.posts.elasticsearch.connection import Cluster

POSTS = ("posts-mappings", "posts-settings", "posts")
"""Files of the posts' templates, in order of need: components first."""
CJK = "posts-cjk"


class Kind(StrEnum):
    """Of a template."""

    COMPONENT = "component_template"
    INDEX = "index_template"


class State(StrEnum):
    """Of a template on the server, beside ours."""

    SAME = "same"
    ABSENT = "absent"
    OLDER = "older"
    NEWER = "newer"
    DRIFTED = "drifted"
    """Of our version, and yet different: somebody changed it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """One template as it should be on the server."""

    kind: Kind
    name: str
    body: dict[str, Any]

    @property
    def version(self) -> int:
        """Of our making, from ``_meta``."""
        version: int = self.body["_meta"]["version"]
        return version


def template(file: str, prefix: str) -> Template:
    """The template in a file of ``deploy/elasticsearch`` under the names of a prefix."""
    text = (files("deploy") / "elasticsearch" / f"{file}.json").read_text("utf-8")
    body = json.loads(text.replace("{prefix}", prefix))
    kind = Kind.INDEX if "index_patterns" in body else Kind.COMPONENT
    body["_meta"]["digest"] = hashlib.sha256(_canonical(body).encode()).hexdigest()[:16]
    body["version"] = body["_meta"]["version"]
    return Template(kind=kind, name=f"{prefix}-{file.removesuffix('/template')}", body=body)


class Templates:
    """The templates of one prefix on one cluster; ``names`` are files of ``deploy/elasticsearch``."""

    def __init__(self, cluster: Cluster, names: Sequence[str] = POSTS, *, cjk: bool = True) -> None:
        """``cjk``: add the optional component for servers that know the analyser of that name."""
        self._cluster, self._names, self._cjk = cluster, tuple(names), cjk
        self._wanted: tuple[Template, ...] | None = None

    @property
    def wanted(self) -> tuple[Template, ...]:
        """What the server should hold; what it is able to hold is asked once. Raises ``StoreError``."""
        if self._wanted is None:
            extra = (CJK,) if self._cjk and self._knows_cjk() else ()
            prefix = self._cluster.address.prefix
            self._wanted = tuple(template(name, prefix) for name in (*extra, *self._names))
        return self._wanted

    def states(self) -> dict[str, State]:
        """By name. Raises ``StoreError``."""
        return {each.name: self._state(each) for each in self.wanted}

    def install(self) -> None:
        """Put what is absent or older; what somebody changed stays until ``mend``. Raises ``StoreError``."""
        states = self.states()
        if newer := [name for name, state in states.items() if state is State.NEWER]:
            raise StoreError(f"{self._cluster.where} 的模板 {newer[0]} 由更新的版本写成：请升级")
        self._put([name for name, state in states.items() if state in (State.ABSENT, State.OLDER)])

    def mend(self) -> list[str]:
        """Put what is not as it should be; returns the names. Raises ``StoreError``."""
        names = [name for name, state in self.states().items() if state not in (State.SAME, State.NEWER)]
        self._put(names)
        return names

    def _put(self, names: Sequence[str]) -> None:
        for each in self.wanted:
            if each.name in names:
                self._cluster.ask(
                    lambda client, each=each: (  # type: ignore[misc]
                        client.cluster.put_component_template(name=each.name, **each.body)
                        if each.kind is Kind.COMPONENT
                        else client.indices.put_index_template(
                            name=each.name,
                            body=each.body,  # the client has no word for one of its fields
                        )
                    )
                )

    def _state(self, ours: Template) -> State:
        path = f"/_{ours.kind.value}/{ours.name}"
        answer = self._cluster.ask(
            lambda client: client.options(ignore_status=404).perform_request(
                "GET", path, headers={"accept": "application/json"}
            )
        ).body
        found = answer.get(f"{ours.kind.value}s")
        if not found:
            return State.ABSENT
        theirs = found[0][ours.kind.value]
        version = (theirs.get("_meta") or {}).get("version", 0)
        if version != ours.version:
            return State.NEWER if isinstance(version, int) and version > ours.version else State.OLDER
        # What a later server adds of its own (a date of creation) is no drift.
        held = {name: theirs.get(name) for name in ours.body}
        return State.SAME if _canonical(held) == _canonical(ours.body) else State.DRIFTED

    def _knows_cjk(self) -> bool:
        def ask(client: Any) -> bool:
            try:
                client.indices.analyze(analyzer="cjk", text="提现")
            except (AuthorizationException, BadRequestError):
                return False
            return True

        return self._cluster.ask(ask)


def _canonical(body: dict[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, ensure_ascii=False)
