#!/usr/bin/env bash
# Measures drift against psql, pg_dump and migra in one run. Makes migra a virtual environment first.
#
# tests/bench/drift.sh [TABLES [ROUNDS]]
set -euo pipefail
cd "$(dirname "$0")/../.."
home="${TMPDIR:-/tmp}/stagegate-bench-migra"
if [ ! -x "$home/bin/migra" ]; then
  python3 -m venv "$home"
  "$home/bin/pip" install --quiet migra psycopg2-binary 'setuptools<81' 'sqlalchemy<2.1'
fi
MIGRA="$home/bin/migra" cargo bench --locked --bench drift -- "${@:-1000}"
