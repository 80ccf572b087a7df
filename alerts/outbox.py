"""Delivers the outbox: lease, send, and the one place where sending is tried again.

At least once: a message whose sending was cut off after the server took it is sent again under the same
Message-ID, which mail programs fold. Waits grow as ``base · 2^(tries − 1)`` up to a cap, each multiplied by a
random factor in [0.5, 1): equal jitter, after Brooker, "Exponential Backoff And Jitter" (AWS Architecture
Blog, 2015), so that many messages do not come back in one moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.channels import Channel, ChannelDown
from domain.errors import DeliveryError
from store.ledger import LONGEST_WAIT, Notification, Outbox, States

STATE = "delivery"
"""Kind of the documents in ``ledger.states`` that tell the operator how each channel does."""

MENDING = timedelta(minutes=5)
"""Longest wait while a channel is down: what waits goes soon after it is up again."""

AGAIN = timedelta(minutes=1)
"""A message that could not be taken back, for its alert is being handled, is looked at again so soon."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliverySummary:
    """What one pass did."""

    sent: int = 0
    retried: int = 0
    """Put back for later."""
    failed: int = 0
    """Given up."""
    down: str = ""
    """Why the pass ended early: the channel itself is out of order; empty when it did not."""
    errors: tuple[str, ...] = ()
    """One line for each message that was not sent."""

    @property
    def text(self) -> str:
        """One Chinese line for people."""
        parts = [f"送达 {self.sent}", f"稍后重试 {self.retried}", f"放弃 {self.failed}"]
        return "，".join(parts) + (f"；{self.down}" if self.down else "")


class Deliverer:
    """Hands waiting messages to their channels."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        *,
        states: States | None = None,
        max_tries: int = 12,
        base_s: float = 30.0,
        cap_s: float = 3600.0,
        lease_s: float = 180.0,
        jitter: Callable[[], float] = random.random,
        holds: Sequence[Callable[[Notification, datetime], datetime | None]] = (),
    ) -> None:
        """``channels`` by name; ``jitter`` gives numbers in [0, 1); ``lease_s`` must outlast one sending.

        A message is given up after ``max_tries`` and ``LONGEST_WAIT``, both: an outage uses up the tries, a
        deliverer that did not run the time, and neither is the message's fault. Each of ``holds`` gives the
        time until which a due message must not be sent after all (``alerts.routes.night_watch``,
        ``alerts.muting.mute_watch``).
        """
        self._outbox = outbox
        self._channels = channels
        self._states = states
        self._max_tries = max_tries
        self._base_s = base_s
        self._cap_s = cap_s
        self._lease = timedelta(seconds=lease_s)
        self._jitter = jitter
        self._holds = holds

    def deliver(
        self, *, now: Callable[[], datetime], limit: int = 200, stop: Callable[[], bool] = lambda: False
    ) -> DeliverySummary:
        """Send what is due, at most ``limit`` messages; ends early when a channel is down or ``stop`` says so.

        The clock ``now`` is asked before and after each sending: a pass may take longer than a lease. Raises
        ``StoreError`` when the ledger refuses.
        """
        summary = DeliverySummary()
        for _ in range(limit):
            if stop():
                break
            at = now()
            leased = self._outbox.lease(1, now=at, lease=self._lease)
            if not leased:
                break
            if self._outbox.overtaken(leased[0]):
                self._give_back(leased[0], now=at)
                continue
            until = [held for hold in self._holds if (held := hold(leased[0], at)) is not None]
            if until:
                self._outbox.postpone(leased[0].id, not_before=max(until))
                continue
            summary = self._one(leased[0], summary, now=now)
            if summary.down:
                break
        return summary

    def _give_back(self, message: Notification, *, now: datetime) -> None:
        """A rise was told while this was in a deliverer's hands: what it tells is compared with that, and told anew."""
        self._outbox.postpone(message.id, not_before=now + AGAIN)
        self._outbox.withdraw([message.id], at=now)

    def _one(
        self, message: Notification, summary: DeliverySummary, *, now: Callable[[], datetime]
    ) -> DeliverySummary:
        try:
            self._channel(message.channel).send(message)
        except DeliveryError as error:
            return self._not_sent(message, error, summary, now=now())
        at = now()
        self._outbox.sent(message.id, at=at)
        self._report(message.channel, ok=True, error="", now=at)
        return replace(summary, sent=summary.sent + 1)

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            raise DeliveryError(f"没有名为 {name} 的送达方式")
        return self._channels[name]

    def _not_sent(
        self, message: Notification, error: DeliveryError, summary: DeliverySummary, *, now: datetime
    ) -> DeliverySummary:
        text = str(error)
        down = isinstance(error, ChannelDown)
        line = f"{message.recipient}：{text}"
        summary = replace(summary, errors=(*summary.errors, line), down=text if down else "")
        self._report(message.channel, ok=False, error=text, now=now)
        misconfigured = down and error.permanent
        exhausted = message.tries >= self._max_tries and now - message.created_at >= LONGEST_WAIT
        if not misconfigured and (error.permanent or exhausted):
            tail = f"（试了 {message.tries} 次）" if exhausted else ""
            self._outbox.failed(message.id, error=text + tail, at=now)
            return replace(summary, failed=summary.failed + 1)
        wait = self.wait(message.tries)
        if down:
            wait = min(wait, MENDING)
        self._outbox.retry(message.id, not_before=now + wait, error=text)
        return replace(summary, retried=summary.retried + 1)

    def wait(self, tries: int) -> timedelta:
        """How long after the ``tries``-th try (1, 2, …) the next one comes."""
        seconds = min(self._cap_s, self._base_s * 2.0 ** min(max(tries, 1) - 1, 30))
        return timedelta(seconds=seconds * (0.5 + self._jitter() / 2))

    def _report(self, channel: str, *, ok: bool, error: str, now: datetime) -> None:
        """What ``yujing status`` shows of the channel; a good sending clears the error."""
        if self._states is None:
            return
        old = dict(self._states.load(STATE).get(channel, {}))
        at = now.isoformat()
        changed = {"last_sent": at, "error": "", "error_since": ""} if ok else {"error": error}
        if not ok and not old.get("error"):
            changed["error_since"] = at
        self._states.save(STATE, {channel: {**old, **changed}})
