"""A million posts in SQLite and in Elasticsearch beside ten thousand. ``python -m bench.engines [POSTS …]``.

Elasticsearch is started for it (``deploy.engines``). Ingest: batches of 5,000 through ``Posts.put``, words cut before;
beside it ``elasticsearch.helpers.parallel_bulk`` alone with the documents ready made, on the same server in the same
run, both with as many threads. A tick: ``Posts.counts`` over the last six hours as ``monitor.series`` asks it; the same
600 posts fall into them whatever the size of the history. Search: newest 20 with total, by words, brand and topic.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk
from pydantic import SecretStr

from app.sandbox.rows import built_in
from config.settings import NO_ACCESS, Access
from deploy.engines import Missing
from deploy.engines.elasticsearch import ElasticsearchServer
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.post import Author, Engagement, Post, post_id
from nlp.segment import Segmenter
from store.posts import Judged, Posts, Query, open_posts
from store.posts.elasticsearch.documents import Entry, merged, month, source
from store.posts.words import words

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAYS = 180
TICK = timedelta(hours=6)
RECENT = 600
"""Posts within the tick's hours."""
BATCH = 5_000
THREADS = 4
COMPARED = 20_000
"""Posts of the comparison with ``parallel_bulk``."""
BRANDS = ("yunqiao", "hengxin", "jinqiao")
TOPICS = ("withdrawal_difficulty", "data_leak", "violent_collection", "misleading_sales")


def main() -> None:
    """Print the table."""
    sizes = [int(each) for each in sys.argv[1:]] or [10_000, 50_000]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        try:
            server = ElasticsearchServer(folder / "elasticsearch", password="bench", heap_mb=1024)
        except Missing as missing:
            print(missing)
            return
        server.start()
        try:
            _run(sizes, folder, server)
        finally:
            server.stop()


def _run(sizes: Sequence[int], folder: Path, server: ElasticsearchServer) -> None:
    cutter = Cutter()
    access = Access(password=SecretStr(server.password))
    print("| store | posts | ingest, posts/s | tick, ms | search p50, ms | search p95, ms |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        for name, url, opens in (
            ("SQLite", f"sqlite:///{folder / f'{size}.db'}", NO_ACCESS),
            ("Elasticsearch", f"{server.url}/n{size}", access),
        ):
            with closing(open_posts(url, opens, segment=cutter)) as posts:
                rate = _ingest(posts, size, threads=1 if name == "SQLite" else THREADS)
                tick = statistics.median(_tick(posts) for _ in range(9))
                asked = sorted(_searches(posts))
            p95 = asked[int(0.95 * len(asked))]
            print(
                f"| {name} | {size:,} | {rate:,.0f} | {1000 * tick:.0f} | {1000 * statistics.median(asked):.0f}"
                f" | {1000 * p95:.0f} |",
                flush=True,
            )
    ours, theirs = _beside_parallel_bulk(server, access, cutter)
    print(
        f"\n{COMPARED:,} posts: ours {ours:,.0f} posts/s, parallel_bulk alone {theirs:,.0f}: {ours / theirs:.2f} of it"
    )


class Cutter:
    """Cuts each text once: jieba would take most of the ingest otherwise, and is measured elsewhere."""

    def __init__(self) -> None:
        self._segmenter = Segmenter()
        # In the form in which the store asks.
        texts = [unicodedata.normalize("NFKC", text) for text in _texts()]
        self._cut = {text: self._segmenter.tokens(text) for text in texts}

    def __call__(self, text: str) -> list[str]:
        known, _, number = text.rpartition(" # ")
        return [*self._cut[known], number] if known in self._cut else self._segmenter.tokens(text)


