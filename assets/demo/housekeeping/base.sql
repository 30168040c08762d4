-- Production as it stands before the promotion: structure and grants. Rows come with data.sql,
-- keys and indexes on the large tables after them.

CREATE SCHEMA eng   AUTHORIZATION ehg_owner;
CREATE SCHEMA vh    AUTHORIZATION ehg_owner;
CREATE SCHEMA views AUTHORIZATION ehg_owner;
CREATE SCHEMA audit AUTHORIZATION ehg_owner;

SET ROLE ehg_owner;

COMMENT ON SCHEMA eng   IS 'Engineering governance: directives, decisions, services, incidents';
COMMENT ON SCHEMA vh    IS 'Venture hub: ideas, companies, funds, ingest';
COMMENT ON SCHEMA views IS 'What readers may see';
COMMENT ON SCHEMA audit IS 'What happened, when, by whom';

-- ---------------------------------------------------------------------------------------------
-- audit

CREATE TABLE audit.change_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation    text        NOT NULL,
    timestamp    timestamptz NOT NULL DEFAULT now(),
    table_schema text        NOT NULL,
    table_name   text        NOT NULL,
    row_count    bigint      NOT NULL DEFAULT 1,
    actor        text        NOT NULL DEFAULT session_user,
    detail       jsonb
);

CREATE TABLE audit.service_logs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    level      text        NOT NULL CHECK (level IN ('DEBUG', 'INFO', 'WARNING', 'ERROR')),
    timestamp  timestamptz NOT NULL DEFAULT now(),
    service    text        NOT NULL,
    message    text        NOT NULL,
    request_id uuid
);

CREATE TABLE audit.request_times (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    timestamp timestamptz NOT NULL DEFAULT now(),
    service   text        NOT NULL,
    ms        numeric     NOT NULL
);

CREATE TABLE audit.migration_log (
    version    text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by text        NOT NULL DEFAULT session_user
);

-- One row a statement, not one a row: a backfill must not double the size of the log. The function
-- runs as its owner, because the applications may not write the log themselves.
CREATE FUNCTION audit.log_statement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    touched bigint;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        touched := 0;
    ELSE
        SELECT count(*) INTO touched FROM changed;
    END IF;
    -- A statement that touched nothing is not worth a row.
    IF touched > 0 OR TG_OP = 'TRUNCATE' THEN
        INSERT INTO audit.change_log (operation, table_schema, table_name, row_count)
        VALUES (TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, touched);
    END IF;
    RETURN NULL;
END
$function$;

