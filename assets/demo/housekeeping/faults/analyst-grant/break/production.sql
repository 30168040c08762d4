-- "So that the dashboards work": every table that ehg_owner makes in eng from now on is readable
-- by analysts. Nothing shows until the promotion makes tables.
ALTER DEFAULT PRIVILEGES FOR ROLE ehg_owner IN SCHEMA eng GRANT SELECT ON TABLES TO analyst_ro;
