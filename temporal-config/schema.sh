#!/bin/sh
# Brings the tables of Temporal's two databases up to the version of these tools.
# Repeated, it changes nothing. SQL_HOST, SQL_PORT, SQL_USER and SQL_PASSWORD say
# where PostgreSQL is.
set -eu
export SQL_PLUGIN=postgres12_pgx

schema() {
    temporal-sql-tool --database "$1" setup-schema --version 0.0
    temporal-sql-tool --database "$1" update-schema --schema-name "postgresql/v12/$2"
}

schema temporal temporal
schema temporal_visibility visibility