CREATE FUNCTION audit.watch(target regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    EXECUTE format('CREATE TRIGGER audit_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS changed
                    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_statement()', target);
    EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE ON %s REFERENCING NEW TABLE AS changed
                    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_statement()', target);
    EXECUTE format('CREATE TRIGGER audit_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS changed
                    FOR EACH STATEMENT EXECUTE FUNCTION audit.log_statement()', target);
END
$function$;

-- ---------------------------------------------------------------------------------------------
-- eng

CREATE TABLE eng.teams (
    id         integer PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    department text NOT NULL
);

CREATE TABLE eng.engineers (
    id        integer PRIMARY KEY,
    team_id   integer NOT NULL,
    full_name text    NOT NULL,
    email     text    NOT NULL UNIQUE,
    level     smallint NOT NULL CHECK (level BETWEEN 1 AND 8),
    joined_on date    NOT NULL
);

CREATE TABLE eng.services (
    id            integer PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    tier          smallint NOT NULL CHECK (tier BETWEEN 1 AND 4),
    repository    text NOT NULL,
    owner_team_id integer,
    created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN eng.services.owner_team_id IS 'Empty for services that were imported from the old catalogue';

-- The first edition kept its status as free text; its successor comes with the promotion.
CREATE TABLE eng.strategic_directives (
    id          integer PRIMARY KEY,
    title       text NOT NULL,
    body        text NOT NULL DEFAULT '',
    status      text NOT NULL,
    owner_email text,
    priority    text,
    opened_on   date NOT NULL,
    due_on      date
);

CREATE TABLE eng.decision_records (
    id           integer PRIMARY KEY,
    directive_id integer,
    title        text   NOT NULL,
    outcome      text   NOT NULL CHECK (outcome IN ('accepted', 'rejected', 'superseded', 'proposed')),
    tags         text[] NOT NULL DEFAULT '{}',
    decided_on   date   NOT NULL
);

CREATE TABLE eng.incidents (
    id          integer PRIMARY KEY,
    service_id  integer     NOT NULL,
    severity    smallint    NOT NULL CHECK (severity BETWEEN 1 AND 4),
    summary     text        NOT NULL,
    opened_at   timestamptz NOT NULL,
    resolved_at timestamptz
);

CREATE TABLE eng.deployments (
    id           bigint PRIMARY KEY,
    service_id   integer     NOT NULL,
    commit_sha   text        NOT NULL,
    environment  text        NOT NULL,
    committed_at timestamptz NOT NULL,
    deployed_at  timestamptz NOT NULL,
    succeeded    boolean     NOT NULL
);

-- How old a directive is, in working days.
CREATE FUNCTION eng.working_days(since date, until date) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT (until - since) - 2 * ((until - since) / 7)
$function$;

CREATE VIEW views.eng_directive_aging AS
SELECT d.id, d.title, d.status, eng.working_days(d.opened_on, current_date) AS age_in_working_days
FROM eng.strategic_directives AS d
WHERE lower(d.status) NOT IN ('done', 'dropped');

-- ---------------------------------------------------------------------------------------------
-- vh

CREATE TYPE vh.idea_stage AS ENUM ('submitted', 'screened', 'incubating', 'rejected');

CREATE TABLE vh.funds (
    id           integer PRIMARY KEY,
    name         text           NOT NULL UNIQUE,
    vintage      smallint       NOT NULL,
    size_eur     numeric(14, 2) NOT NULL CHECK (size_eur > 0)
);

CREATE TABLE vh.companies (
    id         integer PRIMARY KEY,
    name       text NOT NULL,
    domain     text NOT NULL,
    country    char(2) NOT NULL,
    founded_on date NOT NULL,
    active     boolean NOT NULL DEFAULT true
);

CREATE TABLE vh.founders (
    id         integer PRIMARY KEY,
    company_id integer NOT NULL,
    full_name  text    NOT NULL,
    email      text    NOT NULL
);

CREATE TABLE vh.investments (
    id          integer PRIMARY KEY,
    fund_id     integer        NOT NULL,
    company_id  integer        NOT NULL,
    round       text           NOT NULL,
    amount_eur  numeric(14, 2) NOT NULL CHECK (amount_eur > 0),
    invested_on date           NOT NULL
);

CREATE TABLE vh.ideas (
    id           integer PRIMARY KEY,
    title        text          NOT NULL,
    stage        vh.idea_stage NOT NULL DEFAULT 'submitted',
    company_id   integer,
    submitted_at timestamptz   NOT NULL
);

CREATE TABLE vh.ingest_sources (
    id      integer PRIMARY KEY,
    name    text    NOT NULL UNIQUE,
    enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE vh.ingest_runs (
    id          bigint PRIMARY KEY,
    source_id   integer     NOT NULL,
    status      text        NOT NULL CHECK (status IN ('running', 'success', 'failed')),
    rows_read   integer     NOT NULL DEFAULT 0,
    error       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);

-- ---------------------------------------------------------------------------------------------
-- traffic: what the services of the sample company do while somebody looks

CREATE SCHEMA traffic AUTHORIZATION ehg_owner;
COMMENT ON SCHEMA traffic IS 'Makes the sample company live; no service knows it';

-- What is wrong just now.
CREATE TABLE traffic.weather (fault text PRIMARY KEY);

-- Numbers far above those of the rows that were loaded.
CREATE SEQUENCE traffic.run_numbers START 1000000;

-- What the services did in the last so many milliseconds, with the flag at so many per cent.
CREATE FUNCTION traffic.tick(percent integer, milliseconds integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    breach boolean := percent >= 50
        AND EXISTS (SELECT FROM traffic.weather WHERE fault = 'ramp-breach');
    slow boolean := to_regclass('vh.experiments') IS NOT NULL
        AND EXISTS (SELECT FROM traffic.weather WHERE fault = 'p95-regression');
BEGIN
    INSERT INTO audit.request_times (service, ms)
    SELECT 'vh-ingest', round((60 + 40 * random())::numeric * CASE WHEN slow THEN 1.6 ELSE 1 END, 1)
    FROM generate_series(1, greatest(1, milliseconds / 100));
    INSERT INTO vh.ingest_runs (id, source_id, status, rows_read, finished_at)
    SELECT nextval('traffic.run_numbers'), 1 + i % 20, 'success', 200 + i, now() + interval '80 ms'
    FROM generate_series(1, greatest(1, milliseconds / 250)) AS i;
    INSERT INTO audit.service_logs (level, service, message)
    VALUES ('INFO', 'vh-ingest', format('ingest at %s %%', percent));
    IF breach THEN
        INSERT INTO audit.service_logs (level, service, message)
        VALUES ('ERROR', 'vh-ingest', 'new path: source answered in an unknown format');
    END IF;
END
$function$;
REVOKE EXECUTE ON FUNCTION traffic.tick FROM PUBLIC;

-- ---------------------------------------------------------------------------------------------
-- who may do what

GRANT USAGE ON SCHEMA eng TO eng_app, eng_lead, analyst_ro;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA eng TO eng_app;
GRANT SELECT ON ALL TABLES IN SCHEMA eng TO eng_lead;

GRANT USAGE ON SCHEMA vh TO vh_app, vh_ingest;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA vh TO vh_app;
GRANT SELECT, INSERT, UPDATE ON vh.ingest_runs, vh.ingest_sources TO vh_ingest;

GRANT USAGE ON SCHEMA views TO analyst_ro, eng_app, eng_lead, vh_app;
GRANT SELECT ON views.eng_directive_aging TO analyst_ro, eng_app, eng_lead;

GRANT USAGE ON SCHEMA traffic TO vh_ingest;
GRANT EXECUTE ON FUNCTION traffic.tick TO vh_ingest;

GRANT USAGE ON SCHEMA audit TO eng_app, vh_app, vh_ingest;
GRANT INSERT ON audit.service_logs TO eng_app, vh_app, vh_ingest;

RESET ROLE;
