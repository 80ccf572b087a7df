"""From a pending revision to what a person finds in the mailbox, over real stores."""

from __future__ import annotations

import email
import email.policy
import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts.envelope import Why
from alerts.muting import mute_watch
from alerts.outbox import Deliverer
from alerts.pipeline import Outcome, Pipeline
from alerts.render import Writer
from alerts.routes import night_watch
from config.settings import Rules, Source
from domain.alert import Alert, AlertState, Change, Level
from domain.errors import DeliveryError, StoreError
from domain.incident import IncidentStatus, TimelineEvent
from domain.post import Author
from domain.source_run import Outcome as Crawl
from domain.source_run import SourceRun
from monitor.operators import operator_alerts
from monitor.watch import Watch
from store.ledger import Ledger, Notification, Silence, open_ledger
from store.posts import Posts
from tests.alerts import sample
from tests.alerts.sample import AT

LATER = AT + timedelta(minutes=1)


class Inboxes:
    """A channel that keeps what it is given, and is out of order when told."""

    def __init__(self) -> None:
        self.down = False
        self.got: list[Notification] = []

    def send(self, notification: Notification) -> None:
        if self.down:
            raise DeliveryError("451", permanent=False)
        self.got.append(notification)

    @property
    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.got]


class World:
    """A pipeline, a deliverer and a mailbox around one ledger."""

    def __init__(self, ledger: Ledger, posts: Posts, **changes: object) -> None:
        self.ledger = ledger
        self.inboxes = Inboxes()
        route = sample.ROUTE.model_copy(update=changes)
        self.pipeline = Pipeline(
            ledger=ledger,
            routes=(route, sample.OPERATOR_ROUTE),
            plan_of=lambda topic: topic,
            evidence=sample.evidence(posts, ledger),
            writer=Writer(sender="yujing@example.com", draw_chart=lambda *_, **__: b""),
        )
        self.deliverer = Deliverer(
            ledger.outbox,
            {"email": self.inboxes},
            jitter=lambda: 0.5,
            holds=(night_watch((route,)), mute_watch(ledger)),
        )

    def tell(self, alert: Alert, *, at: datetime | None = None, case: bool = True) -> Outcome:
        """Store a revision, open its incident, run everything."""
        at = at or alert.at
        assert self.ledger.alerts.put(alert)
        if case and alert.brand:
            sample.incident(self.ledger, alert, at=at)
        return self.run(at)

    def run(self, at: datetime) -> Outcome:
        outcome = self.pipeline.run(self.ledger.alerts.pending(), now=at, wait=False)
        self.deliverer.deliver(now=lambda: at)
        return outcome


@pytest.fixture
def world(ledger: Ledger, posts: Posts) -> World:
    return World(ledger, posts)


def parsed(mail: Notification) -> EmailMessage:
    return email.message_from_bytes(mail.body, policy=email.policy.default)


def revision(
    number: int, level: Level, minutes: float, change: Change = Change.UPDATE, **more: object
) -> Alert:
    at = AT + timedelta(minutes=minutes)
    state = AlertState.RESOLVED if change is Change.RECOVERED else AlertState.FIRING
    values = {"state": state, "peak": max(level, Level.ORANGE)} | more
    return sample.alert(revision=number, level=level, change=change, at=at, first_at=AT, **values)


def test_an_alert_becomes_one_mail_and_is_handled(world: World) -> None:
    outcome = world.tell(sample.alert())
    assert world.inboxes.subjects == ["【橙色预警】云桥金融 · 提现困难 · 负面 43 条/时（平时 6）"]
    assert outcome.handled == 1
    assert world.ledger.alerts.pending() == []
    [incident] = world.ledger.incidents.find()
    assert world.inboxes.got[0].incident == incident.id
    assert "In-Reply-To" not in parsed(world.inboxes.got[0])
    assert world.ledger.incidents.timeline(incident.id)[-1].kind == "notified"


def test_a_replay_doubles_nothing(world: World) -> None:
    alert = sample.alert()
    world.tell(alert)
    for _ in range(3):
        outcome = world.pipeline.run([alert], now=LATER, wait=False)
        assert [d.why for d in outcome.decisions][-1] is Why.ALREADY_ENQUEUED
        assert outcome.handled == 0
        world.deliverer.deliver(now=lambda: LATER)
    assert len(world.inboxes.got) == 1


