"""Ways to hand a message to a person; one file each. Retrying lives in ``alerts/outbox.py`` alone."""

from __future__ import annotations

from typing import Protocol

from domain.errors import DeliveryError
from store.ledger import Notification


class Channel(Protocol):
    """Hands one message over."""

    def send(self, notification: Notification) -> None:
        """Return when the other side took it.

        Raises ``DeliveryError``: permanent when this message will never be taken, transient when trying again
        can help; ``ChannelDown`` when no message would be taken now.
        """


class ChannelDown(DeliveryError):
    """The other side cannot be reached or refuses us: nothing about the message at hand.

    ``permanent`` means that a person must change a setting (wrong password, untrusted certificate); the messages
    wait for that and are not lost.
    """
