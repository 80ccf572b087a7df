"""Alembic's entry: runs the migrations on the connection handed in by ``store.ledger.migrate``."""

from alembic import context

from store.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # The caller's transaction holds all of it: a kill half-way leaves the schema as it was.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
