"""The migrations lead to the tables that the code uses."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from store.ledger import open_ledger
from store.ledger.migrate import HEAD
from store.ledger.tables import metadata


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(files("store.ledger") / "migrations"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


def test_migrations_equal_the_tables(tmp_path: Path) -> None:
    open_ledger(f"sqlite:///{tmp_path}/x.db").close()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/x.db")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
        indexes = {
            row[0]: row[1]
            for row in connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
        }
    engine.dispose()
    assert differences == []
    assert "WHERE state <> 'resolved'" in indexes["uq_alerts_open_fingerprint"]
    assert "WHERE status NOT IN ('closed', 'false_alarm')" in indexes["uq_incidents_open_brand_topic"]


def test_there_is_one_head_and_the_code_knows_it() -> None:
    assert scripts().get_heads() == [HEAD]


def test_the_tables_are_portable() -> None:
    for table in metadata.sorted_tables:
        written = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert "DATETIME" not in written
        assert "BLOB" not in written


def test_what_older_versions_grouped_is_found_under_the_message_that_tells_it(
    ledger_url: str, notification, now: datetime
) -> None:
    dropped = {"state": "dropped"}
    with closing(open_ledger(ledger_url)) as ledger:
        ledger.outbox.enqueue(
            [
                notification("m1", **dropped, error="replaced by m2"),
                notification("m2", **dropped, error="replaced by m3"),
                notification("m3"),
                notification("g1", **dropped, error="grouped:m1"),
                notification("g3", **dropped, error="grouped:m3"),
                notification("s1", **dropped, error="replaced by s2"),
                notification("s2", state="sent", sent_at=now),
                notification("t1", **dropped, error="grouped:s1"),
                notification("t2", **dropped, error="grouped:s2"),
                notification("later", **dropped, error="grouped:s2", sent_at=now + timedelta(hours=1)),
            ]
        )
    engine = sqlalchemy.create_engine(ledger_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = '0003'"))
    engine.dispose()
    with closing(open_ledger(ledger_url)) as ledger:
        told = {
            id_: [(each.id, each.sent_at) for each in ledger.outbox.carried(id_)]
            for id_ in ("m1", "m2", "m3", "s1", "s2")
        }
        assert told == {
            "m1": [],
            "m2": [],
            "m3": [("g1", None), ("g3", None)],
            "s1": [],
            "s2": [("later", now + timedelta(hours=1)), ("t1", now), ("t2", now)],
        }