def test_killed_between_enqueue_and_handled_gives_one_mail(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(world.ledger.alerts, "handled", killed)
        with pytest.raises(StoreError):
            world.tell(sample.alert())
    assert len(world.ledger.alerts.pending()) == 1
    world.run(LATER)
    assert world.ledger.alerts.pending() == []
    assert len(world.inboxes.got) == 1
    [incident] = world.ledger.incidents.find()
    said = world.ledger.incidents.timeline(incident.id)[-1]
    assert (said.kind, said.reason, said.after["to"]) == (
        "notified",
        "已排队通知 1 人",
        "pr-duty@example.com",
    )


def test_killed_between_drop_and_enqueue_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.inboxes.down = True
    world.tell(sample.alert())
    with monkeypatch.context() as patch:
        patch.setattr(world.ledger.outbox, "enqueue", killed)
        with pytest.raises(StoreError):
            world.tell(revision(2, Level.RED, 5, Change.ESCALATED))
    world.inboxes.down = False
    world.run(AT + timedelta(minutes=6))
    assert world.inboxes.subjects == ["【红色预警】云桥金融 · 提现困难 · 负面 43 条/时（平时 6）"]


def killed(*_: object, **__: object) -> None:
    raise StoreError("killed here")


def test_updates_wait_for_the_window_and_the_newest_replaces_the_rest(world: World) -> None:
    world.tell(sample.alert())
    world.tell(revision(2, Level.ORANGE, 10))
    world.tell(revision(3, Level.ORANGE, 25, numbers={"negatives": 60, "per_hour_usual": 6}))
    assert len(world.inboxes.got) == 1
    world.run(AT + timedelta(minutes=59))
    assert len(world.inboxes.got) == 1
    world.run(AT + timedelta(minutes=60))
    assert world.inboxes.subjects[1:] == ["【橙色预警·更新】云桥金融 · 提现困难 · 负面 60 条/时（平时 6）"]


def test_escalation_and_recovery_keep_the_thread(world: World) -> None:
    world.tell(sample.alert())
    world.tell(revision(2, Level.RED, 10, Change.ESCALATED, peak=Level.RED))
    world.tell(revision(3, Level.BLUE, 600, Change.RECOVERED, peak=Level.RED))
    first, second, third = map(parsed, world.inboxes.got)
    assert second["Subject"].startswith("【升级 橙→红】")
    assert third["Subject"].startswith("【恢复】")
    assert "历时 10 小时" in third["Subject"]
    assert second["In-Reply-To"] == first["Message-ID"]
    assert third["In-Reply-To"] == second["Message-ID"]
    assert third["References"].split() == [first["Message-ID"], second["Message-ID"]]
    assert len({mail["Message-ID"] for mail in (first, second, third)}) == 3


def test_a_level_that_fell_is_told_as_such(world: World) -> None:
    world.tell(sample.alert(level=Level.RED, peak=Level.RED))
    world.tell(revision(2, Level.ORANGE, 400, peak=Level.RED))
    assert world.inboxes.subjects[1].startswith("【降级 红→橙】")


def test_message_ids_are_stable(world: World, tmp_path: Path, posts: Posts) -> None:
    world.tell(sample.alert())
    other = World(open_ledger(f"sqlite:///{tmp_path / 'other.sqlite3'}"), posts)
    other.tell(sample.alert())
    assert world.inboxes.got[0].message_id == other.inboxes.got[0].message_id
    assert world.inboxes.got[0].body == other.inboxes.got[0].body
    other.ledger.close()


def test_at_night_yellow_waits_for_the_morning_and_orange_does_not(world: World) -> None:
    night = AT + timedelta(hours=4)
    world.tell(sample.alert(level=Level.YELLOW, peak=Level.YELLOW, at=night, first_at=night))
    world.run(night + timedelta(hours=3))
    assert world.inboxes.got == []
    world.run(AT + timedelta(hours=9, minutes=55))
    assert world.inboxes.subjects == ["【黄色预警】云桥金融 · 提现困难 · 负面 43 条/时（平时 6）"]


def test_a_mail_held_for_the_morning_counts_its_deadlines_from_the_morning(world: World) -> None:
    night = AT + timedelta(hours=2, minutes=25)
    world.tell(sample.alert(level=Level.YELLOW, peak=Level.YELLOW, at=night, first_at=night))
    world.run(AT + timedelta(hours=9, minutes=55))
    text = parsed(world.inboxes.got[0]).get_body(("plain",)).get_content()
    assert "11月23日 07:05 前（启动后 5 分钟）　接手事件" in text


def test_a_rise_at_night_goes_at_once_in_place_of_the_one_that_waits(world: World) -> None:
    night = AT + timedelta(hours=4)
    world.tell(sample.alert(level=Level.YELLOW, peak=Level.YELLOW, at=night, first_at=night))
    world.tell(revision(2, Level.ORANGE, 300, Change.ESCALATED))
    assert world.inboxes.subjects == ["【橙色预警】云桥金融 · 提现困难 · 负面 43 条/时（平时 6）"]
    world.run(AT + timedelta(hours=20))
    assert len(world.inboxes.got) == 1


def test_what_began_and_ended_in_the_night_is_one_mail_in_the_morning(world: World) -> None:
    night = AT + timedelta(hours=4)
    world.tell(sample.alert(level=Level.YELLOW, peak=Level.YELLOW, at=night, first_at=night))
    world.tell(revision(2, Level.BLUE, 360, Change.RECOVERED, peak=Level.YELLOW))
    world.run(AT + timedelta(hours=11))
    [subject] = world.inboxes.subjects
    assert subject.startswith("【恢复】")
    assert "最高到过黄色" in parsed(world.inboxes.got[0]).get_body(("plain",)).get_content()


def test_several_revisions_at_once_are_one_mail_of_the_newest(world: World) -> None:
    world.ledger.alerts.put(sample.alert())
    outcome = world.tell(revision(2, Level.RED, 5, Change.ESCALATED))
    assert world.inboxes.subjects == ["【红色预警】云桥金融 · 提现困难 · 负面 43 条/时（平时 6）"]
    assert outcome.handled == 2
    assert Why.SUPERSEDED in [d.why for d in outcome.decisions]


def test_new_alerts_of_a_brand_come_in_one_mail_and_later_keep_their_own_cool_down(world: World) -> None:
    other = {"id": "alert-b", "fingerprint": "yunqiao/customer_complaint", "topics": ("customer_complaint",)}
    lesser = sample.alert(level=Level.YELLOW, peak=Level.YELLOW, score=52.0, **other)
    world.ledger.alerts.put(lesser)
    sample.incident(world.ledger, lesser)
    world.tell(sample.alert())
    [mail] = world.inboxes.got
    assert mail.subject.endswith("另有 1 项")
    assert "黄色 · 客服投诉/退款难" in parsed(mail).get_body(("plain",)).get_content()
    world.tell(replace(lesser, revision=2, change=Change.UPDATE, at=AT + timedelta(minutes=9)))
    assert len(world.inboxes.got) == 1
    world.run(AT + timedelta(minutes=61))
    assert world.inboxes.subjects[1].startswith("【黄色预警·更新】云桥金融 · 客服投诉")


def test_a_grouped_alert_survives_its_mail_being_replaced_unread(world: World) -> None:
    world.inboxes.down = True
    lesser = sample.alert(
        id="alert-b", fingerprint="b", topics=("customer_complaint",), level=Level.YELLOW, peak=Level.YELLOW
    )
    world.ledger.alerts.put(lesser)
    world.tell(sample.alert())
    world.inboxes.down = False
    world.tell(revision(2, Level.ORANGE, 10))
    world.run(AT + timedelta(minutes=11))
    [mail] = world.inboxes.got
    assert mail.subject.endswith("另有 1 项")
    assert "黄色 · 客服投诉/退款难" in parsed(mail).get_body(("plain",)).get_content()


NIGHT = AT + timedelta(hours=2, minutes=25)
MORNING = AT + timedelta(hours=9, minutes=55)
YELLOW = {"level": Level.YELLOW, "peak": Level.YELLOW}


def two_at_night(world: World) -> tuple[Alert, Alert]:
    """Two yellow alerts of a brand in one mail that waits for the morning; the second is grouped into it."""
    lead = sample.alert(**YELLOW, at=NIGHT, first_at=NIGHT)
    lesser = replace(lead, id="alert-c", fingerprint="c", topics=("absconding",), score=51.0)
    world.ledger.alerts.put(lesser)
    sample.incident(world.ledger, lesser)
    world.tell(lead)
    [waiting] = world.ledger.outbox.find(state="waiting", recipient="pr-duty@example.com")
    assert waiting.subject.startswith("【黄色预警】云桥金融 · 提现困难") and waiting.subject.endswith(
        "另有 1 项"
    )
    return lead, lesser


def test_what_still_goes_on_is_not_told_in_the_mail_of_what_has_ended(world: World) -> None:
    lead, _ = two_at_night(world)
    at = NIGHT + timedelta(hours=6)
    over = {"change": Change.RECOVERED, "state": AlertState.RESOLVED, "at": at}
    world.tell(replace(lead, revision=2, **over), case=False)
    every_five_minutes(world, at, MORNING + timedelta(hours=2))
    assert sorted(" · ".join(subject.split(" · ")[:2]) for subject in world.inboxes.subjects) == [
        "【恢复】云桥金融 · 提现困难",
        "【黄色预警】云桥金融 · 跑路失联",
    ]


def test_an_update_in_the_night_keeps_the_count_of_what_else_is_told(world: World) -> None:
    lead, _ = two_at_night(world)
    at = NIGHT + timedelta(hours=1)
    world.tell(replace(lead, revision=2, change=Change.UPDATE, at=at), case=False)
    every_five_minutes(world, at, MORNING + timedelta(hours=2))
    [subject] = world.inboxes.subjects
    assert subject.endswith("另有 1 项")


def test_what_is_told_in_another_alerts_mail_cools_down_from_when_that_was_sent(world: World) -> None:
    _, lesser = two_at_night(world)
    world.run(MORNING)
    at = MORNING + timedelta(minutes=5)
    world.tell(replace(lesser, revision=2, change=Change.UPDATE, at=at), case=False)
    every_five_minutes(world, at, MORNING + timedelta(minutes=55))
    assert len(world.inboxes.got) == 1
    world.run(MORNING + timedelta(minutes=60))
    assert world.inboxes.subjects[1].startswith("【黄色预警·更新】云桥金融 · 跑路失联")


def test_a_rise_of_what_waits_in_another_alerts_mail_is_told_once_and_as_new(
    ledger: Ledger, posts: Posts
) -> None:
    both = ("pr-duty@example.com", "lead@example.com")
    world = World(ledger, posts, to=both)
    _, lesser = two_at_night(world)
    at = NIGHT + timedelta(hours=2)
    risen = {"level": Level.RED, "peak": Level.RED, "change": Change.ESCALATED, "at": at}
    world.tell(replace(lesser, revision=2, **risen), case=False)
    every_five_minutes(world, at, MORNING + timedelta(hours=2))
    for who in both:
        red, yellow = (mail for mail in world.inboxes.got if mail.recipient == who)
        assert red.subject.startswith("【红色预警】云桥金融 · 跑路失联")
        assert yellow.subject.startswith("【黄色预警】云桥金融 · 提现困难")
        assert "跑路失联" not in parsed(yellow).get_body(("plain",)).get_content()


def test_an_update_of_what_waits_in_another_alerts_mail_is_told_with_it(ledger: Ledger, posts: Posts) -> None:
    both = ("pr-duty@example.com", "lead@example.com")
    world = World(ledger, posts, to=both)
    _, lesser = two_at_night(world)
    at = NIGHT + timedelta(hours=2)
    world.tell(replace(lesser, revision=2, change=Change.UPDATE, at=at, explanation="翻倍"), case=False)
    every_five_minutes(world, at, MORNING + timedelta(hours=2))
    assert sorted(mail.recipient for mail in world.inboxes.got) == sorted(both)
    for mail in world.inboxes.got:
        assert "黄色 · 跑路失联：翻倍" in parsed(mail).get_body(("plain",)).get_content()


@pytest.mark.parametrize("stale", [False, True])
def test_a_mail_of_an_incident_keeps_the_news_of_its_other_alert(world: World, stale: bool) -> None:
    first = sample.alert(**YELLOW, at=NIGHT, first_at=NIGHT)
    world.tell(first)
    [incident] = world.ledger.incidents.find()
    at = NIGHT + timedelta(hours=1)
    other = sample.alert(
        id="b", fingerprint="b", **YELLOW, at=at, first_at=at, score=10, explanation="另一处"
    )
    joined = replace(incident, alerts=(sample.alert().id, "b"), version=incident.version + 1)
    event = TimelineEvent(incident=incident.id, at=at, actor="rule:incidents", kind="joined")
    assert world.ledger.incidents.change(joined, event)
    world.ledger.alerts.put(other)
    # A process may have asked what is pending before another one handled the first.
    pending = [first, other] if stale else [other]
    world.pipeline.run(pending, now=at, wait=False)
    every_five_minutes(world, at, MORNING)
    [mail] = world.inboxes.got
    assert mail.subject.endswith("另有 1 项")
    assert "另一处" in parsed(mail).get_body(("plain",)).get_content()


def test_what_ends_and_begins_again_in_the_night_is_one_mail_in_the_morning(world: World) -> None:
    first = sample.alert(**YELLOW, at=NIGHT, first_at=NIGHT)
    world.tell(first)
    at = NIGHT + timedelta(hours=2)
    over = {"change": Change.RECOVERED, "state": AlertState.RESOLVED, "at": at}
    world.tell(replace(first, revision=2, **over), case=False)
    again = NIGHT + timedelta(hours=4)
    begun = replace(first, id="b", fingerprint="b", at=again, first_at=again)
    world.tell(begun, case=False)
    update = {"change": Change.UPDATE, "at": again + timedelta(hours=1)}
    world.tell(replace(begun, revision=2, **update), case=False)
    every_five_minutes(world, again + timedelta(hours=1), MORNING)
    [subject] = world.inboxes.subjects
    assert subject.startswith("【黄色预警】云桥金融 · 提现困难")


def test_a_new_alert_is_held_for_its_group_and_comes_back(world: World) -> None:
    world.ledger.alerts.put(sample.alert())
    held = world.pipeline.run(world.ledger.alerts.pending(), now=AT + timedelta(seconds=5))
    assert (held.handled, held.enqueued) == (0, ())
    told = world.pipeline.run(world.ledger.alerts.pending(), now=AT + timedelta(seconds=30))
    assert (told.handled, len(told.enqueued)) == (1, 1)


def test_an_outage_of_the_mail_server_ends_in_one_mail_with_the_newest_state(world: World) -> None:
    world.inboxes.down = True
    world.tell(sample.alert())
    world.tell(revision(2, Level.ORANGE, 20))
    world.tell(revision(3, Level.ORANGE, 40, numbers={"negatives": 90, "per_hour_usual": 6}))
    world.inboxes.down = False
    world.run(AT + timedelta(minutes=50))
    world.run(AT + timedelta(hours=5))
    assert world.inboxes.subjects == ["【橙色预警】云桥金融 · 提现困难 · 负面 90 条/时（平时 6）"]


def test_a_mail_being_handed_over_is_not_overtaken(world: World) -> None:
    world.pipeline.run([], now=AT)
    world.ledger.alerts.put(sample.alert())
    world.pipeline.run(world.ledger.alerts.pending(), now=AT, wait=False)
    [leased] = world.ledger.outbox.lease(1, now=AT, lease=timedelta(minutes=3))
    world.ledger.alerts.put(revision(2, Level.ORANGE, 1))
    held = world.pipeline.run(world.ledger.alerts.pending(), now=LATER)
    assert (held.handled, held.enqueued) == (0, ())
    assert held.decisions[-1].why is Why.HANDING_OVER
    world.ledger.outbox.sent(leased.id, at=LATER)
    world.run(AT + timedelta(minutes=2))
    assert [m.not_before for m in world.ledger.outbox.find(state="waiting")] == [LATER + timedelta(hours=1)]


@pytest.mark.parametrize("also", [False, True])
def test_a_mail_overtaken_by_a_rise_while_in_hand_is_not_sent_after_it(world: World, also: bool) -> None:
    other = sample.alert(id="b", fingerprint="b", topics=("customer_complaint",), score=10, **YELLOW)
    if also:
        world.ledger.alerts.put(other)
        sample.incident(world.ledger, other)
    world.ledger.alerts.put(sample.alert(**YELLOW))
    sample.incident(world.ledger, sample.alert())
    world.pipeline.run(world.ledger.alerts.pending(), now=AT, wait=False)
    [leased] = world.ledger.outbox.lease(1, now=AT, lease=timedelta(minutes=3))
    world.tell(revision(2, Level.RED, 1, Change.ESCALATED), case=False)
    world.ledger.outbox.retry(leased.id, not_before=LATER, error="451")
    every_five_minutes(world, LATER, AT + timedelta(minutes=30))
    assert [subject[:13] for subject in world.inboxes.subjects] == [
        "【红色预警】云桥金融 · ",
        *(["【黄色预警】云桥金融 · "] if also else []),
    ]
    assert all("客服投诉" in subject for subject in world.inboxes.subjects[1:])
    assert world.ledger.alerts.pending() == world.ledger.outbox.find(state="waiting") == []


def test_a_blind_source_goes_to_the_operator_only(world: World) -> None:
    world.tell(sample.blind())
    [mail] = world.inboxes.got
    assert mail.recipient == "ops@example.com"
    assert mail.subject == "【运维预警】股吧 · 看不到新内容，数据不全"
    world.tell(
        sample.blind(
            revision=2, change=Change.RECOVERED, state=AlertState.RESOLVED, at=AT + timedelta(hours=2)
        )
    )
    assert world.inboxes.subjects[1] == "【运维恢复】股吧 · 已恢复采集"


def test_what_the_monitor_says_of_a_blind_source_is_mailed(world: World, posts: Posts) -> None:
    """Alerts as the monitor makes them, not as a test would: they reach the operator, and so does the end."""
    guba = Source(
        id="guba_board", kind="feed", name="股吧", base_url="http://127.0.0.1", platform="guba", every_min=10
    )
    watch = Watch(
        posts=posts, ledger=world.ledger, brands=(), topics=(), rules=Rules(), sources=[guba], plans={}
    )
    crawls = world.ledger.source_runs
    for at, outcome in ((AT - timedelta(hours=3), Crawl.RESULTS), (AT, Crawl.BLOCKED)):
        crawls.record(SourceRun(source=guba.id, started_at=at, ended_at=at, outcome=outcome))
    watch.tick(LATER)
    world.run(LATER)
    assert [mail.recipient for mail in world.inboxes.got] == ["ops@example.com"]
    seen = AT + timedelta(hours=2)
    crawls.record(SourceRun(source=guba.id, started_at=seen, ended_at=seen, outcome=Crawl.EMPTY))
    watch.tick(seen)
    world.run(seen)
    assert world.inboxes.subjects == [
        "【运维预警】股吧 · 看不到新内容，数据不全",
        "【运维恢复】股吧 · 已恢复采集",
    ]


def test_a_blind_source_that_is_disabled_is_not_said_to_crawl_again(world: World) -> None:
    log, book = world.ledger.signals, world.ledger.alerts
    guba = Source(id="guba_board", kind="feed", name="股吧", base_url="http://127.0.0.1", platform="guba")
    operator_alerts(log, book, [guba], {guba.id: (AT - timedelta(hours=1), "股吧看不到")}, at=AT)
    world.run(AT)
    later = AT + timedelta(hours=2)
    weibo = guba.model_copy(update={"id": "weibo_search", "name": "微博"})
    operator_alerts(log, book, [weibo], {}, at=later)
    world.run(later)
    assert world.inboxes.subjects[1] == "【运维通知】股吧 · 已停用，不再监测"
    text = parsed(world.inboxes.got[1]).get_body(("plain",)).get_content()
    assert text.startswith("运维通知 · 数据源停用") and "恢复采集" not in text


def muted(world: World, *, hours: float, at: datetime = AT) -> None:
    world.ledger.silences.add(
        Silence(
            id="s1", brand="yunqiao", topic=sample.TOPIC, starts_at=at, ends_at=at + timedelta(hours=hours),
            created_by="王芳", reason="已知活动",
        )
    )  # fmt: skip


def test_what_still_goes_on_when_its_silence_ends_is_told_then(world: World) -> None:
    muted(world, hours=2)
    world.tell(sample.alert())
    world.tell(revision(2, Level.ORANGE, 10, numbers={"negatives": 60, "per_hour_usual": 6}))
    for minutes in (20, 119):
        world.run(AT + timedelta(minutes=minutes))
    assert world.inboxes.got == []
    assert [alert.revision for alert in world.ledger.alerts.pending()] == [2]
    [incident] = world.ledger.incidents.find()
    said = [e.after for e in world.ledger.incidents.timeline(incident.id) if e.kind == "not_notified"]
    assert [(after["revision"], after.get("pr-duty@example.com")) for after in said] == [
        ("1", "silenced"),
        ("1", None),
        ("2", "silenced"),
    ]
    world.run(AT + timedelta(hours=2))
    assert world.inboxes.subjects == ["【橙色预警】云桥金融 · 提现困难 · 负面 60 条/时（平时 6）"]
    assert world.ledger.alerts.pending() == []
    assert world.ledger.incidents.timeline(incident.id)[-1].kind == "notified"


def every_five_minutes(world: World, since: datetime, until: datetime) -> None:
    at = since
    while at < until:
        at = min(at + timedelta(minutes=5), until)
        world.run(at)


def test_a_silence_holds_the_mail_that_waits_already(world: World) -> None:
    world.tell(sample.alert())
    world.tell(revision(2, Level.ORANGE, 10), case=False)
    muted(world, hours=4, at=AT + timedelta(minutes=15))
    end = AT + timedelta(minutes=255)
    every_five_minutes(world, AT + timedelta(minutes=15), end)
    assert len(world.inboxes.got) == 1
    newer = revision(3, Level.ORANGE, 255, numbers={"negatives": 90, "per_hour_usual": 6})
    world.tell(newer, at=end + timedelta(minutes=5), case=False)
    assert world.inboxes.subjects[1:] == ["【橙色预警·更新】云桥金融 · 提现困难 · 负面 90 条/时（平时 6）"]
    every_five_minutes(world, end, end + timedelta(hours=2))
    assert len(world.inboxes.got) == 2


def test_a_silence_ended_early_lets_the_waiting_mail_go(world: World) -> None:
    night = AT + timedelta(hours=2, minutes=25)
    morning = AT + timedelta(hours=9, minutes=55)
    world.tell(sample.alert(level=Level.YELLOW, peak=Level.YELLOW, at=night, first_at=night))
    muted(world, hours=24, at=night + timedelta(minutes=10))
    every_five_minutes(world, night, morning + timedelta(hours=1))
    assert world.inboxes.got == []
    world.ledger.silences.end("s1", at=morning + timedelta(hours=1), actor="王芳")
    every_five_minutes(world, morning + timedelta(hours=1), morning + timedelta(minutes=70))
    assert [mail.tries for mail in world.inboxes.got] == [1]


def test_a_silence_lets_go_what_tells_of_something_else_too(world: World) -> None:
    night = {"at": AT + timedelta(hours=2, minutes=25), "first_at": AT + timedelta(hours=2, minutes=25)}
    low = {"level": Level.YELLOW, "peak": Level.YELLOW}
    other = sample.alert(id="b", fingerprint="b", topics=("customer_complaint",), score=10, **low, **night)
    world.ledger.alerts.put(other)
    sample.incident(world.ledger, other)
    world.tell(sample.alert(**low, **night))
    muted(world, hours=24, at=night["at"])
    world.run(AT + timedelta(hours=9, minutes=55))
    assert [subject.endswith("另有 1 项") for subject in world.inboxes.subjects] == [True]


def test_what_ended_within_its_silence_is_told_to_nobody(world: World) -> None:
    muted(world, hours=12)
    world.tell(sample.alert())
    world.tell(revision(2, Level.ORANGE, 600, Change.RECOVERED), case=False)
    outcome = world.run(AT + timedelta(hours=12))
    assert [d.why for d in outcome.decisions][-1] is Why.NEVER_TOLD
    assert (world.inboxes.got, world.ledger.alerts.pending()) == ([], [])


def test_what_a_person_closed_within_its_silence_is_told_to_nobody(world: World) -> None:
    muted(world, hours=4)
    world.tell(sample.alert())
    [incident] = world.ledger.incidents.find()
    closed = AT + timedelta(hours=1)
    ended = replace(incident, status=IncidentStatus.CLOSED, closed_at=closed, version=incident.version + 1)
    event = TimelineEvent(incident=incident.id, at=closed, actor="王芳", kind="closed")
    assert world.ledger.incidents.change(ended, event)
    outcome = world.run(AT + timedelta(hours=4))
    assert Why.CLOSED in [d.why for d in outcome.decisions]
    assert (world.inboxes.got, world.ledger.alerts.pending()) == ([], [])


def test_a_rise_to_red_breaks_the_silence(world: World) -> None:
    muted(world, hours=12)
    world.tell(sample.alert())
    world.tell(revision(2, Level.RED, 10, Change.ESCALATED))
    assert world.inboxes.subjects == ["【红色预警】云桥金融 · 提现困难 · 负面 43 条/时（平时 6）"]
    assert world.ledger.alerts.pending() == []


def test_an_erased_author_is_in_no_mail_that_still_waits(world: World, posts: Posts) -> None:
    night = {"at": AT + timedelta(hours=2, minutes=25), "first_at": AT + timedelta(hours=2, minutes=25)}
    low = {"level": Level.YELLOW, "peak": Level.YELLOW}
    victim = sample.judged("提现没到账，我是宁波的", ident="v", at=AT, author=Author(key="victim"))
    other = sample.judged("提现没到账，等三天了", ident="o", at=AT)
    posts.put([victim, other])
    lesser = sample.alert(id="b", fingerprint="b", topics=("customer_complaint",), score=10, **low, **night)
    world.ledger.alerts.put(lesser)
    sample.incident(world.ledger, lesser)
    world.tell(sample.alert(**low, **night))
    [waiting] = world.ledger.outbox.find(state="waiting")
    assert "宁波" in parsed(waiting).get_body(("plain",)).get_content()
    posts.forget_author("victim")
    assert world.ledger.outbox.withdraw([waiting.id], at=night["at"])
    world.run(night["at"] + timedelta(minutes=1))
    assert world.inboxes.got == []
    world.run(AT + timedelta(hours=9, minutes=55))
    [mail] = world.inboxes.got
    text = parsed(mail).get_body(("plain",)).get_content()
    assert "宁波" not in text and "等三天了" in text
    assert mail.subject.endswith("另有 1 项")


def test_what_ends_before_its_mail_is_written_anew_is_told_once(world: World) -> None:
    world.tell(sample.alert(**YELLOW, at=NIGHT, first_at=NIGHT))
    [waiting] = world.ledger.outbox.find(state="waiting")
    assert world.ledger.outbox.withdraw([waiting.id], at=NIGHT)
    over = {"change": Change.RECOVERED, "state": AlertState.RESOLVED, "at": NIGHT + timedelta(hours=2)}
    world.tell(sample.alert(**YELLOW, first_at=NIGHT, revision=2, **over), case=False)
    every_five_minutes(world, NIGHT + timedelta(hours=2), MORNING)
    [subject] = world.inboxes.subjects
    assert subject.startswith("【恢复】云桥金融 · 提现困难")


def test_an_open_incident_is_found_however_many_have_ended_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = world.ledger.incidents.find
    monkeypatch.setattr(world.ledger.incidents, "find", lambda **asked: find(**{"limit": 2, **asked}))
    first = sample.incident(world.ledger, sample.alert())
    for number in range(3):
        other = sample.alert(id=f"other-{number}", topics=("rumor",))
        new = sample.incident(world.ledger, other, at=LATER)
        ended = replace(new, status=IncidentStatus.CLOSED, closed_at=LATER, version=2)
        event = TimelineEvent(incident=new.id, at=LATER, actor="王芳", kind="closed")
        assert world.ledger.incidents.change(ended, event)
    world.tell(sample.alert(), case=False)
    assert [mail.incident for mail in world.inboxes.got] == [first.id]


def test_an_impossible_address_stops_nobody_else(ledger: Ledger, posts: Posts) -> None:
    world = World(ledger, posts, to=("not an address", "x@y\r\nBcc: z@example.com", "pr-duty@example.com"))
    outcome = world.tell(sample.alert())
    assert [mail.recipient for mail in world.inboxes.got] == ["pr-duty@example.com"]
    assert [d.why for d in outcome.decisions].count(Why.BAD_ADDRESS) == 2
    assert outcome.handled == 1


def test_a_false_alarm_ends_the_mails(world: World) -> None:
    world.tell(sample.alert())
    [incident] = world.ledger.incidents.find()
    closed = replace(incident, status=IncidentStatus.FALSE_ALARM, alerts=(sample.alert().id,), version=2)
    event = TimelineEvent(incident=incident.id, at=LATER, actor="王芳", kind="false_alarm", reason="竞品活动")
    assert world.ledger.incidents.change(closed, event)
    world.ledger.alerts.put(revision(2, Level.ORANGE, 100))
    outcome = world.run(AT + timedelta(minutes=100))
    assert outcome.decisions[-1].why is Why.FALSE_ALARM
    assert len(world.inboxes.got) == 1


def test_posts_that_cannot_be_read_make_a_thinner_mail_not_a_later_one(
    world: World, posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posts, "search", killed)
    world.tell(sample.alert())
    [mail] = world.inboxes.got
    assert "帖子库读不出来" in parsed(mail).get_body(("plain",)).get_content()


def test_a_mail_that_met_a_dead_server_in_the_evening_does_not_arrive_at_night(world: World) -> None:
    evening = AT + timedelta(minutes=100)
    world.inboxes.down = True
    world.tell(sample.alert(level=Level.YELLOW, peak=Level.YELLOW, at=evening, first_at=evening))
    world.inboxes.down = False
    world.run(evening + timedelta(hours=1))
    assert world.inboxes.got == []
    world.run(AT + timedelta(hours=9, minutes=55))
    assert len(world.inboxes.got) == 1


LEVELS = st.sampled_from([Level.YELLOW, Level.ORANGE, Level.RED])
STEP = st.tuples(
    st.integers(1, 100),
    st.one_of(LEVELS, st.none()),
    st.sampled_from(["calm", "calm", "calm", "down", "killed", "killed early"]),
)


@settings(
    max_examples=8,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEP, min_size=2, max_size=7), hour=st.integers(0, 23))
