"""An incident that stays open for long is neither lost from sight nor from its evidence, whatever came after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.commands.status import collect
from app.service import forget_copies, forget_old
from app.wire import App
from crawlers.draft import Reject
from crawlers.rejects import Rejects
from domain.alert import Level
from domain.assessment import Assessment, Sentiment
from domain.incident import Incident, IncidentStatus, TimelineEvent
from domain.post import Post, post_id
from store.ledger import Notification
from store.posts import Judged
from tests.alerts import sample

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=200)


def _open(app: App, topic: str, at: datetime, *alerts: str) -> Incident:
    incident = Incident(
        id="",
        brand="yunqiao",
        topic=topic,
        level=Level.RED,
        status=IncidentStatus.TRIAGE,
        opened_at=at,
        onset=at,
        plan="",
        alerts=alerts,
    )
    event = TimelineEvent(incident="", at=at, actor="rule:incidents", kind="opened")
    return app.ledger.incidents.open(incident, event)


def _judged(native: str) -> Judged:
    post = Post(
        id=post_id("weibo", native),
        platform="weibo",
        source="weibo",
        native_id=native,
        text="提现不到账",
        published_at=OLD,
        fetched_at=OLD,
    )
    probabilities = {"negative": 0.9, "neutral": 0.1, "positive": 0.0}
    return Judged(
        post=post,
        assessment=Assessment(
            post_id=post.id, model="m@1", sentiment=Sentiment.NEGATIVE, probabilities=probabilities
        ),
    )


def _mail(id_: str, incident: str) -> Notification:
    return Notification(
        id=id_,
        channel="email",
        recipient="pr@yunqiao.cn",
        subject="【橙】云桥金融",
        body="提现不到账".encode(),
        alert="a",
        revision=1,
        incident=incident,
        route="pr",
        created_at=OLD,
        not_before=OLD,
        level=Level.ORANGE,
    )


def test_an_old_open_incident_behind_a_hundred_newer_ones(app: App) -> None:
    first, later, other = _judged("1"), _judged("2"), _judged("3")
    app.posts.put([first, later, other])
    alert = replace(sample.alert(), posts=(first.post.id,))
    assert app.ledger.alerts.put(alert)
    assert app.ledger.alerts.put(replace(alert, revision=2, posts=(later.post.id,)))
    old = _open(app, "withdrawal_difficulty", OLD, alert.id)
    for n in range(100):
        at = OLD + timedelta(days=1, hours=n)
        incident = _open(app, "rumor", at)
        ended = replace(incident, status=IncidentStatus.FALSE_ALARM, closed_at=at, version=2)
        event = TimelineEvent(incident=incident.id, at=at, actor="王芳", kind="false_alarm")
        assert app.ledger.incidents.change(ended, event)
    assert collect(app)["incidents_open"] == [old.id]
    mails = [_mail("m1", old.id), _mail("m2", incident.id)]
    app.ledger.outbox.enqueue(mails)
    for mail in mails:
        app.ledger.outbox.sent(mail.id, at=OLD)
    Rejects(app.home / "rejects").write("import", [Reject(reason="缺少 text", raw="{}")], now=OLD)
    forget_copies(app)
    assert {mail.id for mail in app.ledger.outbox.find() if mail.body} == {"m1"}
    assert (app.home / "rejects" / "import.jsonl").read_text() == ""
    assert forget_old(app, app.posts) == 1
    assert set(app.posts.known([each.post.id for each in (first, later, other)])) == {
        first.post.id,
        later.post.id,
    }
