"""Two monitors and two deliverers over one PostgreSQL ledger, as processes, and one of them killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest

from alerts.outbox import Deliverer
from store.ledger import Ledger, Notification, open_ledger

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALERTS, TOPICS, MESSAGES = 200, 40, 1000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def address(new_ledger_database: Callable[[], str]) -> str:
    return new_ledger_database()


@pytest.fixture
def ledger(address: str):
    opened = open_ledger(address)
    yield opened
    opened.close()


def started(*arguments: object) -> subprocess.Popen[str]:
    """A process at its start line."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("ledger_process.py"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def together(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()


def result(process: subprocess.Popen[str]):
    out, _ = process.communicate(timeout=800)
    assert process.returncode == 0
    return json.loads(out)


def killed_after(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def whole(ledger: Ledger) -> None:
    """All that a thousand signals bring, each once."""
    assert len(ledger.signals.since(NOW)) == 1000
    assert ledger.alerts.pending() == []
    found = ledger.alerts.find(limit=9999)
    assert sorted(each.id for each in found) == sorted(f"a{n}" for n in range(ALERTS))
    assert {each.revision for each in found} == {2}
    incidents = ledger.incidents.find(limit=9999)
    assert sorted(each.topic for each in incidents) == sorted(f"t{n}" for n in range(TOPICS))
    assert Counter(chain.from_iterable(each.alerts for each in incidents)) == Counter(
        each.id for each in found
    )
    for incident in incidents:
        told = [
            (event.after["alert"], event.after["revision"])
            for event in ledger.incidents.timeline(incident.id)
        ]
        assert sorted(told) == sorted((id_, revision) for id_ in incident.alerts for revision in "12")
    assert len(ledger.outbox.find(limit=9999)) == 2 * ALERTS


def test_two_monitors_over_a_thousand_signals(address: str, ledger: Ledger) -> None:
    both = [started("monitor", address) for _ in range(2)]
    together(*both)
    one, two = (result(process) for process in both)
    wanted = Counter(f"a{n}-{revision}" for n in range(ALERTS) for revision in (1, 2))
    assert Counter(one["signals"] + two["signals"]) == Counter(f"s{n:04d}" for n in range(1000))
    for what in ("alerts", "messages", "handled"):
        assert Counter(one[what] + two[what]) == wanted
    assert one["signals"] and two["signals"], "they did not race"
    whole(ledger)


def test_a_monitor_killed_among_two(address: str, ledger: Ledger) -> None:
    victim, other = started("monitor", address), started("monitor", address)
    together(victim, other)
    killed_after(victim, lambda: len(ledger.alerts.find(limit=9999)) > 30)
    result(other)
    whole(ledger)


def fill(ledger: Ledger, notification: Callable[..., Notification]) -> list[str]:
    ids = [f"n{n}" for n in range(MESSAGES)]
    assert ledger.outbox.enqueue([notification(id_, channel="file") for id_ in ids]) == MESSAGES
    return ids


def test_two_deliverers_send_each_message_once(
    address: str, ledger: Ledger, notification, tmp_path: Path
) -> None:
    ids = fill(ledger, notification)
    both = [started("deliver", address, tmp_path / "sent") for _ in range(2)]
    together(*both)
    counts = [result(process) for process in both]
    assert sum(counts) == MESSAGES
    assert all(counts), "they did not race"
    assert Counter((tmp_path / "sent").read_text().split()) == Counter(ids)
    assert len(ledger.outbox.find(state="sent", limit=9999)) == MESSAGES


def test_a_deliverer_killed_among_two(address: str, ledger: Ledger, notification, tmp_path: Path) -> None:
    ids, path = fill(ledger, notification), tmp_path / "sent"
    victim, other = (started("deliver", address, path) for _ in range(2))
    together(victim, other)
    killed_after(victim, lambda: path.exists() and path.stat().st_size > 1000)
    result(other)
    handed = Counter(path.read_text().split())
    waiting = {each.id for each in ledger.outbox.find(state="waiting", limit=9999)}
    assert len(waiting) <= 1, "a deliverer has one message in its hands"
    assert set(handed.values()) == {1}
    assert set(ids) - set(handed) <= waiting

    class Again:
        def send(self, notification: Notification) -> None:
            handed[notification.id] += 1

    # Its lease is over: handed over but not yet noted is handed over again, under the same Message-ID.
    assert Deliverer(ledger.outbox, {"file": Again()}).deliver(
        now=lambda: NOW + timedelta(hours=1)
    ).sent == len(waiting)
    assert set(handed) == set(ids)
    assert sum(handed.values()) <= MESSAGES + 1
    assert len(ledger.outbox.find(state="sent", limit=9999)) == MESSAGES
