"""How each format of a SQL store comes from the one before, as Alembic reads it."""
