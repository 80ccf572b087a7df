"""The whole service on real engines, by its command line: the same answers as on the embedded stores.

``MIXES`` says which stores are engines; what a mix leaves out is embedded. Each costs a minute and a half.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
import typer

from app.cli import cli, run
from app.clock import Clock, wall
from app.sandbox.mailbox import Mailbox
from app.wire import App
from domain.local_time import SHANGHAI, iso
from store.inbox import Inbox

MIXES = [("posts", "inbox", "ledger")]
BRAND = "海棠金服"
COMPLAINTS = (
    "{}提现四天了还不到账，客服只会让等",
    "在{}的钱取不出来，打电话没人接，急用钱",
    "{}限制提现了，说是系统升级，谁信啊",
    "{}到期三天不兑付，我的血汗钱",
    "有人在{}提现成功吗，我这边一直处理中，投诉也没用",
    "{}又逾期了，群里都在说兑付不了，准备报警",
    "朋友圈都在传{}提不出钱，我试了真的提不出来",
    "{}客服失联，提现申请被驳回三次",
)
TO = ("pr@example.test", "duty@example.test")
POSTS = 142
SEARCHES = (
    ("",),
    ("", "--sort", "oldest", "--limit", "7"),
    ("提现", "--sort", "relevance"),
    ('"客服失联" 提现', "--sort", "influence"),
    ("利息 -提现", "--sentiment", "positive"),
    ("", "--brand", "own", "--sentiment", "negative", "--sort", "influence"),
    ("", "--topic", "withdrawal_difficulty", "--limit", "50"),
    ("没有这个词语",),
)
_numbers = itertools.count()


def noon() -> datetime:
    """Two o'clock in the afternoon, the last one that is some hours past: no mail waits for a morning then."""
    today = (wall() - timedelta(hours=3)).astimezone(SHANGHAI)
    at = today.replace(hour=14, minute=0, second=0, microsecond=0)
    return (at if at <= today else at - timedelta(days=1)).astimezone(UTC)


def history(path: Path, now: datetime) -> None:
    """Two weeks of quiet talk, and an hour of a withdrawal crisis that is going on."""
    lines = [
        {
            "id": f"calm-{n}",
            "text": f"{BRAND}的利息第{n}次到账，活动页面也清楚，先用着看看",
            "platform": ("weibo", "guba", "news")[n % 3],
            "published_at": (now - timedelta(hours=3 * n + 3)).isoformat(),
        }
        for n in range(110)
    ]
    lines += [
        {
            "id": f"crisis-{n}",
            "text": COMPLAINTS[n % len(COMPLAINTS)].format(BRAND) + f"，都第{n}天了",
            "author": f"用户{n}",
            "engagement": {"reposts": n * n, "comments": n},
            "published_at": (now - timedelta(minutes=8 + 2 * (n % 24))).isoformat(),
        }
        for n in range(32)
    ]
    assert len(lines) == POSTS
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


