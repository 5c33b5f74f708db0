"""What alembic runs: the revisions on the connection that was handed in, in that connection's transaction."""

from alembic import context

from database.migrations.compare import OPTIONS

connection = context.config.attributes.get("connection")
if connection is not None:
    context.configure(connection=connection, **OPTIONS)
    context.run_migrations()
