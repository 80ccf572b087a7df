"""The embedded stores beside what a user would write first with SQLite alone. ``python -m bench.stores [POSTS]``."""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.sandbox.rows import built_in
from domain.assessment import Assessment, EntityJudgement, Sentiment, Stance, TopicJudgement
from domain.post import Post, post_id
from nlp.segment import Segmenter
from store.inbox import open_inbox
from store.posts import Judged, Query, open_posts

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DAYS = 28
BATCH = 128
BRAND = "yunqiao"


def main() -> None:
    """Print the table."""
    wanted = int(sys.argv[1]) if sys.argv[1:] else 20_000
    judged = list(_judged(wanted))
    segmenter = Segmenter()
    # Cut before the clock runs, in the form in which the store asks: jieba would take four fifths of the put.
    texts = [unicodedata.normalize("NFKC", item.post.whole) for item in judged]
    cut = {text: segmenter.tokens(text) for text in texts}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with closing(_plain(folder / "plain.db", judged)) as plain:
            _print(wanted, _inbox(folder, judged), *_posts(folder, judged, cut, segmenter, plain))


def _judged(wanted: int) -> Iterator[Judged]:
    rng = random.Random(1)
    texts = [row.text for name in ("calm", "crisis") for row in built_in(name).rows]
    for n in range(wanted):
        negative = rng.random() < 0.15
        sentiment = Sentiment.NEGATIVE if negative else Sentiment.NEUTRAL
        id_ = post_id("weibo", str(n))
        at = NOW - timedelta(seconds=rng.uniform(0, DAYS * 86_400))
        post = Post(
            id=id_, platform="weibo", source="weibo", native_id=str(n), text=f"{texts[n % len(texts)]}（{n}）",
            published_at=at, fetched_at=at,
        )  # fmt: skip
        topic = TopicJudgement(id="withdrawal_difficulty", stance=Stance.ASSERT, probability=0.9)
        entity = EntityJudgement(
            name="云桥金融",
            sentiment=sentiment,
            probability=0.9,
            negative=0.9 if negative else 0.1,
            brand=BRAND,
        )
        yield Judged(
            post=post,
            assessment=Assessment(
                post_id=id_, model="bench@1", sentiment=sentiment, story=id_, entities=(entity,),
                probabilities={"negative": 0.9, "neutral": 0.05, "positive": 0.05} if negative
                else {"negative": 0.1, "neutral": 0.8, "positive": 0.1},
                topics=(topic,) if negative else (),
            ),
        )  # fmt: skip


def _plain(path: Path, judged: list[Judged]) -> sqlite3.Connection:
    """The table that one would write first: a row a post, no index but the id."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE posts (id TEXT PRIMARY KEY, at TEXT, brand TEXT, negative INTEGER, text TEXT)"
    )
    rows = [
        (
            j.post.id,
            j.post.published_at.isoformat(),
            BRAND,
            j.assessment.entities[0].negative > 0.5,
            j.post.text,
        )
        for j in judged
    ]
    with connection:
        connection.executemany("INSERT INTO posts VALUES (?, ?, ?, ?, ?)", rows)
    return connection


def _inbox(folder: Path, judged: list[Judged]) -> tuple[str, float, float]:
    some = [item.post for item in judged[:4_000]]
    inbox = open_inbox(f"sqlite:///{folder / 'inbox.db'}")

    def ours() -> None:
        for start in range(0, len(some), BATCH):
            inbox.put(some[start : start + BATCH], now=NOW)
        while leased := inbox.lease(BATCH, now=NOW, lease=timedelta(minutes=5)):
            inbox.acknowledge([item.token for item in leased])

    plain = sqlite3.connect(folder / "queue.db", isolation_level=None)
    plain.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE q (n INTEGER PRIMARY KEY, t TEXT)"
    )

    def theirs() -> None:
        for post in some:
            plain.execute("INSERT INTO q (t) VALUES (?)", (post.text,))
        while row := plain.execute("SELECT n FROM q ORDER BY n LIMIT 1").fetchone():
            plain.execute("DELETE FROM q WHERE n = ?", row)

    with closing(inbox), closing(plain):
        return "inbox: 4,000 posts in and out (a table, one row a time)", _seconds(ours), _seconds(theirs)


def _posts(
    folder: Path,
    judged: list[Judged],
    cut: dict[str, list[str]],
    segmenter: Segmenter,
    plain: sqlite3.Connection,
) -> list[tuple[str, float, float]]:
    posts = open_posts(
        f"sqlite:///{folder / 'posts.db'}", segment=lambda t: cut.get(t) or segmenter.tokens(t)
    )
    since = NOW - timedelta(days=DAYS)

    def put() -> None:
        for start in range(0, len(judged), BATCH):
            posts.put(judged[start : start + BATCH])

    def put_plain() -> None:
        with closing(_plain(folder / "again.db", judged)):
            return

    def count() -> None:
        posts.counts(since=since, until=NOW, step_s=300, brands=[BRAND])

    def count_plain() -> None:
        counted: Counter[tuple[int, int]] = Counter()
        for at, negative in plain.execute("SELECT at, negative FROM posts WHERE brand = ?", (BRAND,)):
            counted[int(datetime.fromisoformat(at).timestamp()) // 300, negative] += 1

    def search() -> None:
        for words in ("提现 客服", '"无法提现"', "理财"):
            posts.search(Query(text=words, brand=BRAND, limit=20))

    def search_plain() -> None:
        for words in (["提现", "客服"], ["无法提现"], ["理财"]):
            where = " AND ".join("text LIKE ?" for _ in words)
            rows = plain.execute(
                f"SELECT * FROM posts WHERE {where} ORDER BY at DESC", [f"%{w}%" for w in words]
            )
            rows.fetchall()

    with closing(posts):
        return [
            (
                "put, words cut before; searchable and counted (one bulk insert, neither)",
                _seconds(put),
                _seconds(put_plain),
            ),
            ("counts, 28 days × 5 minutes (a Python loop)", _seconds(count), _seconds(count_plain)),
            ("three searches, newest 20 and total (LIKE)", _seconds(search), _seconds(search_plain)),
        ]


def _seconds(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _print(wanted: int, *rows: tuple[str, float, float]) -> None:
    print(f"{wanted} posts, {DAYS} days\n")
    print("| | ours, ms | plain, ms | ours takes |\n|---|---|---|---|")
    for name, ours, theirs in rows:
        print(f"| {name} | {1000 * ours:.0f} | {1000 * theirs:.0f} | {ours / theirs:.2f} of it |")


if __name__ == "__main__":
    main()
