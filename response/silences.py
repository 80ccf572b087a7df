"""Muting alerts (静默): who, what, until when and why."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from domain.alert import Level
from domain.errors import InputError
from store.ledger import AuditEntry, Ledger, Silence

LONGEST = timedelta(days=31)
"""A silence that outlives everybody's memory hides the next crisis."""


def add(
    ledger: Ledger,
    *,
    brand: str,
    topic: str,
    lasting: timedelta,
    below: Level,
    actor: str,
    reason: str,
    now: datetime,
) -> Silence:
    """Mute alerts of a brand and lead topic (empty: any) below a level from now on.

    Raises ``InputError`` without a reason, for a time that is not positive or beyond ``LONGEST``, or for one
    that would mute everything.
    """
    if not reason.strip():
        raise InputError("需要写明原因")
    if not timedelta(0) < lasting <= LONGEST:
        raise InputError(f"静默时长要大于 0，最长 {LONGEST.days} 天")
    if not brand and not topic:
        raise InputError("要写明静默哪个品牌或主题，不能静默全部")
    if below is Level.NONE:
        raise InputError("静默级别只能是 blue、yellow、orange、red")
    digest = hashlib.sha256(f"{now.isoformat()}|{actor}|{brand}|{topic}|{reason}".encode()).hexdigest()
    silence = Silence(
        id=f"SIL-{digest[:8]}",
        brand=brand,
        topic=topic,
        starts_at=now,
        ends_at=now + lasting,
        created_by=actor,
        reason=reason,
        below=below,
    )
    ledger.silences.add(silence)
    ledger.audit.record(AuditEntry(at=now, actor=actor, action="silence", subject=silence.id, reason=reason))
    return silence


def end(ledger: Ledger, id_: str, *, actor: str, reason: str = "", now: datetime) -> None:
    """End a silence early. Raises ``InputError`` for an unknown one or one that has ended."""
    known = next((silence for silence in ledger.silences.all() if silence.id == id_), None)
    if known is None:
        raise InputError(f"没有静默 {id_}")
    if not ledger.silences.end(id_, at=now, actor=actor):
        raise InputError(f"静默 {id_} 已经结束")
    ledger.audit.record(AuditEntry(at=now, actor=actor, action="end_silence", subject=id_, reason=reason))