def posts_of(size: int, seed: int = 1) -> Iterator[Judged]:
    """The posts, from a seed; ``RECENT`` of them in the last hours, the others over ``DAYS`` before."""
    rng = random.Random(seed)
    texts = _texts()
    for n in range(size):
        recent = n % max(1, size // RECENT) == 0
        seconds = (
            rng.uniform(0, TICK.total_seconds())
            if recent
            else rng.uniform(TICK.total_seconds(), DAYS * 86_400)
        )
        yield _judged(n, rng, texts[n % len(texts)], NOW - timedelta(seconds=seconds))


def _texts() -> list[str]:
    return [" ".join(row.text.split()) for name in ("calm", "crisis") for row in built_in(name).rows]


def _judged(n: int, rng: random.Random, text: str, at: datetime) -> Judged:
    negative = rng.random() < 0.15
    sentiment = Sentiment.NEGATIVE if negative else Sentiment.NEUTRAL
    id_ = post_id("weibo", str(n))
    post = Post(
        id=id_, platform=rng.choice(("weibo", "guba", "news")), source="bench", native_id=str(n),
        text=f"{text} # {n}", published_at=at, fetched_at=at + timedelta(minutes=3), url=f"https://example.com/{n}",
        author=Author(key=f"a{rng.randrange(50_000)}", name="张***"),
        engagement=Engagement(likes=rng.randrange(100), reposts=rng.randrange(20)),
    )  # fmt: skip
    probabilities = {"negative": rng.uniform(0.5, 1), "neutral": 0.2, "positive": 0.0}
    entity = EntityJudgement(
        name="云桥金融", brand=rng.choice(BRANDS), sentiment=sentiment, probability=0.9,
        negative=probabilities["negative"] if negative else 0.1,
    )  # fmt: skip
    topic = TopicJudgement(id=rng.choice(TOPICS), stance=Stance.ASSERT, probability=0.9)
    story = post_id("weibo", str(n - n % 5)) if negative else id_
    return Judged(
        post=post,
        assessment=Assessment(
            post_id=id_, model="bench@1", sentiment=sentiment, probabilities=probabilities, entities=(entity,),
            topics=(topic,) if negative else (), keywords=("提现", "客服", "理财"), story=story,
            influence=rng.uniform(1, 20),
        ),
    )  # fmt: skip


def _batches(posts: Iterator[Judged]) -> Iterator[list[Judged]]:
    while batch := list(islice(posts, BATCH)):
        yield batch


def _ingest(posts: Posts, size: int, *, threads: int, prepared: Sequence[list[Judged]] = ()) -> float:
    """Posts a second; making them is not counted."""
    spent = 0.0
    batches = iter(prepared) if prepared else _batches(posts_of(size))
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(batches, 4 * threads)):
            began = time.perf_counter()
            for _ in pool.map(posts.put, some):
                pass
            spent += time.perf_counter() - began
    return size / spent


def _tick(posts: Posts) -> float:
    return _seconds(lambda: posts.counts(since=NOW - TICK, until=NOW, step_s=300, brands=BRANDS))


def _searches(posts: Posts) -> Iterator[float]:
    rng = random.Random(2)
    for _ in range(60):
        query = Query(
            text=rng.choice(("提现 客服", '"无法提现"', "理财", "暴雷", "公告 客服")),
            brand=rng.choice(("", *BRANDS)),
            topic=rng.choice(("", TOPICS[0])),
            limit=20,
        )
        yield _seconds(lambda query=query: posts.search(query))  # type: ignore[misc]


def _beside_parallel_bulk(server: ElasticsearchServer, access: Access, cutter: Cutter) -> tuple[float, float]:
    """Best of two rounds each, in turn, into empty indices of the same mapping."""
    judged = list(posts_of(COMPARED))
    ready = [(post.post.id, month(post.post), _document(post, cutter)) for post in judged]
    batches = list(_batches(iter(judged)))
    ours, theirs = [], []
    for turn in range(2):
        with closing(open_posts(f"{server.url}/ours{turn}", access, segment=cutter)) as posts:
            _make_months(posts)
            ours.append(_ingest(posts, COMPARED, threads=THREADS, prepared=batches))
        with (
            closing(open_posts(f"{server.url}/theirs{turn}", access, segment=cutter)) as posts,
            closing(
                Elasticsearch(
                    f"http://127.0.0.1:{server.port}",
                    basic_auth=("elastic", server.password),
                    request_timeout=60,
                )
            ) as client,
        ):
            _make_months(posts)
            theirs.append(COMPARED / _seconds(lambda client=client, turn=turn: _bulk(client, turn, ready)))  # type: ignore[misc]
    return max(ours), max(theirs)


def _make_months(posts: Posts) -> None:
    """Let both sides find their indices made, as every ingest but the first of a month does."""
    made = next(posts_of(1))
    posts.put(
        [
            replace(
                made, post=replace(made.post, id=f"month-{days}", published_at=NOW - timedelta(days=days))
            )
            for days in range(0, DAYS + 1, 10)
        ]
    )


def _bulk(client: Elasticsearch, turn: int, ready: Sequence[tuple[str, str, dict[str, Any]]]) -> None:
    actions = (
        {"_index": f"theirs{turn}-posts-v1-{at}", "_id": id_, "_source": document}
        for id_, at, document in ready
    )
    for _ in parallel_bulk(client, actions, thread_count=THREADS):
        pass
    client.indices.refresh(index=f"theirs{turn}-posts")


def _document(judged: Judged, cutter: Cutter) -> dict[str, Any]:
    record = merged(None, judged)
    assert record is not None
    made: dict[str, Any] = json.loads(source(Entry(record, " ".join(words(judged.post.whole, cutter)), NOW)))
    return made


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
