-- Undoes 20250917_005_ingest_errors.

DROP TABLE vh.ingest_errors;
DROP FUNCTION vh.ingest_error_class(text);

DELETE FROM audit.migration_log WHERE version = '20250917_005_ingest_errors';
