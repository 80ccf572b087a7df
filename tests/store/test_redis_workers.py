"""Workers on one Redis inbox, two of them killed again and again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Access
from deploy.engines.redis import RedisServer
from store.inbox import Depth, open_inbox
from store.posts import Query, open_posts

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("child_process.py")
POSTS = 800
KILLS = 3
"""How often each of the two is killed at most."""


class Workers:
    """Starts ``child_process.py worker``."""

    def __init__(self, inbox_url: str, password: str, posts_url: str) -> None:
        self._command = [sys.executable, str(CHILD), "worker", inbox_url, posts_url]
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "YUJING_INBOX_PASSWORD": password}
        self.killed: list[int] = []

    def start(self) -> subprocess.Popen[str]:
        """A worker that has begun."""
        process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        return process

    def hunted(self, luck: random.Random) -> None:
        """Start a worker, kill it after a moment, start the next; the last one is left in peace."""
        for _ in range(KILLS):
            process = self.start()
            time.sleep(luck.uniform(0.0, 0.5))
            process.kill()
            process.communicate()
            if process.returncode == -signal.SIGKILL:
                self.killed.append(process.pid)
        self.finish(self.start())

    @staticmethod
    def finish(process: subprocess.Popen[str]) -> dict[str, int]:
        """What a worker did that was left in peace."""
        out, _ = process.communicate(timeout=600)
        assert process.returncode == 0
        return json.loads(out)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_post_is_stored_once_though_workers_are_killed(
    redis_server: RedisServer, tmp_path: Path, post, now
) -> None:
    url, posts_url = f"{redis_server.url}?prefix=workers", f"sqlite:///{tmp_path}/posts.db"
    inbox = open_inbox(url, Access(password=SecretStr(redis_server.password)))
    made = [post(str(n), f"云桥 第{n}条") for n in range(POSTS)]
    assert inbox.put(made, now=datetime.now(UTC)) == POSTS
    workers = Workers(url, redis_server.password, posts_url)
    steady = workers.start()
    hunts = [threading.Thread(target=workers.hunted, args=(random.Random(seed),)) for seed in (1, 2)]
    for hunt in hunts:
        hunt.start()
    # What comes meanwhile is worked on too.
    more = [post(str(n), f"云桥 第{n}条") for n in range(POSTS, POSTS + 200)]
    for start in range(0, len(more), 20):
        inbox.put(more[start : start + 20], now=datetime.now(UTC))
    workers.finish(steady)
    for hunt in hunts:
        hunt.join()
    assert len(workers.killed) >= 3, "the machine finished before they could be killed"

    ids = {each.id for each in (*made, *more)}
    assert inbox.depth(now=datetime.now(UTC)) == Depth(waiting=0, leased=0, dead=0, oldest=None)
    assert inbox.dead() == []
    assert all(finding.ok for finding in inbox.examine())
    inbox.close()
    posts = open_posts(posts_url, segment=str.split)
    assert posts.size() == len(ids)
    assert set(posts.known(list(ids))) == ids
    assert posts.search(Query(text="云桥")).total == len(ids)
    (row,) = posts.counts(since=now, until=now.replace(hour=23), step_s=300)
    assert (row.posts, row.negative, row.stories) == (len(ids), len(ids), len(ids))
    posts.close()
