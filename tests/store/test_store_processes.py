"""Several processes at once, and processes that are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from domain.alert import Level
from store.inbox import Depth, open_inbox
from store.ledger import Ledger
from store.posts import Query, open_posts

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("child_process.py")


class Child:
    """A process that waits at its start line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, CHILD, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_ready(self) -> Child:
        assert self.process.stdout.readline() == "ready\n"
        return self

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self) -> object:
        out, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0
        return json.loads(out)

    def kill(self) -> int:
        """kill -9; the exit code tells whether it had ended before."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)
        return self.process.returncode


def race(count: int, *arguments: str) -> list:
    """The results of so many equal processes started on one signal."""
    children = [Child(*arguments) for _ in range(count)]
    for child in children:
        child.wait_ready()
    for child in children:
        child.go()
    return [child.result() for child in children]


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    return f"sqlite:///{tmp_path}/inbox.db", f"sqlite:///{tmp_path}/posts.db"


def fill(url: str, post, now, count: int) -> set[str]:
    made = [post(str(n), f"云桥 第{n}条") for n in range(count)]
    inbox = open_inbox(url)
    assert inbox.put(made, now=now) == count
    inbox.close()
    return {each.id for each in made}


def verify(urls: tuple[str, str], ids: set[str], now) -> None:
    """Every post once, every index whole, nothing left."""
    inbox, posts = open_inbox(urls[0]), open_posts(urls[1], segment=str.split)
    assert inbox.depth(now=now) == Depth(waiting=0, leased=0, dead=0, oldest=None)
    assert posts.size() == len(ids)
    assert set(posts.known(list(ids))) == ids
    assert posts.search(Query(text="云桥")).total == len(ids)
    rows = posts.counts(since=now, until=now.replace(hour=23), step_s=300)
    assert [(row.posts, row.negative, row.stories) for row in rows] == [(len(ids), len(ids), len(ids))]
    inbox.close()
    posts.close()
    connection = sqlite3.connect(urls[1].removeprefix("sqlite:///"))
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    connection.close()


def test_a_worker_killed_at_random_points_loses_and_doubles_nothing(urls, post, now) -> None:
    ids = fill(urls[0], post, now, 2000)
    luck, killed = random.Random(7), 0
    for run in range(60):
        child = Child("work", *urls, str(run)).wait_ready()
        child.go()
        if killed < 8:
            time.sleep(luck.uniform(0.0, 0.06))
            if child.kill() == -signal.SIGKILL:
                killed += 1
                continue
        else:
            child.result()
        break
    assert killed >= 3, "the machine finished before it could be killed"
    verify(urls, ids, now)


def test_two_workers_share_the_work(urls, post, now) -> None:
    ids = fill(urls[0], post, now, 600)
    done = race(2, "work", *urls, "0")
    assert sum(done) == 600
    verify(urls, ids, now)


def test_no_message_is_leased_by_two_processes(ledger: Ledger, ledger_url: str, notification) -> None:
    ids = [f"n{n}" for n in range(1000)]
    ledger.outbox.enqueue([notification(id_) for id_ in ids])
    leased = Counter(id_ for part in race(2, "outbox", ledger_url) for id_ in part)
    assert leased == Counter(ids)


def test_an_alert_is_put_and_handled_by_one_process(ledger: Ledger, ledger_url: str) -> None:
    parts = race(2, "alerts", ledger_url)
    for what in ("put", "handled"):
        assert Counter(id_ for part in parts for id_ in part[what]) == Counter(f"a{n}" for n in range(60))
    assert ledger.alerts.pending() == []
    assert {each.level for each in ledger.alerts.find()} == {Level.RED}


def test_two_processes_open_one_incident(ledger: Ledger, ledger_url: str) -> None:
    one, two = race(2, "incidents", ledger_url)
    assert one == two
    assert sorted(one.values()) == [f"INC-20261122-{n:03d}" for n in range(1, 41)]
    assert all(len(ledger.incidents.timeline(id_)) == 1 for id_ in one.values())


def test_processes_open_new_stores_together(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/new folder/{name}.db" for name in ("inbox", "posts", "ledger")]
    assert race(3, "opens", *urls) == [True, True, True]
