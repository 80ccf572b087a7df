"""What people said about posts against the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select

from domain.correction import Correction
from store.codec import clean, decode, document
from store.ledger.engine import Handle, alone, upsert
from store.ledger.tables import audit, corrections

_CHUNK = 500
"""Ids in one question."""
_WORDS = {
    "sentiment": "情感",
    "topics": "话题",
    "stance": "立场",
    "ad": "广告",
    "negative_about": "负面指向",
}


class SqlCorrections:
    """See ``store.ledger.Corrections``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def put(self, corrections_: Sequence[Correction]) -> list[Correction]:
        """Store them after what was said before, all or none; returns those that changed anything."""
        changed: dict[str, Correction] = {}
        entries = []
        with self._handle.write() as connection:
            # What was said before is read first: two at a time would lose what one of them says.
            alone(connection, "corrections")
            known = _of(connection, [each.post for each in corrections_])
            for each in corrections_:
                before = known.get(clean(each.post))
                merged = each.after(before)
                if merged.says_more_than(before):
                    known[clean(each.post)] = changed[clean(each.post)] = merged
                    entries.append(_entry(merged, before))
            upsert(connection, corrections, [_row(each) for each in changed.values()])
            if entries:
                connection.execute(insert(audit), entries)
        return list(changed.values())

    def of(self, posts: Sequence[str]) -> Mapping[str, Correction]:
        """Those of some posts, by post id."""
        with self._handle.read() as connection:
            return _of(connection, posts)

    def all(self) -> list[Correction]:
        """Newest first."""
        statement = select(corrections.c.body).order_by(corrections.c.at.desc(), corrections.c.post)
        with self._handle.read() as connection:
            return [decode(Correction, body) for body in connection.execute(statement).scalars()]


def _of(connection: Connection, posts: Sequence[str]) -> dict[str, Correction]:
    ids = list(dict.fromkeys(map(clean, posts)))
    found: dict[str, Correction] = {}
    for start in range(0, len(ids), _CHUNK):
        some = ids[start : start + _CHUNK]
        rows = connection.execute(
            select(corrections.c.post, corrections.c.body).where(corrections.c.post.in_(some))
        )
        found |= {post: decode(Correction, body) for post, body in rows}
    return found


def _row(correction: Correction) -> dict[str, object]:
    return {
        "post": correction.post,
        "at": correction.at,
        "actor": correction.by,
        "body": document(correction),
    }


def _entry(new: Correction, old: Correction | None) -> dict[str, object]:
    """Who changed what from what to what."""
    changes = [
        f"{word} {_said(getattr(old, name, None))} → {_said(getattr(new, name))}"
        for name, word in _WORDS.items()
        if getattr(new, name) != getattr(old, name, None)
    ]
    return {
        "at": new.at,
        "actor": new.by,
        "action": "label",
        "subject": new.post,
        "reason": "；".join(changes) or "备注",
    }


def _said(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    return "、".join(value) or "无" if isinstance(value, tuple) else str(value)