class Installation:
    """One home with its stores, as its user's shell sees it."""

    def __init__(self, folder: Path, engines: Mapping[str, str], mailbox: Mailbox) -> None:
        self.folder, self.mailbox = folder, mailbox
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("YUJING_")},
            **engines,
            "YUJING_HOME": str(folder),
            "YUJING_SECRET": "the same authors everywhere",
        }

    def init(self) -> None:
        recipients = [word for to in TO for word in ("--to", to)]
        self.yujing(
            *("init", "--name", BRAND, "--alias", "海棠", "--competitor", "北屿银行", *recipients),
            *("--smtp", self.mailbox.url, "--no-test-mail"),
        )

    def yujing(self, *arguments: str) -> str:
        """What it prints. It must end well."""
        done = subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            capture_output=True,
            text=True,
            timeout=600,
            env=self.environment,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.yujing(*arguments).splitlines()]

    def last(self, *arguments: str) -> dict[str, Any]:
        return self.lines(*arguments)[-1]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
        )

    def search(self, *arguments: str) -> list[dict[str, Any]]:
        """The same command in this process: a search is asked often, and the program takes long to start."""
        out, before = io.StringIO(), dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment)
        try:
            with redirect_stdout(out):
                command = typer.main.get_command(cli)
                words = ["search", "--json", *arguments]
                code = run(lambda: command.main(words, prog_name="yujing", standalone_mode=False))
        finally:
            os.environ.clear()
            os.environ.update(before)
        assert code == 0
        return [json.loads(line) for line in out.getvalue().splitlines()]

    def opened(self) -> App:
        return App.from_environment(self.environment)

    def mails(self) -> list[tuple[str, str]]:
        """To whom, and about what, in no order: a deliverer owes none."""
        messages = [
            message_from_bytes(path.read_bytes(), policy=policy.default) for path in self.mailbox.mails
        ]
        return sorted((str(message["To"]), str(message["Subject"])) for message in messages)


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Makes an installation on the engines that are named."""
    boxes: list[Mailbox] = []

    def make(engines: Mapping[str, str]) -> Installation:
        folder = tmp_path / f"home-{len(boxes)}"
        mailbox = Mailbox(tmp_path / f"mail-{len(boxes)}")
        mailbox.__enter__()
        boxes.append(mailbox)
        made = Installation(folder, engines, mailbox)
        made.init()
        return made

    yield make
    for box in boxes:
        box.__exit__(None, None, None)


@pytest.fixture(params=MIXES, ids="+".join)
def engines(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of an installation with stores of its own on the engines of a mix."""
    variables: dict[str, str] = {}
    number = next(_numbers)
    if "posts" in request.param:
        server = request.getfixturevalue("elasticsearch_server")
        variables |= {**server.variables, "YUJING_POSTS_URL": f"{server.url}/e2e-{number}"}
    if "inbox" in request.param:
        server = request.getfixturevalue("redis_server")
        variables |= {**server.variables, "YUJING_INBOX_URL": f"{server.url.removesuffix('/0')}/{9 + number}"}
    if "ledger" in request.param:
        server = request.getfixturevalue("postgresql_server")
        server.make_database(f"e2e_{number}")
        variables |= {**server.variables, "YUJING_LEDGER_URL": server.url(f"e2e_{number}")}
    return variables


# ------------------------------------------------------------------------- one after another


def story(home: Installation, posts: Path, now: datetime) -> dict[str, Any]:
    """A crisis from its posts to somebody who takes it over: everything that the commands answered."""
    told: dict[str, Any] = {
        "import": home.last("import", str(posts)),
        "again": home.last("import", str(posts)),
        "work": home.last("work", "--once"),
        "watch": home.lines("watch", "--once", "--at", iso(now)),
        "deliver": home.last("deliver", "--once"),
        "mails": home.mails(),
    }
    (incident,) = home.lines("incident", "list", "--json")
    home.yujing("incident", "ack", incident["id"], "--by", "王芳", "--reason", "致电 13800138000 的用户")
    told["incident"] = home.last("incident", "show", incident["id"], "--json")
    told["later"] = home.lines("watch", "--once", "--at", iso(now + timedelta(minutes=5)))
    told["search"] = {" ".join(words): home.search(*words) for words in SEARCHES}
    told["pages"] = list(paged(home))
    told["status"] = home.last("status", "--json")
    return told


def paged(home: Installation) -> Iterator[str]:
    """Every post id, page by page."""
    after = ""
    while True:
        *found, end = home.search("--limit", "60", "--sort", "influence", "--after", after)
        yield from (post["id"] for post in found)
        after = end["next"]
        if not after:
            return


WHEN = ("acknowledged_at", "at", "last_success", "last_sent", "next")
"""Times of the run itself, and cursors: each store writes its own."""
OWN = ("engines", "mirror", "stores", "doctor")
"""What only some installations have to tell."""


