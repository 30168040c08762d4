-- A late-night fix from last spring: the portal was to file incidents itself.
GRANT USAGE ON SCHEMA eng TO vh_app;
GRANT INSERT ON eng.incidents TO vh_app;
