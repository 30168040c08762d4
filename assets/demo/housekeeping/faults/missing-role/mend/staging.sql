GRANT USAGE ON SCHEMA eng, views TO analyst_ro;
GRANT SELECT ON ALL TABLES IN SCHEMA views TO analyst_ro;
