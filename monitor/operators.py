"""Alerts for the operator: a source that is blind, until it sees again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from config.settings import Source
from domain.alert import RETIRED, Alert, AlertState, Change, Level, Reason
from domain.signal import Signal, signal_id
from monitor.revisions import OPEN, alert_id
from store.ledger import Alerts, Signals


def operator_alerts(
    signal_log: Signals,
    alert_book: Alerts,
    sources: Sequence[Source],
    blind: Mapping[str, tuple[datetime, str]],
    *,
    at: datetime,
) -> tuple[list[Signal], list[Alert]]:
    """Open an alert for every source that became blind, resolve those that see again."""
    if not sources and not blind:
        return [], []
    open_alerts = {alert.source: alert for alert in alert_book.find(brand="", states=OPEN)}
    signals: list[Signal] = []
    alerts: list[Alert] = []
    for source, (since, text) in sorted(blind.items()):
        if source not in open_alerts:
            signal = _signal(source, text, at)
            signals += signal_log.record([signal])
            alert = _born(source, text, since, at, signal.id)
            alerts += [alert] if alert_book.put(alert) else []
    names = {source.id: source.name for source in sources}
    for source, alert in sorted(open_alerts.items()):
        if source not in blind:
            watched = source in names
            text = f"{names[source]} 恢复采集" if watched else f"{source} 已停用，不再监测"
            retired = Reason(rule=RETIRED, points=0.0, text=text)
            seeing = replace(
                alert,
                revision=alert.revision + 1,
                change=Change.RECOVERED,
                state=AlertState.RESOLVED,
                at=at,
                reasons=alert.reasons if watched else (retired,),
                explanation=text + "。",
            )
            alerts += [seeing] if alert_book.put(seeing) else []
    return signals, alerts


def _signal(source: str, text: str, at: datetime) -> Signal:
    return Signal(
        id=signal_id(at=at, brand="", topic="", detector="blind_source", source=source),
        at=at,
        brand="",
        topic="",
        detector="blind_source",
        window_min=0,
        observed=0,
        expected=0,
        tail=0,
        share=0,
        usual_share=0,
        share_z=0,
        explanation=text + "。",
        source=source,
    )


def _born(source: str, text: str, since: datetime, at: datetime, signal: str) -> Alert:
    fingerprint = f"source:{source}"
    return Alert(
        id=alert_id(fingerprint, at),
        fingerprint=fingerprint,
        revision=1,
        change=Change.NEW,
        brand="",
        topics=(),
        level=Level.NONE,
        score=0.0,
        reasons=(Reason(rule="blind_source", points=0.0, text=text),),
        state=AlertState.FIRING,
        onset=since,
        at=at,
        first_at=at,
        explanation=text + "。",
        signals=(signal,),
        source=source,
    )
