"""What detectors found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from domain.signal import Signal
from store.codec import decode, document
from store.ledger.engine import Handle, insert_new
from store.ledger.tables import signals


class SqlSignals:
    """See ``store.ledger.Signals``."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def record(self, new: Sequence[Signal]) -> list[Signal]:
        """Store those not stored yet; returns them."""
        with self._handle.write() as connection:
            # In one order everywhere, or two transactions could wait for each other; returned in the order given.
            first: dict[str, Signal] = {}
            for signal in sorted(new, key=lambda each: each.id):
                row = {"id": signal.id, "at": signal.at, "brand": signal.brand, "body": document(signal)}
                if insert_new(connection, signals, row):
                    first[signal.id] = signal
        return [first[id_] for id_ in dict.fromkeys(each.id for each in new) if id_ in first]

    def get(self, ids: Sequence[str]) -> list[Signal]:
        """By id, in the order asked; unknown ids are left out."""
        with self._handle.read() as connection:
            found = {
                id_: decode(Signal, body)
                for id_ in set(ids)
                for body in connection.execute(select(signals.c.body).where(signals.c.id == id_)).scalars()
            }
        return [found[id_] for id_ in ids if id_ in found]

    def since(self, at: datetime, *, brand: str = "") -> list[Signal]:
        """Newest first."""
        statement = select(signals.c.body).where(signals.c.at >= at)
        if brand:
            statement = statement.where(signals.c.brand == brand)
        with self._handle.read() as connection:
            bodies = connection.execute(statement.order_by(signals.c.at.desc(), signals.c.id)).scalars()
            return [decode(Signal, body) for body in bodies]
