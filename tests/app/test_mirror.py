"""What is copied for Kibana, in which order, and what becomes of it when a part refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.commands.watch import _mirrored
from app.mirror import DEAD, OVERLAP, STATE, STATUS, Mirror
from app.service import mirror_jobs
from app.wire import App
from crawlers.privacy import mask
from domain.alert import Alert, AlertState, Change, Level
from domain.errors import StoreError
from domain.incident import Incident, IncidentStatus, TimelineEvent
from domain.post import Post, post_id
from domain.source_run import Outcome, SourceRun
from store.events import Event
from store.events.documents import document
from store.findings import Finding
from store.inbox import Inbox, open_inbox
from store.ledger import GROUPED, Ledger, Notification, open_ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PHONE = "13800138000"


class Copy:
    """The newest of each event, as Elasticsearch keeps it; refuses when it is told to."""

    def __init__(self) -> None:
        self.kept: dict[str, Event] = {}
        self.puts = 0
        self.refusal: StoreError | None = None
        self.refused_kind = ""

    def put(self, events: Sequence[Event]) -> None:
        self.puts += len(events)
        for event in events:
            if self.refusal and self.refused_kind in ("", event.kind):
                raise self.refusal
            held = self.kept.get(event.id)
            if held is None or (event.version or 0) >= (held.version or 0):
                self.kept[event.id] = event

    def any(self) -> bool:
        return bool(self.kept)

    def examine(self) -> list[Finding]:
        return []

    def mend(self) -> list[Finding]:
        return []

    def close(self) -> None:
        pass

    def of(self, kind: str) -> list[dict]:
        return [document(event) for event in self.kept.values() if event.kind == kind]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(f"sqlite:///{tmp_path}/inbox.db")
    yield opened
    opened.close()


@pytest.fixture
def copy() -> Copy:
    return Copy()


@pytest.fixture
def mirror(copy: Copy, ledger: Ledger, inbox: Inbox) -> Mirror:
    return Mirror(events=copy, ledger=ledger, inbox=inbox, mask=mask)


def alert(id_: str = "a1", **changes: object) -> Alert:
    made = Alert(
        id=id_,
        fingerprint=f"f-{id_}",
        revision=1,
        change=Change.NEW,
        brand="yunqiao",
        topics=("withdrawal", "rights"),
        level=Level.ORANGE,
        score=71.5,
        reasons=(),
        state=AlertState.FIRING,
        onset=NOW - 10 * MINUTE,
        at=NOW,
        first_at=NOW,
        explanation="一小时内负面 40 条",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def opened(ledger: Ledger, **changes: object) -> Incident:
    made = Incident(
        id="",
        brand="yunqiao",
        topic="withdrawal",
        level=Level.ORANGE,
        status=IncidentStatus.TRIAGE,
        opened_at=NOW,
        onset=NOW,
        plan="run-on-withdrawals",
    )
    event = TimelineEvent(
        incident="", at=NOW, actor="rule:incidents", kind="opened", after={"level": "orange"}
    )
    return ledger.incidents.open(replace(made, **changes), event)  # type: ignore[arg-type]


def mail(id_: str = "n1", **changes: object) -> Notification:
    made = Notification(
        id=id_,
        channel="email",
        recipient="pr@example.com",
        subject="【橙】云桥金融",
        body=b"x",
        alert="a1",
        revision=1,
        incident="INC-20261122-001",
        route="pr",
        created_at=NOW,
        not_before=NOW,
        level=Level.ORANGE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def crawl(minute: int = 0, **changes: object) -> SourceRun:
    at = NOW + minute * MINUTE
    made = SourceRun(source="weibo", started_at=at, ended_at=at + MINUTE, outcome=Outcome.RESULTS, found=3)
    return replace(made, **changes)  # type: ignore[arg-type]


def bury(inbox: Inbox, natives: Sequence[str], *, reason: str, now: datetime) -> None:
    inbox.put(
        [
            Post(
                id=post_id("weibo", native),
                platform="weibo",
                source="weibo-search",
                native_id=native,
                text="毒",
                published_at=NOW,
                fetched_at=NOW,
            )
            for native in natives
        ],
        now=now,
    )
    for leased in inbox.lease(len(natives), now=now, lease=MINUTE):
        inbox.bury(leased.token, reason=reason, now=now)


# ------------------------------------------------------------------------- what is told


def test_each_kind_is_told_in_its_own_fields(
    ledger: Ledger, inbox: Inbox, copy: Copy, mirror: Mirror
) -> None:
    ledger.alerts.put(alert())
    incident = opened(ledger)
    after = replace(incident, owner="王芳", acknowledged_at=NOW + 3 * MINUTE, version=2)
    taken = TimelineEvent(
        incident=incident.id, at=NOW + 3 * MINUTE, actor="王芳", kind="acknowledged", reason=f"致电 {PHONE}"
    )
    assert ledger.incidents.change(after, taken)
    ledger.outbox.enqueue([mail()])
    ledger.outbox.lease(1, now=NOW, lease=MINUTE)
    ledger.outbox.sent("n1", at=NOW + MINUTE)
    ledger.source_runs.record(crawl(outcome=Outcome.BLOCKED, detail="登录墙", found=0))
    bury(inbox, ["1"], reason=f"ValueError: {PHONE}", now=NOW)
    mirror.run(NOW + 5 * MINUTE)
    at = NOW.isoformat()
    brand, topics = {"id": "yunqiao"}, {"id": ["withdrawal", "rights"]}
    assert copy.of("alert") == [
        {
            "@timestamp": at,
            "event": {"id": "alert:a1:1", "kind": "alert"},
            "brand": brand,
            "topic": topics,
            "level": "orange",
            "alert": {
                "id": "a1",
                "revision": 1,
                "change": "new",
                "state": "firing",
                "score": 71.5,
                "explanation": "一小时内负面 40 条",
                "onset": (NOW - 10 * MINUTE).isoformat(),
                "first_at": at,
                "detection_s": 600,
            },
        }
    ]
    assert copy.of("incident") == [
        {
            "@timestamp": at,
            "event": {"id": f"incident:{incident.id}", "kind": "incident"},
            "brand": brand,
            "topic": {"id": ["withdrawal"]},
            "level": "orange",
            "incident": {
                "id": incident.id,
                "status": "triage",
                "owner": "王芳",
                "plan": "run-on-withdrawals",
                "opened_at": at,
                "acknowledged_at": (NOW + 3 * MINUTE).isoformat(),
                "acknowledge_s": 180,
            },
        }
    ]
    assert [(one["timeline"], one.get("level")) for one in copy.of("timeline")] == [
        ({"kind": "opened", "actor": "rule:incidents"}, "orange"),
        ({"kind": "acknowledged", "actor": "王芳", "reason": "致电 138****8000"}, None),
    ]
    (delivery,) = copy.of("delivery")
    assert (delivery["brand"], delivery["topic"]) == (brand, topics)
    assert delivery["delivery"] == {
        "id": "n1",
        "channel": "email",
        "route": "pr",
        "state": "sent",
        "tries": 1,
        "sent_at": (NOW + MINUTE).isoformat(),
        "wait_s": 60,
    }
    (run,) = copy.of("source_run")
    assert run["source"] == {
        "id": "weibo",
        "outcome": "blocked",
        "seeing": False,
        "detail": "登录墙",
        **dict.fromkeys(("requests", "found", "new", "refreshed", "rejected"), 0),
        "duration_s": 60,
    }
    (dead,) = copy.of("dead_letter")
    assert dead["dead"] == {
        "source": "weibo-search",
        "platform": "weibo",
        "reason": "ValueError: 138****8000",
    }


def test_nobody_learns_who_was_told(ledger: Ledger, copy: Copy, mirror: Mirror) -> None:
    ledger.alerts.put(alert())
    ledger.outbox.enqueue([mail()])
    ledger.outbox.failed("n1", error="550 <pr@example.com>: also wang@example.com is unknown", at=NOW)
    mirror.run(NOW)
    assert copy.of("delivery")[0]["delivery"]["error"] == "550 <…>: also w***@example.com is unknown"
    assert "pr@example.com" not in json.dumps([document(event) for event in copy.kept.values()])


def test_only_the_newest_revision_of_an_alert_counts_as_open(
    ledger: Ledger, copy: Copy, mirror: Mirror
) -> None:
    ledger.alerts.put(alert())
    mirror.run(NOW)
    ledger.alerts.put(alert(revision=2, change=Change.ESCALATED, level=Level.RED, at=NOW + 5 * MINUTE))
    ledger.alerts.set_state("a1", AlertState.ACKNOWLEDGED, expect=[AlertState.FIRING])
    mirror.run(NOW + 5 * MINUTE)
    told = [one["alert"] for one in copy.of("alert")]
    assert [(one["revision"], one["state"], one.get("detection_s")) for one in told] == [
        (1, "superseded", 600),
        (2, "acknowledged", None),
    ]


# ------------------------------------------------------------------------- again and again


def test_changes_long_after_are_told(ledger: Ledger, copy: Copy, mirror: Mirror) -> None:
    ledger.alerts.put(alert())
    incident = opened(ledger)
    ledger.outbox.enqueue([mail()])
    mirror.run(NOW)
    later = NOW + timedelta(days=9)
    closed = replace(incident, status=IncidentStatus.CLOSED, closed_at=later, version=2)
    ledger.incidents.change(
        closed, TimelineEvent(incident=incident.id, at=later, actor="王芳", kind="closed", reason="已平息")
    )
    ledger.outbox.sent("n1", at=later)
    ledger.alerts.put(
        alert(revision=2, change=Change.RECOVERED, state=AlertState.RESOLVED, level=Level.NONE, at=later)
    )
    mirror.run(later + MINUTE)
    (one,) = copy.of("incident")
    assert (one["incident"]["status"], one["incident"]["close_s"]) == ("closed", 9 * 86400)
    assert [one["timeline"]["kind"] for one in copy.of("timeline")] == ["opened", "closed"]
    assert copy.of("delivery")[0]["delivery"]["state"] == "sent"
    assert [one["alert"]["state"] for one in copy.of("alert")] == ["superseded", "resolved"]


@pytest.mark.parametrize("grouped", [False, True])
def test_a_message_taken_back_and_written_anew_is_told_as_it_is(
    ledger: Ledger, copy: Copy, mirror: Mirror, grouped: bool
) -> None:
    def state() -> str:
        mirror.run(NOW)
        [delivery] = [one["delivery"] for one in copy.of("delivery") if one["delivery"]["id"] == "n1"]
        return delivery["state"]

    ledger.alerts.put(alert())
    ledger.alerts.handled(alert(), at=NOW)
    first = mail(state="dropped", error=f"{GROUPED}n2") if grouped else mail()
    ledger.outbox.enqueue([first, mail("n2", created_at=NOW - MINUTE)])
    for _ in range(0 if grouped else 3):
        for each in ledger.outbox.lease(2, now=NOW, lease=MINUTE):
            ledger.outbox.retry(each.id, not_before=NOW, error="451")
    assert state() == first.state
    ledger.outbox.withdraw(["n1", "n2"], at=NOW)
    assert state() == "dropped"
    ledger.outbox.enqueue([mail()])
    assert state() == "waiting"
    ledger.outbox.lease(1, now=NOW, lease=MINUTE)
    ledger.outbox.sent("n1", at=NOW)
    assert state() == "sent"


def test_what_is_old_and_settled_is_told_once(ledger: Ledger, copy: Copy, mirror: Mirror) -> None:
    ledger.alerts.put(alert())
    ledger.alerts.put(alert(revision=2, state=AlertState.RESOLVED))
    opened(ledger)
    ledger.outbox.enqueue([mail()])
    ledger.outbox.sent("n1", at=NOW)
    for minute in range(1200):
        ledger.source_runs.record(crawl(-minute))
    mirror.run(NOW + 2 * OVERLAP)
    assert copy.puts == len(copy.kept) == 2 + 2 + 1 + 1200
    mirror.run(NOW + 4 * OVERLAP)
    assert copy.puts == len(copy.kept)


def test_what_a_slow_writer_puts_behind_the_place_is_told(ledger: Ledger, copy: Copy, mirror: Mirror) -> None:
    """Every crawl younger than the overlap is copied again, so that a row that appears among them is not missed."""
    for minute in (-60, -2, -40, -1):
        ledger.source_runs.record(crawl(minute))
    mirror.run(NOW)
    place = ledger.states.load(STATE)["source_run"]
    assert place == {"n": ledger.journal.source_runs(after=0)[0].n}
    mirror.run(NOW)
    assert copy.puts == 4 + 3
    assert len(copy.kept) == 4


def test_the_place_never_moves_over_what_is_young(ledger: Ledger, copy: Copy, mirror: Mirror) -> None:
    """Not on a later page of the same question either."""
    for minute in (-1, *range(-700, -100)):
        ledger.source_runs.record(crawl(minute))
    mirror.run(NOW)
    assert len(copy.kept) == 601
    assert ledger.states.load(STATE)["source_run"] == {"n": 0}


def test_a_new_cluster_is_told_everything_anew(ledger: Ledger, copy: Copy, mirror: Mirror) -> None:
    ledger.source_runs.record(crawl())
    mirror.run(NOW + 2 * OVERLAP)
    copy.kept.clear()
    mirror.run(NOW + 3 * OVERLAP)
    assert len(copy.of("source_run")) == 1


def test_more_dead_letters_than_one_question_tells(inbox: Inbox, copy: Copy, mirror: Mirror) -> None:
    bury(inbox, [str(n) for n in range(2 * DEAD)], reason="x", now=NOW)
    mirror.run(NOW)
    assert len(copy.of("dead_letter")) == 2 * DEAD


# ------------------------------------------------------------------------- when a part refuses


def test_an_error_is_told_once_and_nothing_is_lost(ledger: Ledger, copy: Copy, mirror: Mirror) -> None:
    mirror.run(NOW)
    ledger.alerts.put(alert())
    ledger.source_runs.record(crawl())
    copy.refusal = StoreError("连不上", permanent=False)
    with pytest.raises(StoreError, match="连不上"):
        mirror.run(NOW + MINUTE)
    mirror.run(NOW + 2 * MINUTE)
    status = {
        "last_success": NOW.isoformat(),
        "error": "连不上",
        "error_since": (NOW + MINUTE).isoformat(),
    }
    assert ledger.states.load(STATE)[STATUS] == status
    (finding,) = mirror.examine(NOW + 2 * MINUTE)
    assert (finding.ok, finding.text) == (False, "复制到 11月22日 周日 20:00，此后未成功：连不上")
    copy.refusal = StoreError("密码不对")
    with pytest.raises(StoreError, match="密码不对"):
        mirror.run(NOW + 3 * MINUTE)
    assert ledger.states.load(STATE)[STATUS] == {**status, "error": "密码不对"}
    copy.refusal = None
    later = NOW + timedelta(days=2)
    mirror.run(later)
    assert (len(copy.of("alert")), len(copy.of("source_run"))) == (1, 1)
    assert [each.ok for each in mirror.examine(later)] == [True]
    assert [each.ok for each in mirror.examine(later + timedelta(hours=1))] == [False]
    assert ledger.states.load(STATE)[STATUS] == {
        "last_success": later.isoformat(),
        "error": "",
        "error_since": None,
    }


def test_a_kind_that_is_refused_does_not_hold_up_the_others(
    ledger: Ledger, copy: Copy, mirror: Mirror
) -> None:
    ledger.alerts.put(alert())
    opened(ledger)
    copy.refusal, copy.refused_kind = StoreError("字段不认识"), "alert"
    with pytest.raises(StoreError, match="字段不认识"):
        mirror.run(NOW)
    assert [len(copy.of(kind)) for kind in ("alert", "incident")] == [0, 1]
    copy.refusal = None
    mirror.run(NOW + timedelta(days=1))
    assert len(copy.of("alert")) == 1


# ------------------------------------------------------------------------- in the service


def app_at(folder: Path, url: str) -> App:
    return App.from_environment({"YUJING_HOME": str(folder), "HOME": str(folder), "YUJING_POSTS_URL": url})


@pytest.mark.parametrize(
    ("url", "there"), [("elasticsearch://127.0.0.1:9", True), ("sqlite:///{}/p.db", False)]
)
def test_the_watch_copies_where_kibana_is(tmp_path: Path, url: str, there: bool) -> None:
    app = app_at(tmp_path, url.format(tmp_path))
    try:
        assert [job.name for job in mirror_jobs(app)] == ["mirror"] * there
    finally:
        app.close()


def test_a_cluster_that_is_away_is_told_and_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = app_at(tmp_path, "elasticsearch://127.0.0.1:9")
    try:
        _mirrored(app, NOW)
        _mirrored(app, NOW + MINUTE)
        status = app.ledger.states.load(STATE)[STATUS]
    finally:
        app.close()
    (told,) = capsys.readouterr().err.splitlines()
    assert "mirror" in told and "127.0.0.1:9" in told
    assert status["error_since"] == NOW.isoformat()
