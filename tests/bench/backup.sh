#!/usr/bin/env bash
# Measures the JSON backup against a plain COPY of all tables to files, by psql, and against a node
# script that selects each table and writes JSON.stringify of it. All in one run, rounds interleaved;
# then the memory of the backup, and of the script, on one table of many rows.
#
# tests/bench/backup.sh [ROUNDS [ROWS [BIG_ROWS]]]
#
# Needs node and npm: the driver `pg` is put into a folder of its own the first time. BINARY names
# another build than target/release/stagegate; PG_BINDIR the server's programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds="${1:-3}" rows="${2:-400000}" big="${3:-6000000}"
binary="$(realpath "${BINARY:-target/release/stagegate}")"
bindir="${PG_BINDIR:-$(pg_config --bindir)}"
node_home="${TMPDIR:-/tmp}/stagegate-bench-node"
if [ ! -d "$node_home/node_modules/pg" ]; then
  mkdir -p "$node_home"
  npm install --silent --no-audit --no-fund --prefix "$node_home" pg@8 >/dev/null
fi
work="$(mktemp -d)"
chmod 755 "$work"
# A server refuses to run as root.
as_server() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }
stop() {
  as_server "$bindir/pg_ctl" -D "$work/data/db" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap stop EXIT
mkdir "$work/data"
if [ "$(id -u)" = 0 ]; then chown postgres "$work/data"; fi
as_server "$bindir/initdb" -D "$work/data/db" -A trust -U postgres --locale=C.UTF-8 >/dev/null
as_server "$bindir/pg_ctl" -D "$work/data/db" -w -l "$work/data/log" -o \
  "-c listen_addresses= -c unix_socket_directories=$work/data -c fsync=off -c shared_buffers=1GB -c max_wal_size=8GB" start >/dev/null
export PGHOST="$work/data" PGUSER=postgres PGDATABASE=postgres
url="postgresql://postgres@/postgres?host=$work/data"

cat >"$work/dump.js" <<'JS'
const { Client } = require(process.argv[2] + '/node_modules/pg');
const fs = require('fs');
(async () => {
  const client = new Client({ host: process.env.PGHOST, user: 'postgres', database: 'postgres' });
  await client.connect();
  const tables = await client.query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace");
  for (const { relname } of tables.rows) {
    const found = await client.query(`SELECT * FROM "${relname}"`);
    fs.writeFileSync(`${process.argv[3]}/${relname}.json`, JSON.stringify(found.rows));
  }
  await client.end();
})();
JS

echo "making tables of $rows rows"
psql -X -q -v ON_ERROR_STOP=1 <<SQL
CREATE TABLE customers AS SELECT n::bigint AS id, gen_random_uuid() AS key, 'customer ' || n AS name,
  'c' || n || '@example.com' AS email, now() - n * interval '1 minute' AS since, n % 7 = 0 AS active,
  jsonb_build_object('plan', n % 5, 'tags', ARRAY['a', 'b "c"', md5(n::text)]) AS settings
  FROM generate_series(1, $rows) n;
CREATE TABLE orders AS SELECT n::bigint AS id, (n % $rows)::bigint AS customer, (n * 1.17)::numeric(12,2) AS total,
  n % 4 AS state, now() - n * interval '1 second' AS placed, random() AS score, CASE WHEN n % 3 = 0 THEN repeat('note ' || n || E'\n', 3) END AS note
  FROM generate_series(1, $rows * 3) n;
CREATE TABLE events AS SELECT n::bigint AS id, md5(n::text) AS kind, now() AS at, md5(n::text) || md5((n + 1)::text) AS payload
  FROM generate_series(1, $rows * 2) n;
CREATE TABLE blobs AS SELECT n AS id, decode(md5(n::text) || md5((n + 1)::text), 'hex') AS bytes, ARRAY[n, NULL, n + 1] AS list
  FROM generate_series(1, $rows) n;
VACUUM ANALYZE;
SQL
tables="customers orders events blobs"

seconds() { local from to; from=$(date +%s.%N); "$@" >/dev/null; to=$(date +%s.%N); echo "$to - $from" | bc; }
plain() {
  rm -rf "$work/plain"; mkdir "$work/plain"
  for table in $tables; do psql -X -q -c "\\copy $table TO '$work/plain/$table'"; done
}
json() { rm -rf "$work/json"; "$binary" backup "$url" --format json --to "$work/json" --name b --jobs "$1"; }
script() { rm -rf "$work/node"; mkdir "$work/node"; node "$work/dump.js" "$node_home" "$work/node"; }
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

json 2 >/dev/null
for round in $(seq "$rounds"); do
  p=$(seconds plain); j=$(seconds json 2); j1=$(seconds json 1); s=$(seconds script)
  printf 'round %s: plain COPY %.2f s, JSON %.2f s (one job %.2f s), node %.2f s\n' "$round" "$p" "$j" "$j1" "$s"
  echo "$p" >>"$work/p"; echo "$j" >>"$work/j"; echo "$j1" >>"$work/j1"; echo "$s" >>"$work/s"
done
p=$(median <"$work/p"); j=$(median <"$work/j"); j1=$(median <"$work/j1"); s=$(median <"$work/s")
du -sh "$work/plain" "$work/json" "$work/node" | sed "s#$work/##"
awk -v p="$p" -v j="$j" -v j1="$j1" -v s="$s" 'BEGIN {
  printf "JSON is %.2fx of plain COPY (one job %.2fx; at most 1.4x is wanted)\n", j / p, j1 / p
  printf "JSON is %.1fx faster than the node script (at least 4.5x is wanted)\n", s / j }'

echo "one table of $big rows"
psql -X -q -v ON_ERROR_STOP=1 -c "DROP TABLE $(echo $tables | tr ' ' ',')" -c "CREATE TABLE big AS SELECT n::bigint AS id, md5(n::text) AS a, now() AS at, md5((n + 1)::text) AS b FROM generate_series(1, $big) n"
tables=big
peak() {
  "$@" >/dev/null 2>"$work/err" & local pid=$! most=0 now
  while now=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do most=$now; sleep 0.02; done
  local code=0; wait "$pid" || code=$?
  echo "$((most / 1024)) MiB at most, exit code $code"
}
rm -rf "$work/json"
echo "JSON backup: $(peak "$binary" backup "$url" --format json --to "$work/json" --name b)"
echo "verify:      $(peak "$binary" verify-backup "$work/json/b")"
psql -X -q -c "CREATE DATABASE target"
psql -X -q -d target -c "CREATE TABLE big (id bigint, a text, at timestamptz, b text)"
echo "restore:     $(peak "$binary" restore "$work/json/b" "postgresql://postgres@/target?host=$work/data" --confirm target)"
echo "node script: $(mkdir -p "$work/node"; peak node "$work/dump.js" "$node_home" "$work/node")"
tail -3 "$work/err" | cut -c1-200
