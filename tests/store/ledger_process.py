"""A monitor or a deliverer as a process of its own: ``ledger_process.py COMMAND ARG…``, as ``child_process.py``."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime

from alerts.outbox import Deliverer
from domain.alert import Alert, AlertState, Change, Level
from domain.signal import Signal
from response.incidents import Desk
from store.ledger import Notification, open_ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROUNDS, SIGNALS, TOPICS = 200, 5, 40
"""Alerts, signals of each, incidents."""


def ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def signal(n: int) -> Signal:
    return Signal(
        id=f"s{n:04d}",
        at=NOW,
        brand="b",
        topic=f"t{n // SIGNALS % TOPICS}",
        detector="volume",
        window_min=60,
        observed=20.0,
        expected=2.5,
        tail=9.0,
        share=0.8,
        usual_share=0.1,
        share_z=4.0,
        explanation="一句",
    )


def alert(n: int, revision: int) -> Alert:
    return Alert(
        id=f"a{n}",
        fingerprint=f"f{n}",
        revision=revision,
        change=Change.NEW if revision == 1 else Change.UPDATE,
        brand="b",
        topics=(f"t{n % TOPICS}",),
        level=Level.ORANGE,
        score=71.0,
        reasons=(),
        state=AlertState.FIRING,
        onset=NOW,
        at=NOW,
        first_at=NOW,
        explanation="一句",
    )


def message(each: Alert) -> Notification:
    return Notification(
        id=f"{each.id}-{each.revision}",
        channel="file",
        recipient="pr@example.com",
        subject="x",
        body=b"x",
        alert=each.id,
        revision=each.revision,
        incident="",
        route="pr",
        created_at=NOW,
        not_before=NOW,
    )


def monitor(address: str) -> dict[str, list[str]]:
    """Do with every signal what a tick does, all of it as if nobody else did; what this process was first with."""
    ledger = open_ledger(address)
    desk = Desk(ledger=ledger, plans={}, plan_for=lambda topic, level: None)
    first: dict[str, list[str]] = {"signals": [], "alerts": [], "messages": [], "handled": []}
    ready()
    for n in range(ROUNDS):
        found = ledger.signals.record([signal(n * SIGNALS + k) for k in range(SIGNALS)])
        first["signals"] += [each.id for each in found]
        for revision in (1, 2):
            made = alert(n, revision)
            name = f"{made.id}-{revision}"
            if ledger.alerts.put(made):
                first["alerts"].append(name)
            desk.on_alert(made, now=NOW)
            if ledger.outbox.enqueue([message(made)]):
                first["messages"].append(name)
            if ledger.alerts.handled(made, at=NOW):
                first["handled"].append(name)
    return first


class FileChannel:
    """Appends the message's id to a file, in one write that another process cannot come between."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def send(self, notification: Notification) -> None:
        os.write(self._file, f"{notification.id}\n".encode())


def deliver(address: str, path: str) -> int:
    """Send until nothing waits; how many this process sent."""
    deliverer = Deliverer(open_ledger(address).outbox, {"file": FileChannel(path)})
    ready()
    sent = 0
    while now := deliverer.deliver(now=lambda: NOW).sent:
        sent += now
    return sent


if __name__ == "__main__":
    command = {"monitor": monitor, "deliver": deliver}
    print(json.dumps(command[sys.argv[1]](*sys.argv[2:])))