def test_never_two_mails_of_an_incident_in_a_window_unless_the_level_rises(
    ledger: Ledger, posts: Posts, monkeypatch: pytest.MonkeyPatch, steps: list, hour: int
) -> None:
    world = World(ledger, posts)
    brand = uuid.uuid4().hex
    newest = play(world, steps, brand=brand, start=AT + timedelta(hours=hour), monkeypatch=monkeypatch)
    [incident] = ledger.incidents.find(brand=brand)
    order = {mail.id: place for place, mail in enumerate(world.inboxes.got)}
    sent = sorted(ledger.outbox.find(incident=incident.id, state="sent"), key=lambda mail: order[mail.id])
    for earlier, later in pairwise(sent):
        assert later.sent_at - earlier.sent_at >= timedelta(minutes=60) or later.level > earlier.level
    for mail in sent:
        local_hour = (mail.sent_at.hour + 8) % 24
        assert 7 <= local_hour < 23 or mail.level >= Level.ORANGE
    assert len({mail.id for mail in world.inboxes.got}) == len(world.inboxes.got)
    told = [(mail.alert, mail.revision) for mail in (sent[-1], *ledger.outbox.carried(sent[-1].id))]
    assert (newest.id, newest.revision) in told
    assert ledger.alerts.pending() == []


