-- Roles belong to the whole server, so this file may meet some of them already there.
--
--   ehg_owner    owns every object; nobody logs in as it
--   deploy       runs promotions; a member of ehg_owner, and no superuser, so that grants and
--                row level security bind it like anybody else
--   analyst_ro   reads views, never tables
--   eng_app, eng_lead, vh_app, vh_ingest   the applications and their elevated reader

DO $roles$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('ehg_owner',  'NOLOGIN'),
            ('deploy',     'LOGIN'),
            ('analyst_ro', 'NOLOGIN'),
            ('eng_app',    'LOGIN'),
            ('eng_lead',   'NOLOGIN'),
            ('vh_app',     'LOGIN'),
            ('vh_ingest',  'LOGIN')
        ) AS role(name, login)
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name) THEN
            EXECUTE format('CREATE ROLE %I %s NOSUPERUSER NOBYPASSRLS', wanted.name, wanted.login);
        END IF;
    END LOOP;
END
$roles$;

-- deploy takes on the other roles to test what they may and may not do.
GRANT ehg_owner, analyst_ro, eng_app, eng_lead, vh_app, vh_ingest TO deploy;

-- The lock view shows other people's statements, and a blocker can be cancelled from it.
GRANT pg_monitor, pg_signal_backend TO deploy;

-- Going back restores into a new database beside production.
ALTER ROLE deploy CREATEDB;
