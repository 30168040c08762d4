CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO reader;
CREATE TYPE shop.mood AS ENUM ('fine');
CREATE TYPE shop.state AS ENUM ('new', 'done');
CREATE DOMAIN shop.email AS text CONSTRAINT has_at CHECK (value LIKE '%@%');
CREATE TYPE shop.point AS (x int, y int);
CREATE TYPE shop.span AS RANGE (subtype = int4);
CREATE COLLATION shop.plain (locale = 'C');
CREATE FUNCTION shop.add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION shop.apart(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION shop.many() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.atomic() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION shop.mood_number(shop.mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION public.watcher() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE PROCEDURE shop.tidy() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE shop.total(int) (SFUNC = shop.add, STYPE = int, INITCOND = '0');
CREATE OPERATOR shop.<#> (LEFTARG = int, RIGHTARG = int, FUNCTION = shop.add);
CREATE CAST (shop.mood AS int) WITH FUNCTION shop.mood_number;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, email shop.email, UNIQUE (email));
CREATE TABLE shop.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint REFERENCES shop.customers,
    total numeric DEFAULT 0,
    note text,
    label text,
    taxed numeric GENERATED ALWAYS AS (total * 1.2) STORED,
    CONSTRAINT positive CHECK (total >= 0)
);
ALTER TABLE shop.orders RENAME CONSTRAINT orders_customer_fkey TO orders_customer_fkey2;
ALTER TABLE shop.orders RENAME CONSTRAINT orders_customer_fkey2 TO orders_customer_fkey;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
COMMENT ON TABLE shop.orders IS 'all orders';
GRANT SELECT ON shop.orders TO reader;
GRANT UPDATE (note) ON shop.orders TO app;
CREATE INDEX orders_total ON shop.orders (total) WHERE total > 10;
CREATE INDEX orders_note ON shop.orders (note);
CREATE INDEX orders_lower ON shop.orders (lower(label));
CREATE STATISTICS shop.together (dependencies) ON total, note FROM shop.orders;
CREATE POLICY own ON shop.orders TO reader USING (total > 5) WITH CHECK (total > 5);
CREATE TRIGGER touch BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TABLE shop.lonely (a int);
CREATE TABLE shop.guarded (a int);
CREATE RULE skip AS ON INSERT TO shop.guarded WHERE new.a > 8 DO INSTEAD NOTHING;
CREATE TABLE shop.ruled (a int);
CREATE RULE skip AS ON DELETE TO shop.ruled DO INSTEAD NOTHING;
CREATE TABLE shop.base (a int NOT NULL);
CREATE TABLE shop.child (b int) INHERITS (shop.base);
CREATE TABLE shop.events (at int NOT NULL, what text, CONSTRAINT events_pkey PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE shop.events_old PARTITION OF shop.events FOR VALUES FROM (0) TO (100);
CREATE INDEX events_what ON shop.events (what);
CREATE SEQUENCE shop.numbers;
CREATE TABLE shop.serial (id serial);
CREATE VIEW shop.big AS SELECT id, total FROM shop.orders WHERE total > 100;
CREATE MATERIALIZED VIEW shop.sums AS SELECT sum(total) AS total FROM shop.orders WHERE true;
CREATE TEXT SEARCH DICTIONARY shop.dict (TEMPLATE = simple, accept = true);
CREATE TEXT SEARCH CONFIGURATION shop.words (COPY = simple);
CREATE FOREIGN DATA WRAPPER far;
CREATE SERVER away VERSION '1' FOREIGN DATA WRAPPER far;
CREATE USER MAPPING FOR app SERVER away OPTIONS (user 'me');
CREATE FOREIGN TABLE shop.remote (a int) SERVER away;
CREATE PUBLICATION changes FOR TABLE shop.orders;
CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watcher();
CREATE SCHEMA later;
ALTER DEFAULT PRIVILEGES IN SCHEMA later GRANT SELECT ON TABLES TO reader;
CREATE TABLE shop."odd ""name"" with é and a dot." ("a.b" int, "c""d" text);