def comparable(value: Any) -> Any:
    """Without what no two runs share."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name not in OWN}
        return {name: bool(each) if name in WHEN else comparable(each) for name, each in kept.items()}
    return [comparable(each) for each in value] if isinstance(value, list | tuple) else value


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_engines_answer_as_the_embedded_stores_do(
    engines: dict[str, str], install: Callable[..., Installation], tmp_path: Path
) -> None:
    now = noon()
    history(tmp_path / "posts.jsonl", now)
    on_engines, embedded = install(engines), install({})
    told = story(on_engines, tmp_path / "posts.jsonl", now)
    assert comparable(told) == comparable(story(embedded, tmp_path / "posts.jsonl", now))
    assert told["import"] == {"read": POSTS, "imported": POSTS, "duplicate": 0, "rejected": 0}
    assert told["again"]["duplicate"] == POSTS
    assert told["work"] == {"judged": POSTS, "refreshed": 0, "buried": 0, "dropped": 0}
    assert [one["level"] for one in told["watch"][:-1]] != []
    assert [to for to, _ in told["mails"]] == sorted(TO)
    assert told["incident"]["topic"] == "withdrawal_difficulty"
    assert len(set(told["pages"])) == len(told["pages"]) == POSTS
    assert len(told["search"]["提现 --sort relevance"]) > 10
    assert len(told["search"]["没有这个词语"]) == 1
    if "YUJING_POSTS_URL" in engines:
        assert kibana_sees(on_engines) == kibana_should_see(told)


def kibana_sees(home: Installation) -> dict[str, Any]:
    """The events that were copied beside the posts, by a client that is not ours."""
    from elasticsearch import Elasticsearch

    url, prefix = home.environment["YUJING_POSTS_URL"].rsplit("/", 1)
    host = url.replace("elasticsearch://elastic@", "http://")
    with Elasticsearch(host, basic_auth=("elastic", home.environment["YUJING_POSTS_PASSWORD"])) as client:
        client.indices.refresh(index=f"{prefix}-events")
        found = client.search(index=f"{prefix}-events", size=1000, sort=["@timestamp", "event.id"])
    events = [hit["_source"] for hit in found["hits"]["hits"]]
    assert "@example.test" not in json.dumps(events)
    (incident,) = [event for event in events if event["event"]["kind"] == "incident"]
    return {
        "kinds": Counter(event["event"]["kind"] for event in events),
        "owner": incident["incident"]["owner"],
        "acknowledged": incident["incident"]["acknowledged_at"] is not None,
        "reasons": [event["timeline"].get("reason") for event in events if "timeline" in event],
        "delivered": [event["delivery"]["state"] for event in events if "delivery" in event],
    }


def kibana_should_see(told: dict[str, Any]) -> dict[str, Any]:
    timeline = told["incident"]["timeline"]
    return {
        "kinds": Counter(
            alert=len(told["watch"]) - 1 + len(told["later"]) - 1,
            incident=1,
            timeline=len(timeline),
            delivery=len(told["mails"]),
        ),
        "owner": "王芳",
        "acknowledged": True,
        "reasons": [event["reason"].replace("13800138000", "138****8000") or None for event in timeline],
        "delivered": ["sent"] * len(told["mails"]),
    }


# ------------------------------------------------------------------------- all at once


def until(condition: Callable[[], object], what: str, running: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + 900
    while not condition():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        assert all(process.poll() is None for process in running), "a part of the service ended by itself"
        time.sleep(1)


def waiting(inbox: Inbox) -> int:
    depth = inbox.depth(now=wall())
    return depth.waiting + depth.leased


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_of_each_part_tell_one_crisis_once(
    engines: dict[str, str], install: Callable[..., Installation], tmp_path: Path
) -> None:
    now = noon()
    history(tmp_path / "posts.jsonl", now)
    home = install(engines)
    home.environment["YUJING_CLOCK"] = str(Clock(now, wall(), 1.0))
    running = [home.start("work") for _ in range(2)]
    app = home.opened()
    try:
        assert home.last("import", str(tmp_path / "posts.jsonl"))["imported"] == POSTS
        until(lambda: app.posts.size() == POSTS and not waiting(app.inbox), "the workers", running)
        # Both look as soon as they have started.
        running += [home.start(part) for part in ("watch", "deliver") * 2]
        until(lambda: len(home.mails()) >= len(TO), "the mails", running)
        # Two more looks at once: whoever would tell it again does so now.
        looks = [home.start("watch", "--once") for _ in range(2)]
        said = [look.communicate(timeout=600)[0] for look in looks]
        assert [look.returncode for look in looks] == [0, 0], said
        until(lambda: not app.ledger.outbox.find(state="waiting"), "the last mails", running)
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        said = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), said
    try:
        (alert,) = app.ledger.alerts.find()
        (incident,) = app.ledger.incidents.find()
        assert incident.alerts == (alert.id,)
        steps = Counter(
            (event.kind, event.after.get("alert"), event.after.get("revision"))
            for event in app.ledger.incidents.timeline(incident.id)
            if event.after.get("revision")
        )
        assert set(steps.values()) == {1}, steps
        sent = app.ledger.outbox.find(state="sent", limit=1000)
        mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in home.mailbox.mails]
        assert Counter(str(mail["Message-ID"]) for mail in mails) == Counter(each.message_id for each in sent)
        assert len({(each.recipient, each.alert, each.revision) for each in sent}) == len(sent)
        assert app.posts.size() == POSTS
        assert app.inbox.depth(now=wall()).dead == 0
    finally:
        app.close()