def play(world: World, steps: list, *, brand: str, start: datetime, monkeypatch: pytest.MonkeyPatch) -> Alert:
    """Revisions come at random gaps while the mail server and the pipeline fail at random; then a quiet day."""
    at, episode, number = start, 0, 0
    alert: Alert | None = None
    for gap, level, trouble in [(1, Level.YELLOW, "calm"), *steps]:
        at = deliver_until(world, at, at + timedelta(minutes=gap))
        if level is None and number == 0:
            continue
        number += 1
        alert = sample.alert(
            id=f"{brand}-{episode}",
            fingerprint=f"{brand}-{episode}",
            brand=brand,
            revision=number,
            change=Change.RECOVERED if level is None else Change.NEW if number == 1 else Change.UPDATE,
            state=AlertState.RESOLVED if level is None else AlertState.FIRING,
            level=level or Level.BLUE,
            peak=Level.RED,
            at=at,
            first_at=at,
        )
        world.inboxes.down = trouble == "down"
        tell_with(world, alert, trouble, monkeypatch)
        if level is None:
            episode, number = episode + 1, 0
    world.inboxes.down = False
    assert alert is not None
    deliver_until(world, at, at + timedelta(hours=26))
    return alert


def tell_with(world: World, alert: Alert, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target: dict[str, tuple[object, str]] = {
        "killed": (world.ledger.alerts, "handled"),
        "killed early": (world.ledger.outbox, "enqueue"),
    }
    with monkeypatch.context() as patch:
        if trouble in target:
            patch.setattr(*target[trouble], killed)
        try:
            world.tell(alert)
        except StoreError:
            assert trouble in target
    world.run(alert.at)


def deliver_until(world: World, at: datetime, end: datetime) -> datetime:
    """Run everything every ten minutes, as the scheduler does; an idle outbox is skipped over."""
    while at < end:
        at = min(at + timedelta(minutes=10), end)
        if world.ledger.outbox.find(state="waiting", limit=1) or world.ledger.alerts.pending():
            world.run(at)
    return end


def test_stages_are_made_anew_for_each_run(world: World) -> None:
    names: list[str] = [getattr(stage, "name", "") for stage in world.pipeline.stages()]
    assert names == [
        "silence",
        "recall",
        "dedupe",
        "group",
        "cool_down",
        "escalate",
        "recover",
        "quiet_hours",
    ]
