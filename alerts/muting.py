"""Mails that wait (night, cool-down) while a person mutes what they tell: they wait for the silence's end too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from alerts.stages import muted
from store.ledger import Ledger, Notification

AGAIN = timedelta(minutes=5)
"""A muted message is asked about again so soon: a silence may be ended early."""
GRACE = timedelta(minutes=1)
"""A silence holds older messages so much longer, for what came within it takes their place first."""


def mute_watch(ledger: Ledger) -> Callable[[Notification, datetime], datetime | None]:
    """Until when a waiting message must be held, for it and all it carries is silenced now; None: send it."""

    def held(message: Notification, at: datetime) -> datetime | None:
        known = (*ledger.silences.active(at), *ledger.silences.active(at - GRACE))
        silences = [silence for silence in known if message.created_at < silence.ends_at]
        if not silences:
            return None
        for told in (message, *ledger.outbox.carried(message.id)):
            alert = ledger.alerts.get(told.alert)
            if alert is None or not muted(replace(alert, level=told.level), silences):
                return None
        return at + AGAIN

    return held
