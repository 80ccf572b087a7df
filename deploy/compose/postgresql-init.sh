#!/bin/bash
# The service's own role and database, made with the data folder; the superuser `postgres` is nobody's daily account.
set -euo pipefail
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres <<SQL
CREATE ROLE yujing LOGIN PASSWORD '$(cat /run/secrets/yujing_ledger_password)';
CREATE DATABASE yujing OWNER yujing;
REVOKE ALL ON DATABASE yujing FROM PUBLIC;
SQL
