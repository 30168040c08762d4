-- Undoes 20250918_006_ingest_run_health.

DROP INDEX vh.ingest_runs_failed_idx;
DROP INDEX vh.ingest_runs_created_at_idx;
ALTER TABLE vh.ingest_runs
    DROP CONSTRAINT ended_runs_have_an_end,
    DROP COLUMN took;

DELETE FROM audit.migration_log WHERE version = '20250918_006_ingest_run_health';
