REVOKE INSERT ON eng.incidents FROM vh_app;
REVOKE USAGE ON SCHEMA eng FROM vh_app;
