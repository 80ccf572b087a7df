"""Two weeks of invented talk and one crisis, to look at the dashboards with.

    python -m deploy.engines python -m app.sandbox.fortnight DIR

The sandbox's posts are placed over fourteen days from a seed and judged by the model that comes along. They go
to the Elasticsearch of ``YUJING_POSTS_URL`` under a prefix of their own, which must hold nothing yet; from there
the previews of the dashboards are drawn into DIR.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.sandbox.rows import Row, built_in
from app.sandbox.scenario import SandboxPost, build
from config.settings import Settings
from deploy.kibana.remote import Remote
from domain.assessment import Assessment
from domain.errors import InputError, StoreError, YujingError
from domain.local_time import SHANGHAI
from domain.post import Author, Post, Tier, post_id
from store.posts import Judged, Record
from store.posts.elasticsearch.documents import Entry, source

ENDS = datetime(2026, 11, 29, 12, 0, tzinfo=SHANGHAI)
"""Fixed, so that the pictures are the same whenever they are made."""
PREFIX = "yujing-fortnight"
SEED = 20261129
_ONSET = timedelta(hours=21)
"""The crisis begins so long before the end."""
_SOURCES = {"weibo": ("weibo",), "guba": ("guba",), "heimao": ("heimao",), "news": ("news-36kr", "rsshub")}
_BATCH = 64
Document = dict[str, Any]


def posts(settings: Settings) -> list[Post]:
    """The fortnight's posts, oldest first."""
    rng = random.Random(SEED)
    names = {brand.name: (brand.name, *brand.aliases) for brand in settings.brands}
    own = settings.brands[0].name
    calm = built_in("calm").rows
    others = [brand.name for brand in settings.brands if brand.name != own]
    calm += tuple(_about(row, own, rng.choice(others)) for row in calm if row.brand == own)
    scenario = build(brand=own, event=_crisis(rng), calm=calm, ends=ENDS, names=names, seed=SEED)
    made = [*(_post(post, rng) for post in scenario.posts), *_together(rng)]
    return sorted(made, key=lambda post: post.published_at)


def _about(row: Row, own: str, other: str) -> Row:
    """The same said of another company."""
    text, title = (part.replace(own, other).replace(own[:2], other[:2]) for part in (row.text, row.title))
    return replace(row, text=text, title=title, brand=other)


def _crisis(rng: random.Random) -> list[Row]:
    """The event over a day, some of it passed on by others soon after."""
    rows = built_in("crisis").rows
    timed = []
    for index, row in enumerate(rows):
        at = _ONSET.total_seconds() * (index / len(rows)) ** 0.8 * 0.97
        timed.append(replace(row, offset_s=at))
        for _ in range(rng.choice((0, 0, 1, 1, 2, 5, 9)) if row.platform == "weibo" else 0):
            later = at + rng.expovariate(1 / 5_400)
            if later < _ONSET.total_seconds() * 0.99:
                timed.append(replace(row, offset_s=later, platform=rng.choice(("weibo", "weibo", "guba"))))
    # The longest offset says when the event ends; the scenario ends a little after it.
    return sorted(timed, key=lambda row: row.offset_s or 0)


def _together(rng: random.Random) -> Iterator[Post]:
    """A dozen accounts that say the same within minutes, four times."""
    for number, row in enumerate(built_in("campaign").rows[:4]):
        at = ENDS - timedelta(hours=(74, 50, 27, 5)[number])
        for account in range(12):
            published = at + timedelta(seconds=rng.randrange(30, 400))
            yield Post(
                id=post_id("weibo", f"together-{number}-{account}"),
                platform="weibo",
                source="weibo",
                native_id=f"together-{number}-{account}",
                text=row.text,
                url=f"https://weibo.example/together-{number}-{account}",
                published_at=published,
                fetched_at=published + timedelta(minutes=rng.randrange(4, 20)),
                author=Author(key=_key(f"together{account}"), name="吉***", followers=rng.randrange(40)),
            )


