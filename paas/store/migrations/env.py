"""How Alembic runs the migrations: over the connection and inside the transaction that `schema.py` hands in.

`render_as_batch`: SQLite changes a table by making a new one.
"""

from alembic import context

from paas.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
