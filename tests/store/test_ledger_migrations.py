"""The migrations lead to the tables that the code uses."""

from __future__ import annotations

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
