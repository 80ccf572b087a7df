"""Delivery: retries, giving up, what the operator sees, and no message lost by a wrong setting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alerts.channels import ChannelDown
from alerts.channels.mail import MailChannel
from alerts.outbox import STATE, Deliverer
from domain.errors import DeliveryError
from store.ledger import Ledger, Notification
from tests.alerts import sample
from tests.alerts.servers import Mailbox


class Scripted:
    """Raises what the script says for each sending, in order; afterwards takes everything."""

    def __init__(self, *script: DeliveryError | None) -> None:
        self.script = list(script)
        self.taken: list[str] = []

    def send(self, notification: Notification) -> None:
        error = self.script.pop(0) if self.script else None
        if error:
            raise error
        self.taken.append(notification.id)


def waiting(ident: str, *, to: str = "pr-duty@example.com", channel: str = "email") -> Notification:
    return Notification(
        id=ident, channel=channel, recipient=to, subject="x", body=b"Subject: x\r\n\r\nhello\r\n", alert="a",
        revision=1, incident="", route="r", created_at=sample.AT, not_before=sample.AT,
    )  # fmt: skip


def at(moment: datetime) -> Callable[[], datetime]:
    """A clock that stands still."""
    return lambda: moment


def state(ledger: Ledger, ident: str) -> Notification:
    return next(mail for mail in ledger.outbox.find() if mail.id == ident)


def deliverer(ledger: Ledger, channel: object, **changes: object) -> Deliverer:
    values = {"states": ledger.states, "jitter": lambda: 0.5, "base_s": 40.0}
    return Deliverer(ledger.outbox, {"email": channel}, **(values | changes))


def test_what_waits_is_sent_once(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1"), waiting("n2")])
    channel = Scripted()
    assert deliverer(ledger, channel).deliver(now=at(sample.AT)).sent == 2
    assert deliverer(ledger, channel).deliver(now=at(sample.AT + timedelta(hours=1))).sent == 0
    assert sorted(channel.taken) == ["n1", "n2"]
    assert state(ledger, "n1").sent_at == sample.AT


def test_a_permanent_refusal_fails_at_once_and_the_rest_goes_on(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1"), waiting("n2")])
    summary = deliverer(ledger, Scripted(DeliveryError("550 no such user"))).deliver(now=at(sample.AT))
    assert (summary.sent, summary.failed, summary.retried) == (1, 1, 0)
    assert state(ledger, "n1").state == "failed"
    assert "550" in state(ledger, "n1").error


def test_a_transient_refusal_comes_back_after_its_wait_and_not_before(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1")])
    channel = Scripted(DeliveryError("451", permanent=False))
    runner = deliverer(ledger, channel)
    assert runner.deliver(now=at(sample.AT)).retried == 1
    assert state(ledger, "n1").not_before == sample.AT + timedelta(seconds=40 * 0.75)
    assert runner.deliver(now=at(sample.AT + timedelta(seconds=29))).sent == 0
    assert runner.deliver(now=at(sample.AT + timedelta(seconds=31))).sent == 1


@pytest.mark.parametrize("error", [DeliveryError, ChannelDown])
def test_what_was_tried_often_and_for_five_days_fails(
    ledger: Ledger, error: Callable[..., DeliveryError]
) -> None:
    ledger.outbox.enqueue([waiting("n1")])
    runner = deliverer(ledger, Scripted(*[error("451", permanent=False)] * 9), max_tries=4)
    for hours in (0, 2, 4, 6, 119):
        runner.deliver(now=at(sample.AT + timedelta(hours=hours)))
        assert state(ledger, "n1").state == "waiting"
    assert runner.deliver(now=at(sample.AT + timedelta(hours=121))).failed == 1
    assert "6 次" in state(ledger, "n1").error


def test_what_waited_for_a_deliverer_is_not_given_up_at_its_first_try(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1")])
    runner = deliverer(ledger, Scripted(DeliveryError("451", permanent=False)))
    assert runner.deliver(now=at(sample.AT + timedelta(days=9))).retried == 1


def test_a_server_away_for_a_weekend_and_busy_afterwards_loses_nothing(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1")])
    away = [ChannelDown("连不上", permanent=False)] * 60
    runner = deliverer(ledger, Scripted(*away, DeliveryError("451", permanent=False)))
    for hours in range(61):
        runner.deliver(now=at(sample.AT + timedelta(hours=hours)))
    assert runner.deliver(now=at(sample.AT + timedelta(hours=62))).sent == 1


def test_after_an_outage_mails_go_within_minutes(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1")])
    runner = deliverer(ledger, Scripted(*[ChannelDown("连不上", permanent=False)] * 9))
    for hours in range(9):
        runner.deliver(now=at(sample.AT + timedelta(hours=hours)))
    assert runner.deliver(now=at(sample.AT + timedelta(hours=8, minutes=5))).sent == 1


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_waits_double_up_to_the_cap_within_half_and_whole(ledger: Ledger, jitter: float) -> None:
    runner = deliverer(ledger, Scripted(), jitter=lambda: jitter, base_s=30.0, cap_s=600.0)
    waits = [runner.wait(tries).total_seconds() for tries in range(1, 9)]
    assert waits[0] == pytest.approx(30 * (0.5 + jitter / 2))
    assert waits[1] == pytest.approx(2 * waits[0])
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(600 * (0.5 + jitter / 2))
    assert runner.wait(10_000).total_seconds() <= 600


def test_a_channel_that_is_down_ends_the_pass(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1"), waiting("n2")])
    channel = Scripted(ChannelDown("连不上", permanent=False))
    summary = deliverer(ledger, channel).deliver(now=at(sample.AT))
    assert summary.down == "连不上"
    assert channel.taken == []
    assert state(ledger, "n2").tries == 0


def test_asked_to_end_between_two_messages_it_does(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1"), waiting("n2")])
    channel = Scripted()
    summary = deliverer(ledger, channel).deliver(now=at(sample.AT), stop=lambda: bool(channel.taken))
    assert summary.sent == 1
    assert state(ledger, "n2").state == "waiting" and state(ledger, "n2").tries == 0


class Slow:
    """Takes a minute for each message; halfway through, ``meanwhile`` is done."""

    def __init__(self, meanwhile: Callable[[str], object]) -> None:
        self.meanwhile = meanwhile
        self.clock = sample.AT

    def send(self, notification: Notification) -> None:
        self.clock += timedelta(seconds=30)
        self.meanwhile(notification.id)
        self.clock += timedelta(seconds=30)


def test_however_long_a_pass_takes_nobody_else_gets_at_the_message_in_hand(ledger: Ledger) -> None:
    ids = [f"n{n}" for n in range(6)]
    ledger.outbox.enqueue([waiting(each) for each in ids])
    dropped, second = [], Scripted()

    def meanwhile(ident: str) -> None:
        dropped.append(ledger.outbox.drop(ident, reason="replaced", at=channel.clock))
        if ident == ids[4]:
            deliverer(ledger, second).deliver(now=at(channel.clock))

    channel = Slow(meanwhile)
    assert deliverer(ledger, channel).deliver(now=lambda: channel.clock).sent == 5
    assert dropped == [False] * 5
    assert second.taken == ["n5"]


def test_each_message_has_the_time_at_which_it_was_taken_or_refused(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1"), waiting("n2")])

    def meanwhile(ident: str) -> None:
        if ident == "n2":
            raise DeliveryError("451", permanent=False)

    channel = Slow(meanwhile)
    deliverer(ledger, channel).deliver(now=lambda: channel.clock)
    refused = sample.AT + timedelta(seconds=90)
    assert state(ledger, "n1").sent_at == sample.AT + timedelta(minutes=1)
    assert state(ledger, "n2").not_before == refused + timedelta(seconds=40 * 0.75)
    assert ledger.states.load(STATE)["email"]["error_since"] == refused.isoformat()


def test_the_night_begins_during_a_pass(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1"), waiting("n2")])
    night, morning = sample.AT + timedelta(seconds=45), sample.AT + timedelta(hours=8)
    channel = Slow(lambda _: None)
    runner = deliverer(ledger, channel, holds=[lambda _, now: morning if now >= night else None])
    assert runner.deliver(now=lambda: channel.clock).sent == 1
    assert (state(ledger, "n2").not_before, state(ledger, "n2").tries) == (morning, 0)


def test_a_wrong_password_loses_nothing_however_long_it_lasts(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1")])
    channel = Scripted(*[ChannelDown("拒绝登录")] * 40)
    runner = deliverer(ledger, channel, max_tries=3)
    now = sample.AT
    for _ in range(40):
        runner.deliver(now=at(now))
        now += timedelta(minutes=6)
    assert state(ledger, "n1").state == "waiting"
    assert runner.deliver(now=at(now)).sent == 1


def test_the_operator_sees_the_error_and_since_when_until_it_is_over(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1")])
    down = ChannelDown("拒绝登录")
    runner = deliverer(ledger, Scripted(down, down))
    runner.deliver(now=at(sample.AT))
    runner.deliver(now=at(sample.AT + timedelta(minutes=10)))
    shown = ledger.states.load(STATE)["email"]
    assert (shown["error"], shown["error_since"]) == ("拒绝登录", sample.AT.isoformat())
    runner.deliver(now=at(sample.AT + timedelta(minutes=20)))
    shown = ledger.states.load(STATE)["email"]
    assert (shown["error"], shown["error_since"]) == ("", "")
    assert shown["last_sent"] == (sample.AT + timedelta(minutes=20)).isoformat()


def test_an_unknown_channel_fails_clearly(ledger: Ledger) -> None:
    ledger.outbox.enqueue([waiting("n1", channel="pigeon")])
    assert deliverer(ledger, Scripted()).deliver(now=at(sample.AT)).failed == 1
    assert "pigeon" in state(ledger, "n1").error


def test_a_deliverer_killed_after_sending_sends_the_same_bytes_again(ledger: Ledger) -> None:
    """At least once: the copy carries the same Message-ID, which mail programs fold."""
    message = replace(waiting("n1"), body=b"Message-ID: <stable@x>\r\n\r\nhello\r\n", message_id="<stable@x>")
    ledger.outbox.enqueue([message])
    [leased] = ledger.outbox.lease(1, now=sample.AT, lease=timedelta(minutes=3))
    assert deliverer(ledger, Scripted()).deliver(now=at(sample.AT + timedelta(minutes=1))).sent == 0
    channel = Scripted()
    assert deliverer(ledger, channel).deliver(now=at(sample.AT + timedelta(minutes=4))).sent == 1
    assert leased.body == state(ledger, "n1").body


def test_over_a_real_server_one_bad_recipient_holds_nobody_up(
    ledger: Ledger, smtp: Callable[..., int], mailbox: Mailbox, tmp_path: Path
) -> None:
    ledger.outbox.enqueue(
        [waiting("n1", to="nobody@x.example"), waiting("n2", to="busy@x.example"), waiting("n3")]
    )
    mailbox.drops = 1
    channel = MailChannel(host="127.0.0.1", port=smtp(), sender="yujing@example.com", timeout_s=5)
    runner = deliverer(ledger, channel)
    first = runner.deliver(now=at(sample.AT))
    assert (first.sent, first.failed, first.retried) == (0, 1, 2)
    second = runner.deliver(now=at(sample.AT + timedelta(minutes=2)))
    assert (second.sent, second.retried) == (1, 1)
    assert [to for to, _ in mailbox.arrived] == ["pr-duty@example.com"]
