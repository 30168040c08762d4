-- A query of the ingest is slower over the migrated tables.
INSERT INTO traffic.weather VALUES ('p95-regression');
