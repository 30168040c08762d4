CREATE EXTENSION postgres_fdw;
CREATE EXTENSION citext;
CREATE SCHEMA app AUTHORIZATION app_owner;
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email citext UNIQUE, phone text);
INSERT INTO auth.users VALUES
  ('00000000-0000-0000-0000-00000000000a', 'ana@example.com', '+49 1'),
  ('00000000-0000-0000-0000-00000000000b', 'ben@example.com', '+49 2'),
  ('00000000-0000-0000-0000-00000000000c', 'cyd@example.com', NULL);
CREATE TYPE app.state AS ENUM ('new', 'paid');
CREATE DOMAIN app.amount AS numeric(20, 4) CHECK (value >= 0);
CREATE TYPE app.point3 AS (x int, y int, z text);
CREATE TABLE app.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  who uuid REFERENCES auth.users (id),
  name text NOT NULL,
  upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
  places app.point3[],
  notes jsonb,
  boss bigint REFERENCES app.customers (id)
);
INSERT INTO app.customers (who, name, places, notes, boss)
  SELECT '00000000-0000-0000-0000-00000000000a', 'customer ' || n,
    ARRAY[ROW(n, 2, E'a\\b"c'), NULL]::app.point3[],
    CASE n % 3 WHEN 0 THEN 'null'::jsonb WHEN 1 THEN NULL ELSE '{"a": [1, "\u00e9"]}' END,
    CASE WHEN n > 1 THEN 1 END
  FROM generate_series(1, 500) n;
CREATE TABLE app.orders (
  id serial, customer bigint NOT NULL REFERENCES app.customers (id), state app.state DEFAULT 'new',
  total app.amount, made timestamptz NOT NULL, raw bytea, PRIMARY KEY (id, made)
) PARTITION BY RANGE (made);
CREATE TABLE app.orders_old PARTITION OF app.orders FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE app.orders_new PARTITION OF app.orders FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
INSERT INTO app.orders (customer, total, made, raw)
  SELECT 1 + n % 500, n / 7.0, timestamptz '2025-06-01' + n * interval '5 hours', decode(md5(n::text), 'hex')
  FROM generate_series(1, 2000) n;
CREATE INDEX ON app.orders (total);
CREATE TABLE app.odd ("a b" int, "ä""ö" text, empty text[], f float8, i interval, r int4range);
INSERT INTO app.odd VALUES (1, E'tab\there\nline\\N', '{}', 'NaN', '1 mon -3 days', '[1,5)'),
  (NULL, '', '[5:6]={a,NULL}', '-0', NULL, 'empty'), (3, '\N', NULL, 'infinity', '0', NULL);
CREATE TABLE app.no_columns ();
INSERT INTO app.no_columns DEFAULT VALUES;
CREATE TABLE app.base (id int);
CREATE TABLE app.child (more text) INHERITS (app.base);
INSERT INTO app.base VALUES (1); INSERT INTO app.child VALUES (2, 'x');
CREATE SEQUENCE app.tickets START 100 INCREMENT 5; SELECT nextval('app.tickets');
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF new.total > 1e12 THEN RAISE 'too much'; END IF; RETURN new; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON app.orders FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.customers FOR SELECT TO app_reader USING (id < 10);
GRANT USAGE ON SCHEMA app TO app_reader; GRANT SELECT ON ALL TABLES IN SCHEMA app TO app_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO app_reader;
CREATE VIEW app.paid AS SELECT * FROM app.orders WHERE state = 'paid';
CREATE MATERIALIZED VIEW app.totals AS SELECT customer, sum(total) AS sum FROM app.orders GROUP BY 1;
CREATE UNIQUE INDEX ON app.totals (customer);
CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'prod.example', dbname 'x');
CREATE USER MAPPING FOR app_reader SERVER away OPTIONS (user 'u', password 'secret-of-production');
CREATE FOREIGN TABLE app.remote (id int) SERVER away;
CREATE FOREIGN DATA WRAPPER hooks;
CREATE SERVER hooks FOREIGN DATA WRAPPER hooks OPTIONS (api_key 'sk_live');
CREATE FOREIGN TABLE app.hooked (id int) SERVER hooks OPTIONS (password 'ftpw');
SELECT lo_from_bytea(4711, 'a large object');
COMMENT ON TABLE app.orders IS 'what was ordered';
ANALYZE;
