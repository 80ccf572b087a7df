"""One worker and two on one Redis inbox, and the inbox alone. ``python -m bench.workers [POSTS]``.

Two workers can be faster than one only where the model is what everybody waits for, and only with a core for each
of them beside Redis. Where there are fewer cores that part is left out, and a model that waits instead of computing
(as one on another machine would) shows what the inbox itself allows.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from app.sandbox.rows import built_in
from app.worker import Worker
from deploy.engines import Missing
from deploy.engines.redis import RedisServer
from domain.assessment import Assessment, Sentiment
from domain.post import Post, post_id
from store.inbox import Inbox, open_inbox
from store.posts import open_posts

BATCH = 32
MODEL_S = 0.010
"""Seconds of the model for one post: a hundred a second and core, as the shipped one takes long posts."""
CORES = 3
LEASE = timedelta(minutes=5)


def main() -> None:
    """Print the tables."""
    wanted = int(sys.argv[1]) if sys.argv[1:] else 1200
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            server = RedisServer(folder / "redis")
        except Missing as missing:
            print(f"left out: {missing}")
            return
        server.start()
        try:
            _inbox_alone(server, folder)
            cores = len(os.sched_getaffinity(0))
            if cores < CORES:
                print(
                    f"\nTwo workers with a computing model: left out, {cores} cores are fewer than {CORES}."
                )
            else:
                _compare(server, folder, wanted, "computes")
            _compare(server, folder, wanted, "waits")
        finally:
            server.stop()


def _inbox_alone(server: RedisServer, folder: Path) -> None:
    some = _posts(10_000)
    print("10,000 posts in batches of 128, one client\n")
    print("| inbox | put, posts/s | lease and acknowledge, posts/s |\n|---|---|---|")
    for name, url in (("Redis", f"{server.url}?prefix=alone"), ("SQLite", f"sqlite:///{folder}/inbox.db")):
        inbox = open_inbox(url)
        began = time.perf_counter()
        for start in range(0, len(some), 128):
            inbox.put(some[start : start + 128], now=some[0].fetched_at)
        put = time.perf_counter() - began
        if name == "Redis":
            memory = _memory_of_a_post(server, len(some))
        began = time.perf_counter()
        while leased := inbox.lease(128, now=some[0].fetched_at, lease=LEASE):
            inbox.acknowledge([item.token for item in leased])
        done = time.perf_counter() - began
        inbox.close()
        print(f"| {name} | {len(some) / put:,.0f} | {len(some) / done:,.0f} |")
    size = sum(len(post.text.encode()) for post in some) / len(some)
    print(f"\nOne post takes {memory:,.0f} bytes of Redis' memory; its text {size:,.0f} bytes.")


def _memory_of_a_post(server: RedisServer, count: int) -> float:
    with redis.Redis(port=server.port) as client:
        keys = ("{alone}:inbox", "{alone}:inbox:digests")
        return sum(client.memory_usage(key, samples=0) or 0 for key in keys) / count


def _compare(server: RedisServer, folder: Path, wanted: int, model: str) -> None:
    print(f"\n{wanted} posts, a model that {model} {1000 * MODEL_S:.0f} ms a post\n")
    print("| workers | posts/s | as against one |\n|---|---|---|")
    one = 0.0
    for workers in (1, 2):
        url = f"{server.url}?prefix={model}-{workers}"
        inbox = open_inbox(url)
        inbox.put(_posts(wanted), now=datetime.now(UTC))
        seconds = _seconds(workers, url, f"sqlite:///{folder}/{model}-{workers}.db", model, inbox)
        inbox.close()
        one = one or seconds
        print(f"| {workers} | {wanted / seconds:,.0f} | {one / seconds:.2f} |")


def _seconds(workers: int, url: str, posts_url: str, model: str, inbox: Inbox) -> float:
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.workers", "--worker", url, posts_url, model],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]
    for process in started:
        # Everything is loaded before the clock runs.
        assert process.stdout
        process.stdout.readline()
    began = time.perf_counter()
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        process.communicate()
    seconds = time.perf_counter() - began
    if inbox.depth(now=datetime.now(UTC)).waiting or any(process.returncode for process in started):
        raise RuntimeError("the workers did not finish")
    return seconds


class _Model:
    """Computes, or waits, as long as a model would."""

    model = "bench@1"

    def __init__(self, computes: bool) -> None:
        self._computes = computes

    def assess(self, posts: Sequence[Post]) -> list[Assessment]:
        if self._computes:
            # CPU seconds, not seconds: a neighbour on the same core must not make the model look quicker.
            until = time.process_time() + MODEL_S * len(posts)
            while time.process_time() < until:
                hashlib.sha256(bytes(100_000)).digest()
        else:
            time.sleep(MODEL_S * len(posts))
        even = {"negative": 0.1, "neutral": 0.8, "positive": 0.1}
        return [
            Assessment(post_id=p.id, model=self.model, sentiment=Sentiment.NEUTRAL, probabilities=even)
            for p in posts
        ]

    def again(self, posts: Sequence[Post], before: Sequence[Assessment]) -> list[Assessment]:
        return self.assess(posts)

    def stands(self, post: Post, assessment: Assessment) -> bool:
        return True


def _work(url: str, posts_url: str, model: str) -> None:
    inbox, posts, judge = (
        open_inbox(url),
        open_posts(posts_url, segment=str.split),
        _Model(model == "computes"),
    )
    worker = Worker(inbox=inbox, posts=posts, assessor=lambda: judge, influence=lambda _: 0.0, batch=BATCH)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(worker.drain(now=lambda: datetime.now(UTC)).done))
    inbox.close()
    posts.close()


def _posts(count: int) -> list[Post]:
    texts = [row.text for name in ("calm", "crisis") for row in built_in(name).rows]
    at = datetime(2026, 11, 22, tzinfo=UTC)
    return [
        Post(
            id=post_id("weibo", str(n)), platform="weibo", source="weibo", native_id=str(n),
            text=f"{texts[n % len(texts)]}（{n}）", published_at=at, fetched_at=at,
            url=f"https://weibo.com/1234567890/{n}",
        )
        for n in range(count)
    ]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _work(*sys.argv[2:])
    else:
        main()
