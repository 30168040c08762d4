-- A dashboard that opened a transaction, read one table, and went to lunch.
SET application_name = 'dashboard';
BEGIN;
SELECT count(*) FROM eng.services;
