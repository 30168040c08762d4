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
-- from 14
CREATE FUNCTION shop.atomic() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE TABLE shop.packed (a text COMPRESSION pglz);
CREATE STATISTICS shop.lowered ON lower(a) FROM shop.packed;
CREATE TABLE shop.subscripts (a int[]);
-- end
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
CREATE SCHEMA empty;
ALTER DEFAULT PRIVILEGES IN SCHEMA later GRANT SELECT ON TABLES TO reader;
CREATE TABLE shop."odd ""name"" with é and a dot." ("a.b" int, "c""d" text);

CREATE EXTENSION citext SCHEMA shop;
CREATE FUNCTION shop.own_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION shop.own_inline(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION shop.own_validator(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE LANGUAGE own HANDLER shop.own_handler INLINE shop.own_inline VALIDATOR shop.own_validator;
CREATE ACCESS METHOD piles TYPE TABLE HANDLER heap_tableam_handler;
CREATE TYPE shop.raw;
CREATE FUNCTION shop.raw_in(cstring) RETURNS shop.raw LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION shop.raw_out(shop.raw) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE shop.raw (INPUT = shop.raw_in, OUTPUT = shop.raw_out, LIKE = int4);
CREATE OPERATOR FAMILY shop.family USING btree;
CREATE OPERATOR CLASS shop.sorted FOR TYPE int4 USING btree FAMILY shop.family AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 btint4cmp(int4, int4);
CREATE OPERATOR CLASS shop.others FOR TYPE int4 USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int4);
CREATE FUNCTION shop.raw_compare(shop.raw, shop.raw) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE OPERATOR CLASS shop.odd FOR TYPE shop.raw USING btree AS FUNCTION 1 shop.raw_compare(shop.raw, shop.raw);
CREATE CONVERSION shop.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE FUNCTION shop.from_sql(internal) RETURNS internal LANGUAGE internal IMMUTABLE STRICT AS 'dsimple_init';
CREATE FUNCTION shop.to_sql(internal) RETURNS shop.mood LANGUAGE internal IMMUTABLE STRICT AS 'int4recv';
CREATE TRANSFORM FOR shop.mood LANGUAGE plpgsql (FROM SQL WITH FUNCTION shop.from_sql(internal), TO SQL WITH FUNCTION shop.to_sql(internal));
CREATE TEXT SEARCH PARSER shop.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, HEADLINE = prsd_headline, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE shop.template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE SUBSCRIPTION incoming CONNECTION 'dbname=nowhere password=secret' PUBLICATION far WITH (connect = false, slot_name = NONE);
CREATE DOMAIN shop.amount AS numeric(9, 2) DEFAULT 0;
CREATE TYPE shop.pair AS (first text, second text COLLATE "C");
CREATE OPERATOR shop.<=> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE TABLE shop.moved (a int);
CREATE TABLE shop.swapped (a int, b int);
CREATE DOMAIN shop.spoken AS text;
CREATE TABLE shop.pairs OF shop.pair;
CREATE TABLE shop.keyed (a int NOT NULL, b int NOT NULL, CONSTRAINT keyed_pkey PRIMARY KEY (a), CONSTRAINT keyed_b UNIQUE (b), CONSTRAINT keyed_x EXCLUDE USING btree (b WITH =));
CREATE UNIQUE INDEX keyed_ab ON shop.keyed (a, b);
CREATE TABLE shop.refers (a int, b int, CONSTRAINT refers_fkey FOREIGN KEY (a) REFERENCES shop.keyed) PARTITION BY LIST (a);
CREATE TABLE shop.refers_1 PARTITION OF shop.refers FOR VALUES IN (1);
CREATE TABLE shop.parent (a int, CONSTRAINT parent_a CHECK (a > 0));
CREATE TABLE shop.heir () INHERITS (shop.parent);
CREATE TABLE shop.aside (a int) TABLESPACE aside;
CREATE TABLE shop.far_away (a int, b int);
CREATE MATERIALIZED VIEW shop.kept AS SELECT a, 'x'::text AS t FROM shop.far_away;
CREATE INDEX kept_a ON shop.kept (a);
CREATE VIEW shop.lonelies AS SELECT a FROM shop.far_away;
CREATE TRIGGER instead INSTEAD OF INSERT ON shop.lonelies FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE PROCEDURE shop.counted(IN a int, INOUT b int) LANGUAGE sql AS 'SELECT 1';
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE FUNCTION shop.sum_step(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE AGGREGATE shop.moving(int) (SFUNC = shop.sum_step, STYPE = int, MSFUNC = shop.sum_step, MINVFUNC = shop.sum_step, MSTYPE = int);
CREATE FUNCTION shop.trans(internal, int) RETURNS internal LANGUAGE internal AS 'int8_avg_accum';
CREATE FOREIGN DATA WRAPPER farther;
CREATE SERVER farther FOREIGN DATA WRAPPER farther;
-- from 18
CREATE TABLE shop.virtuals (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL);
CREATE TABLE shop.periods (a int4range, during daterange, CONSTRAINT periods_pkey PRIMARY KEY (a, during WITHOUT OVERLAPS));
-- end
ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON SEQUENCES TO reader;
GRANT app TO other;
ALTER TABLE shop.aside OWNER TO app;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_reset() TO app;
REVOKE EXECUTE ON FUNCTION pg_catalog.upper(text) FROM PUBLIC;
GRANT SELECT ON pg_catalog.pg_statistic TO app;
CREATE TYPE shop.shelled;
CREATE FUNCTION shop.goes() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION shop.goes() DEPENDS ON EXTENSION citext;
CREATE TABLE shop.going (a int);
CREATE INDEX going_a ON shop.going (a);
ALTER INDEX shop.going_a DEPENDS ON EXTENSION citext;
