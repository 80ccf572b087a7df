"""What the store's tests run in other processes: ``child_process.py COMMAND ARG…``.

Says ``ready`` once everything is open, waits for a line on stdin, works, and prints what it did as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from app.worker import Worked, Worker
from config.settings import Access
from domain.alert import Alert, AlertState, Change, Level
from domain.assessment import Assessment, EntityJudgement, Sentiment
from domain.incident import Incident, IncidentStatus, TimelineEvent
from store.inbox import open_inbox
from store.ledger import open_ledger
from store.posts import Judged, open_posts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)


def ready() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def judge(post) -> Judged:
    """As cheap as a judgement gets."""
    entity = EntityJudgement(
        name="云桥", brand="yunqiao", sentiment=Sentiment.NEGATIVE, probability=0.9, negative=0.9
    )
    return Judged(
        post=post,
        assessment=Assessment(
            post_id=post.id,
            model="fake",
            sentiment=Sentiment.NEGATIVE,
            probabilities={"negative": 0.9, "neutral": 0.1, "positive": 0.0},
            entities=(entity,),
        ),
    )


def work(inbox_url: str, posts_url: str, run: str) -> int:
    """Lease, judge, store, acknowledge, until nothing waits; each run comes an hour after the one before."""
    inbox, posts = open_inbox(inbox_url), open_posts(posts_url, segment=str.split)
    ready()
    now, done = NOW + int(run) * timedelta(hours=1), 0
    while leased := inbox.lease(20, now=now, lease=LEASE):
        posts.put([judge(each.post) for each in leased])
        done += inbox.acknowledge([each.token for each in leased])
    return done


class Judge:
    """Takes its time with a batch, so that a kill finds it in the middle."""

    model = "fake"

    def assess(self, posts) -> list[Assessment]:
        time.sleep(0.02)
        return [judge(post).assessment for post in posts]

    def stands(self, post, assessment) -> bool:
        return True


def worker(inbox_url: str, posts_url: str) -> dict[str, int]:
    """The service's own worker on the real clock, until the inbox is empty and nobody holds anything."""
    access = Access(password=SecretStr(os.environ["YUJING_INBOX_PASSWORD"]))
    inbox, posts = open_inbox(inbox_url, access), open_posts(posts_url, segment=str.split)
    # More tries than there are kills: to be killed is no fault of the post.
    made = Worker(
        inbox=inbox,
        posts=posts,
        assessor=Judge,
        influence=lambda _: 0.0,
        batch=16,
        lease=timedelta(seconds=5),
        tries=100,
    )
    ready()
    total = Worked()
    while (depth := inbox.depth(now=datetime.now(UTC))).waiting or depth.leased:
        total += made.drain(now=lambda: datetime.now(UTC))
        time.sleep(0.05)
    inbox.close()
    posts.close()
    return asdict(total)


def opens(inbox_url: str, posts_url: str, ledger_url: str) -> bool:
    """Open all three for the first time."""
    ready()
    for store in (open_inbox(inbox_url), open_posts(posts_url, segment=str.split), open_ledger(ledger_url)):
        store.close()
    return True


def outbox(ledger_url: str) -> list[str]:
    """Lease and send everything."""
    ledger, sent = open_ledger(ledger_url), []
    ready()
    while leased := ledger.outbox.lease(20, now=NOW, lease=LEASE):
        sent += [each.id for each in leased]
        ledger.outbox.sent(leased[0].id, at=NOW)
    return sent


def alerts(ledger_url: str) -> dict[str, list[str]]:
    """Put, then handle, the same alerts as the others."""
    ledger = open_ledger(ledger_url)
    ready()
    won: dict[str, list[str]] = {"put": [], "handled": []}
    for n in range(60):
        alert = Alert(
            id=f"a{n}",
            fingerprint=f"f{n}",
            revision=1,
            change=Change.NEW,
            brand="b",
            topics=(),
            level=Level.RED,
            score=90.0,
            reasons=(),
            state=AlertState.FIRING,
            onset=NOW,
            at=NOW,
            first_at=NOW,
            explanation="",
        )
        if ledger.alerts.put(alert):
            won["put"].append(alert.id)
        if ledger.alerts.handled(alert, at=NOW):
            won["handled"].append(alert.id)
    return won


def incidents(ledger_url: str) -> dict[str, str]:
    """Open the same incidents as the others; ids by topic."""
    ledger, found = open_ledger(ledger_url), {}
    ready()
    for n in range(40):
        incident = Incident(
            id="",
            brand="b",
            topic=f"t{n}",
            level=Level.RED,
            status=IncidentStatus.TRIAGE,
            opened_at=NOW,
            onset=NOW,
            plan="p",
        )
        event = TimelineEvent(incident="", at=NOW, actor="rule:open", kind="opened")
        found[incident.topic] = ledger.incidents.open(incident, event).id
    return found


if __name__ == "__main__":
    command = {
        "work": work,
        "worker": worker,
        "opens": opens,
        "outbox": outbox,
        "alerts": alerts,
        "incidents": incidents,
    }
    print(json.dumps(command[sys.argv[1]](*sys.argv[2:])))
