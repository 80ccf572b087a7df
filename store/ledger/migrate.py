"""Bring the ledger's schema to this version, once, however many processes open it."""

from __future__ import annotations

from importlib.resources import files

from sqlalchemy import Connection, inspect, text

from domain.errors import StoreError
from store.ledger.engine import Handle, alone

HEAD = "0004"
"""Newest migration; a test holds it against the files."""


def migrate(handle: Handle) -> None:
    """Run the migrations that are missing. Raises ``StoreError`` when the schema is of a newer version."""
    with handle.read() as connection:
        if revision(connection) == HEAD:
            return
    # All in one write transaction: SQLite's write lock (PostgreSQL: an advisory lock) lets one process in,
    # the others find the work done.
    with handle.write() as connection:
        if connection.dialect.name == "postgresql":
            # A large table takes longer to change than to ask, and the others wait for it.
            for limit in ("statement_timeout", "lock_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = 0"))
        alone(connection, "schema")
        if revision(connection) != HEAD:
            _upgrade(connection)


def revision(connection: Connection) -> str:
    """The migration that the schema is at; empty for a database without one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(files("store.ledger") / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(f"台账的格式由更新的版本写成，本版本认识到 {HEAD}：请升级（{error}）") from error
