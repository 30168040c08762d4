-- The new path of the ingest does not understand some sources; half of them is enough to show it.
INSERT INTO traffic.weather VALUES ('ramp-breach');
