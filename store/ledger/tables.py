"""Tables of the ledger: portable SQL, the same on SQLite and PostgreSQL.

What is asked for has a column; the whole noun is kept beside it as JSON (``body``), written by ``store.codec``.
A column that changes by itself (an alert's state) wins over the body.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

from store.codec import clean

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC on the Python side; ``timestamptz`` on PostgreSQL, text in UTC that sorts on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC, without the zone where the database keeps none."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """Text without what PostgreSQL refuses (NUL, lone surrogates), in the order of its code points everywhere."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """SQLite's own order; on PostgreSQL a database's order is that of some language."""
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """See ``store.codec.clean``."""
        return None if value is None else clean(value)


def _serial() -> Column[Any]:
    # SQLite numbers rows by itself only for a primary key of type INTEGER.
    return Column("n", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)


def _time(name: str, nullable: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=nullable)


def _text(name: str = "id", **options: Any) -> Column[Any]:
    return Column(name, CleanText, nullable=False, **options)


def _number(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False)


def _json(name: str = "body") -> Column[Any]:
    return Column(name, JSON, nullable=False)


states = Table("states", metadata, _text("kind", primary_key=True), _text("key", primary_key=True), _json())

signals = Table(
    "signals", metadata, _text(primary_key=True), _time("at"), _text("brand"), _json(), Index(None, "at")
)

alerts = Table(
    "alerts",
    metadata,
    _text(primary_key=True),
    _number("revision"),
    _text("fingerprint"),
    _text("brand"),
    _text("state"),
    _time("at"),
    _json(),
    Index(None, "at"),
    Index(
        "uq_alerts_open_fingerprint",
        "fingerprint",
        unique=True,
        sqlite_where=text("state <> 'resolved'"),
        postgresql_where=text("state <> 'resolved'"),
    ),
)

alert_revisions = Table(
    "alert_revisions",
    metadata,
    _text("alert", primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    _time("at"),
    _time("handled_at", nullable=True),
    _json(),
    Index(None, "handled_at", "at"),
)

outbox = Table(
    "outbox",
    metadata,
    _text(primary_key=True),
    _text("channel"),
    _text("recipient"),
    _text("subject"),
    Column("body", LargeBinary, nullable=False),
    _text("alert"),
    _number("revision"),
    _text("incident"),
    _text("route"),
    _time("created_at"),
    _time("not_before"),
    _number("tries"),
    _text("state"),
    _text("error"),
    _time("sent_at", nullable=True),
    _text("message_id"),
    _text("level"),
    _time("leased_until", nullable=True),
    _time("ended_at", nullable=True),
    Index(None, "state", "not_before"),
    Index(None, "incident"),
    Index(None, "alert"),
    Index(None, "created_at"),
)

incidents = Table(
    "incidents",
    metadata,
    _text(primary_key=True),
    Column("day", String(8), nullable=False),
    _number("number"),
    _text("brand"),
    _text("topic"),
    _text("status"),
    _number("version"),
    _time("opened_at"),
    _json(),
    UniqueConstraint("day", "number"),
    Index(None, "opened_at"),
    Index(
        "uq_incidents_open_brand_topic",
        "brand",
        "topic",
        unique=True,
        sqlite_where=text("status NOT IN ('closed', 'false_alarm')"),
        postgresql_where=text("status NOT IN ('closed', 'false_alarm')"),
    ),
)

timeline = Table(
    "timeline", metadata, _serial(), _text("incident"), _time("at"), _json(), Index(None, "incident", "n")
)

plan_runs = Table(
    "plan_runs",
    metadata,
    _text(primary_key=True),
    _text("incident"),
    _text("plan"),
    _text("version"),
    _time("started_at"),
    _text("started_by"),
    _json("frozen"),
    UniqueConstraint("incident", "plan"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("run", CleanText, ForeignKey("plan_runs.id"), primary_key=True),
    _text("task", primary_key=True),
    _number("position"),
    _text("status"),
    _json(),
)

silences = Table(
    "silences",
    metadata,
    _text(primary_key=True),
    _text("brand"),
    _text("topic"),
    _time("starts_at"),
    _time("ends_at"),
    _text("created_by"),
    _text("reason"),
    _text("below"),
    _text("ended_by"),
)

corrections = Table(
    "corrections",
    metadata,
    _text("post", primary_key=True),
    _time("at"),
    _text("actor"),
    _json(),
    Index(None, "at"),
)

source_runs = Table(
    "source_runs",
    metadata,
    _serial(),
    _text("source"),
    _time("ended_at"),
    _text("outcome"),
    _json(),
    Index(None, "source", "ended_at"),
)

seen = Table(
    "seen",
    metadata,
    _text("source", primary_key=True),
    # A digest of the key: an address can be longer than what an index takes.
    Column("digest", String(32), primary_key=True),
    _text("mark"),
    _time("at"),
)

audit = Table(
    "audit",
    metadata,
    _serial(),
    _time("at"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("reason"),
    Index(None, "at"),
)

leases = Table(
    "leases",
    metadata,
    _text("name", primary_key=True),
    _text("holder"),
    _text("place"),
    Column("token", BigInteger, nullable=False),
    _time("since"),
    _time("expires_at"),
)