def _key(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()[:32]


def _post(post: SandboxPost, rng: random.Random) -> Post:
    news = post.site == "news"
    tier = Tier.BIG_V if post.writer.big_v else Tier.USER
    if news:
        tier = Tier.REGIONAL_MEDIA
    # A few hundred people write, some of them often; papers are few.
    paper = rng.choice(("江城晚报", "财经早班车", "湾区经济观察", "南岸日报"))
    account = (
        paper
        if news
        else f"{post.site}{post.writer.big_v}{int(post.writer.id) % (12 if post.writer.big_v else 350)}"
    )
    about = random.Random(account)
    fetched = post.at + timedelta(minutes=rng.lognormvariate(2.2, 0.7))
    return Post(
        id=post_id(post.site, post.id),
        platform=post.site,
        source=rng.choice(_SOURCES[post.site]),
        native_id=post.id,
        title=post.title,
        text=post.text,
        url=f"https://{post.site}.example/{post.id}",
        published_at=post.at,
        fetched_at=min(fetched, ENDS),
        author=Author(
            key=_key(account),
            name=paper if news else f"{about.choice('橘路小半会江南早认包豆老慢攒隔爱')}***",
            tier=Tier.CENTRAL_MEDIA if account == "财经早班车" else tier,
            verified=news,
            followers=about.randrange(150_000, 3_000_000)
            if news or post.writer.big_v
            else post.writer.followers,
        ),
        engagement=post.engagement(ENDS),
    )


def post_document(post: Post, assessment: Assessment) -> Document:
    """As the store holds it, taken in twenty seconds after it was fetched."""
    record = Record(judged=Judged(post=post, assessment=assessment), versions=())
    made = source(Entry(record=record, tokens="", ingested=post.fetched_at + timedelta(seconds=20)))
    return dict(json.loads(made))


def event_documents() -> Iterator[Document]:
    """Four weeks of alerts, incidents, deliveries, crawls and dead letters."""
    rng = random.Random(SEED)
    yield from _crawls(rng)
    for number in range(9):
        at = ENDS - timedelta(hours=rng.uniform(24, 13 * 24))
        reason = rng.choice(("正文超过 2 MB", "缺少发布时间", "模型拒绝：没有文字", "缺少发布时间"))
        yield _event(f"dead:{number}", "dead_letter", at, dead={"reason": reason, "source": "weibo"})
    past = ((25, "blue", "customer_complaint"), (21, "yellow", "service_outage"), (17, "blue", "rumor"),
            (12, "orange", "data_breach"), (8, "yellow", "abusive_collection"), (5, "blue", "customer_complaint"),
            (3, "yellow", "false_advertising"))  # fmt: skip
    for number, (days, level, topic) in enumerate(past):
        opened = ENDS - timedelta(days=days, hours=rng.uniform(0, 8))
        status = "false_alarm" if number == 2 else "closed" if days > 4 else "stable"
        yield from _affair(rng, number, opened, [level], topic, status)
    opened = ENDS - _ONSET + timedelta(minutes=24)
    yield from _affair(
        rng, 7, opened, ["blue", "yellow", "orange", "red"], "withdrawal_difficulty", "responding"
    )
    yield from _affair(rng, 8, ENDS - timedelta(minutes=50), ["blue"], "rumor", "triage")


def _affair(
    rng: random.Random, number: int, opened: datetime, levels: Sequence[str], topic: str, status: str
) -> Iterator[Document]:
    """An alert that rose through ``levels``, its mails and its incident."""
    about: Document = {"brand": {"id": "yunqiao"}, "topic": {"id": [topic]}}
    at, now = opened, {"triage": "firing", "responding": "acknowledged"}.get(status, "resolved")
    for revision, level in enumerate(levels, 1):
        score = {"blue": 38, "yellow": 57, "orange": 74, "red": 91}[level] + rng.randrange(6)
        hourly = rng.randrange(6, 12) * (1 + ("blue", "yellow", "orange", "red").index(level)) ** 2
        alert: Document = {
            "id": hashlib.sha256(str(number).encode()).hexdigest()[:16],
            "revision": revision,
            "change": "new" if revision == 1 else "escalated",
            "state": "superseded" if revision < len(levels) else now,
            "score": score,
            "explanation": f"过去 1 小时负面 {hourly} 条，这个时段平时约 {rng.randrange(2, 5)} 条",
        }
        if revision == 1:
            alert["detection_s"] = rng.randrange(240, 1500)
        yield _event(f"alert:{number}:{revision}", "alert", at, **about, level=level, alert=alert)
        for mail in range(2 if level == "blue" else 4):
            state = "failed" if rng.random() < 0.04 else "sent"
            yield _event(
                f"delivery:{number}:{revision}:{mail}",
                "delivery",
                at,
                **about,
                level=level,
                delivery={"state": state},
            )
        at += timedelta(minutes=rng.uniform(40, 150))
    incident: Document = {
        "id": f"INC-{opened:%Y%m%d}-{number + 1:03}",
        "status": status,
        "plan": topic,
        "opened_at": opened.isoformat(),
    }
    if status != "triage":
        incident |= {"owner": rng.choice(("陈晓", "李明", "周宁")), "acknowledge_s": rng.randrange(180, 2400)}
    if status in ("closed", "false_alarm"):
        incident["close_s"] = rng.randrange(4 * 3600, 30 * 3600)
    yield _event(f"incident:{number}", "incident", opened, **about, level=levels[-1], incident=incident)


def _crawls(rng: random.Random) -> Iterator[Document]:
    sources = ("weibo", "guba", "heimao", "news-36kr", "rsshub")
    for step in range(14 * 12):
        at = ENDS - timedelta(hours=2 * step)
        for name in sources:
            trouble = name == "heimao" and 30 <= step < 48
            outcome = "blocked" if trouble else rng.choices(
                ("results", "empty", "unreachable", "schema_changed"), weights=(80, 17, 2, 1)
            )[0]  # fmt: skip
            seeing = outcome in ("results", "empty")
            detail = {
                "blocked": "HTTP 403，登录墙",
                "unreachable": "连接超时",
                "schema_changed": "列表为空，页面改版",
            }
            found = rng.randrange(8, 40) if outcome == "results" else 0
            yield _event(
                f"crawl:{name}:{step}",
                "source_run",
                at,
                source={
                    "id": name,
                    "outcome": outcome,
                    "seeing": seeing,
                    "detail": detail.get(outcome, ""),
                    "requests": rng.randrange(2, 12),
                    "found": found,
                },
            )


def _event(id_: str, kind: str, at: datetime, **body: Any) -> Document:
    return {"@timestamp": at.isoformat(), "event": {"id": id_, "kind": kind}, **body}


def fill(remote: Remote, documents: Sequence[Document], *, name: str, mapping: Document) -> None:
    """Make the index and put the documents in. Raises ``StoreError`` when something is there already."""
    index = f"{PREFIX}-{name}-v1"
    made = {
        "mappings": mapping,
        "settings": {"number_of_replicas": 0},
        "aliases": {f"{PREFIX}-{name}": {}},
    }
    _want(remote, "PUT", f"/{index}", json.dumps(made).encode())
    for start in range(0, len(documents), 500):
        body = "".join(f'{{"index":{{}}}}\n{json.dumps(each)}\n' for each in documents[start : start + 500])
        answer = _want(remote, "POST", f"/{index}/_bulk?refresh=true", body.encode())
        if answer["errors"]:
            raise StoreError(f"{index}: {json.dumps(answer['items'][0])[:300]}")


def _want(remote: Remote, method: str, path: str, body: bytes) -> Any:
    status, answer = remote.ask(
        method,
        path,
        body,
        {"Content-Type": "application/x-ndjson" if "_bulk" in path else "application/json"},
    )
    if status >= 300:
        raise StoreError(f"{remote.name} {method} {path}: {status} {json.dumps(answer)[:300]}")
    return answer


def mapping_of(*path: str) -> Document:
    """The fields of one of our index templates."""
    template = json.loads(files("deploy").joinpath("elasticsearch", *path).read_text("utf-8"))
    return dict(template["template"]["mappings"])


def main(folder: Path) -> None:
    """Judge, store, draw."""
    from app.commands.kibana import asker, names_of, server_of
    from app.wire import App
    from deploy.kibana.preview import preview

    remote = server_of(os.environ)
    with TemporaryDirectory() as home:
        app = App.from_environment({"YUJING_HOME": home, "YUJING_CONFIG": str(files("config"))})
        app.runtime  # noqa: B018  loads the model
        every = posts(app.settings)
        judged: list[Assessment] = []
        for start in range(0, len(every), _BATCH):
            judged += app.analyzer.assess(every[start : start + _BATCH])
            print(f"{len(judged)}/{len(every)}", file=sys.stderr)
        names = names_of(app.settings)
        app.close()
    documents = [post_document(post, each) for post, each in zip(every, judged, strict=True)]
    fill(remote, documents, name="posts", mapping=mapping_of("posts-mappings.json"))
    fill(remote, list(event_documents()), name="events", mapping=mapping_of("events", "template.json"))
    for path in preview(folder, names, asker(remote), until=ENDS, prefix=PREFIX):
        print(path)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        raise SystemExit("python -m app.sandbox.fortnight DIR")
    try:
        main(Path(sys.argv[1]))
    except (YujingError, InputError) as error:
        raise SystemExit(str(error)) from None
