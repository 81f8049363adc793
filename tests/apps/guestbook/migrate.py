"""Makes the table. Runs in the new image before it serves; running it again changes nothing."""

import os

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS entries ("
        " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        " author text NOT NULL,"
        " text text NOT NULL,"
        " written_at timestamptz NOT NULL DEFAULT now())"
    )
print("the table is there")
